//! Launch control policies of Intel TXT: what an administrator writes into TPM NV so that the
//! SINIT module launches only the approved measured environment (tboot) on the approved platform.
//!
//! * [`hash`]: the hash algorithms of the formats, with their TPM numbers and mask bits.
//! * [`hash_text`]: text files of hashes.
//! * [`gunzip`]: the bounded reading of gzip files, as tboot's tools and GRUB read them.
//! * [`mlehash`]: the hash of tboot itself, which a policy names and SINIT extends into PCR 17.
//! * [`element`], [`list`], [`policy`]: the policy's parts, from the inside out.
//! * [`sign`]: signatures of lists.
//! * [`acm`]: the SINIT modules themselves.
//! * [`check`]: would SINIT accept it?
//! * [`spec`]: one file that says everything, made into all others.
//! * `nv` (a feature): policies in TPM NV.
//! * [`codec`]: how they are read; its error says where and what.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod acm;
pub mod check;
pub mod codec;
pub mod element;
pub mod gunzip;
pub mod hash;
pub mod hash_text;
pub mod list;
pub mod mlehash;
#[cfg(feature = "nv")]
pub mod nv;
pub mod policy;
pub mod sign;
pub mod spec;

mod elf;
