//! Why a host has no name or no keys.

use tao::{
    attestation::{AttestError, AttestationError},
    keys::{DeriveError, KeyError},
};

use crate::authority::root::RootError;

/// Why the host has no name or no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The root of the host's authority failed.
    #[error("the root of the Tao host's authority: {0}")]
    Root(#[source] RootError),
    /// A key could not be derived.
    #[error("the Tao host's keys: {0}")]
    Derive(#[from] DeriveError),
    /// A key could not be made or used.
    #[error("the Tao host's keys: {0}")]
    Key(#[from] KeyError),
    /// A statement could not be signed.
    #[error(transparent)]
    Attest(#[from] AttestError),
    /// The TPM's registers are others than at the start.
    #[error(
        "the machine is not as it was when the Tao host started: it was resumed from hibernation, or something extended PCR 15; it attests nothing until it is booted anew"
    )]
    Changed,
    /// The root's statement does not prove what it should.
    #[error("the delegation to the Tao host's key does not verify: {0}")]
    Delegation(#[source] AttestationError),
}
