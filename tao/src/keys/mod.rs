//! Keys: signers, verifiers, crypters, derivers.
//!
//! Those of a host are made from 32 secret bytes that the caller derived for that purpose
//! alone; the same bytes give the same key. Those of a domain are generated and kept in a
//! [`keyset`] under a [`password`]. All of them forget their secret when dropped.

pub mod certificate;
mod crypter;
mod ctr_hmac;
mod deriver;
mod error;
mod hidden;
pub mod keyset;
mod kind;
#[cfg(test)]
mod original_tests;
pub mod password;
mod random;
#[cfg(test)]
mod signature_tests;
mod signer;
mod verifier;

pub use crypter::{Crypter, OpenError, SealError};
pub use ctr_hmac::{CtrHmac, CtrHmacSuite};
pub use deriver::{DeriveError, Deriver};
pub use error::KeyError;
pub use hidden::{Hidden, hibernation};
pub use keyset::{Keyset, KeysetError};
pub use kind::{KeyKind, SignatureFormat};
pub use password::PasswordError;
pub use random::{RandomError, random};
pub use signer::Signer;
pub use verifier::Verifier;

pub use crate::secret_bytes::{Secret, SecretBytes, wipe, wipe_vec};
