//! Why a launch cannot be predicted.

use tpm::pcr::{Bank, PcrSyntaxError};
use txt::mlehash::MleError;

use crate::extends::{ExtendError, ExtpolError};

/// A launch that cannot be predicted.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// tboot or its command line.
    #[error("tboot: {0}")]
    Mle(#[from] MleError),
    /// A module, or the policy.
    #[error(transparent)]
    Extend(#[from] ExtendError),
    /// tboot's option.
    #[error(transparent)]
    Extpol(#[from] ExtpolError),
    /// A bank that tboot leaves alone.
    #[error(
        "tboot extends only the {extended} bank with this command line (extpol={extended}), so that PCR 17-19 of the {asked} bank do not depend on kernel and initramfs: nothing may be sealed to them; have extpol={asked} there"
    )]
    NotExtended {
        /// The bank that was asked for.
        asked: Bank,
        /// The one that tboot extends.
        extended: Bank,
    },
    /// Every bank is extended, and nothing is compared.
    #[error(
        "with extpol=embedded tboot compares no module with its policy, and no secret is sealed to such a launch: put extpol=sha256 on tboot's command line"
    )]
    Embedded,
    /// The record lacks the bank.
    #[error(
        "tboot extends the {0} bank, but the record has no {0} digests: take it from a launch, and with PCR values, of this bank"
    )]
    Bank(Bank),
    /// Another SINIT module or policy data.
    #[error(
        "the {what} {file} is not the one of the recorded launch: what SINIT measures of it is not known; launch once with it and record that launch"
    )]
    OtherFile {
        /// What it is.
        what: &'static str,
        /// The file.
        file: String,
    },
    /// Fewer of them.
    #[error(
        "the {what} {file} was loaded at the recorded launch and is missing now: load it, or launch once without it and record that launch"
    )]
    MissingFile {
        /// What it is.
        what: &'static str,
        /// The file.
        file: String,
    },
    /// A policy that changes what only SINIT computes.
    #[error("{0}: launch once with the new policy and record that launch")]
    Lcp(&'static str),
    /// The capabilities cannot be told.
    #[error(
        "tboot's capabilities ({new:#x}) are new, and the recorded OSSINITDATA_CAP_HASH is of none that is known: launch once with this tboot and record that launch"
    )]
    Capabilities {
        /// The MLE header's capabilities of the new tboot.
        new: u32,
    },
    /// Another PCR mapping than the record's.
    #[error(
        "the recorded launch had the {recorded} PCR mapping, tboot's command line asks for the other (pcr_map=): launch once with it and record that launch"
    )]
    Mapping {
        /// The record's mapping.
        recorded: &'static str,
    },
    /// NV indices that tboot hashes.
    #[error(
        "tboot's command line has measure_nv=true and the policy measures NV indices, whose content is not known here"
    )]
    MeasuredNv,
    /// A digest of the wrong length.
    #[error(transparent)]
    Digest(#[from] PcrSyntaxError),
}
