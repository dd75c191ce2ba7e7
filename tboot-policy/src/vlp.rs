//! The verified launch policy: which modules tboot accepts and which PCR each is measured into.
//!
//! `tb_policy_t` version 2 (tboot's include/tb_policy.h): a header of 12 bytes, then entries of 8
//! bytes each followed by its digests; little-endian, packed. It stands in a TPM NV index, or in a
//! custom element of the platform owner's launch control policy, or tboot uses a built-in one.

mod codec;
mod edit;
mod element;
mod entry;
mod error;
mod lint;
mod policy;
mod words;

pub use edit::RemoveError;
pub use element::{ElementKind, UnwrapError};
pub use entry::{
    Check, DEFAULT_TPM2, DEFAULT_TPM12, Entry, MAX_LEN, ModuleNumber, Object, PolicyType,
};
pub use error::VlpError;
pub use lint::{NV_INDEX_LEN_TPM12, Warning};
pub use policy::Policy;
pub use words::{WordError, pcr_from_word};
