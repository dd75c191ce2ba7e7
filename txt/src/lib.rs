//! Intel TXT's file formats, as the launch control policy (crate `lcp`), tboot's own policy (crate
//! `tboot-policy`) and the agent read them.
//!
//! * [`hash`]: the hash algorithms of the formats, with their TPM numbers and mask bits.
//! * [`hash_text`]: text files of hashes.
//! * [`gunzip`]: the bounded reading of gzip files, as tboot's tools and GRUB read them.
//! * [`mlehash`]: the hash of tboot itself, which a policy names and SINIT extends into PCR 17.
//! * [`element`]: what a list of a launch control policy allows.
//! * [`policy`]: the launch control policy itself, as it stands in TPM NV.
//! * [`acm`]: the SINIT modules.
//! * [`codec`]: how they are read; its error says where and what.
//!
//! ```
//! use txt::hash::{Digest, HashAlg};
//!
//! let digest = HashAlg::Sha256.digest(b"tboot");
//! let again = Digest::from_hex(HashAlg::Sha256, &digest.to_string())?;
//! assert_eq!(digest, again);
//! # Ok::<(), txt::hash::HashError>(())
//! ```

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod acm;
pub mod codec;
pub mod element;
pub mod gunzip;
pub mod hash;
pub mod hash_text;
pub mod mlehash;
pub mod policy;

mod elf;
