//! Launch control policies of Intel TXT: what an administrator writes into TPM NV so that the
//! SINIT module launches only the approved measured environment (tboot) on the approved platform.
//!
//! Elements, the policy itself, SINIT modules and tboot's hash are formats of crate `txt`.
//!
//! * [`list`]: lists of elements.
//! * [`policy_data`]: the file of the lists behind a policy.
//! * [`sign`]: signatures of lists.
//! * [`acm_signature`]: signatures of SINIT modules.
//! * [`check`]: would SINIT accept it?
//! * [`spec`]: one file that says everything, made into all others.
//! * `nv` (a feature): policies in TPM NV.
//!
//! A list with one element, and what a policy names of it:
//!
//! ```
//! use lcp::{
//!     list::{ListVersion, PolicyList},
//!     policy_data::PolicyData,
//! };
//! use txt::{
//!     element::{Body, Element, HashList, Mle2},
//!     hash::HashAlg,
//! };
//!
//! let tboot = HashAlg::Sha256.digest(b"tboot");
//! let body = Body::Mle2(Mle2 {
//!     sinit_min_version: 0,
//!     hashes: HashList::new(HashAlg::Sha256, vec![tboot])?,
//! });
//! let list = PolicyList::new(ListVersion::V3_0, vec![Element { control: 0, body }]);
//! let data = PolicyData::new(vec![list])?;
//! assert_eq!(PolicyData::parse(&data.to_bytes()?)?, data);
//! assert_eq!(data.hash(HashAlg::Sha256)?.as_bytes().len(), 32);
//! # Ok::<(), txt::codec::FormatError>(())
//! ```

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod acm_signature;
pub mod check;
pub mod list;
#[cfg(feature = "nv")]
pub mod nv;
pub mod policy_data;
pub mod sign;
pub mod spec;
