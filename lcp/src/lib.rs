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
