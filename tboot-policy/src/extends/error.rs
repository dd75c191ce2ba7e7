//! Boots that are refused.

use tpm::pcr::PcrSyntaxError;
use txt::hash::HashAlg;

use crate::module::ModuleError;

/// Most events that tboot's list of extends holds.
pub(super) const MAX_TBOOT_EVENTS: usize = 32;

/// A boot whose PCR values cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum ExtendError {
    /// A module cannot be hashed.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// The policy compares hashes of one algorithm while tboot computes another.
    #[error(
        "the policy holds {policy} hashes but tboot measures with {extend}: make both the same (tboot's extpol= option)"
    )]
    PolicyAlg {
        /// The policy's algorithm.
        policy: HashAlg,
        /// The algorithm of the bank that tboot extends.
        extend: HashAlg,
    },
    /// No kernel.
    #[error("there is no module: tboot needs at least a kernel")]
    NoModules,
    /// More than tboot can extend.
    #[error("tboot would extend {0} times, its list holds {MAX_TBOOT_EVENTS}: load fewer modules")]
    TooManyEvents(usize),
    /// A digest of the wrong length.
    #[error(transparent)]
    Digest(#[from] PcrSyntaxError),
}
