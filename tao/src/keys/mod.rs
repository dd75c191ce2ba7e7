//! Keys: signers, verifiers, crypters, derivers.
//!
//! Each is made from 32 secret bytes that the caller derived for that purpose alone; the
//! same bytes give the same key. All of them forget their secret when dropped.

mod crypter;
mod deriver;
mod signer;

pub use crypter::{Crypter, OpenError};
pub use deriver::{DeriveError, Deriver};
pub use signer::{KeyError, Signer, Verifier};

/// What all keys are made from.
pub type Secret = zeroize::Zeroizing<[u8; 32]>;

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("no random bytes from the system: {0}")]
pub struct RandomError(#[from] getrandom::Error);

/// Fills `bytes` with random bytes from the operating system.
pub fn random(bytes: &mut [u8]) -> Result<(), RandomError> {
    getrandom::fill(bytes).map_err(RandomError)
}
