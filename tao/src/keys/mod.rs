//! Keys: signers, verifiers, crypters, derivers.
//!
//! Those of a host are made from 32 secret bytes that the caller derived for that purpose
//! alone; the same bytes give the same key. Those of a domain are generated and kept in a
//! [`keyset`] under a [`password`]. All of them forget their secret when dropped.

pub mod certificate;
mod crypter;
mod ctr_hmac;
mod deriver;
mod hidden;
pub mod keyset;
mod kind;
#[cfg(test)]
mod original_tests;
pub mod password;
mod secret_bytes;
#[cfg(test)]
mod signature_tests;
mod signer;
mod verifier;

pub use crypter::{Crypter, OpenError, SealError};
pub use ctr_hmac::{CtrHmac, CtrHmacSuite};
pub use deriver::{DeriveError, Deriver};
pub use hidden::Hidden;
pub use keyset::{Keyset, KeysetError};
pub use kind::{KeyKind, SignatureFormat};
pub use password::PasswordError;
pub use secret_bytes::{SecretBytes, wipe, wipe_vec};
pub use signer::{KeyError, Signer};
pub use verifier::Verifier;

/// What all keys are made from.
pub type Secret = zeroize::Zeroizing<[u8; 32]>;

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("no random bytes from the system: {0}")]
pub struct RandomError(#[from] getrandom::Error);

/// Fills `bytes` with random bytes from the operating system.
///
/// # Errors
/// When the system gives none.
pub fn random(bytes: &mut [u8]) -> Result<(), RandomError> {
    getrandom::fill(bytes).map_err(RandomError)
}
