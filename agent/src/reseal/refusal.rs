//! Why the resident agent refuses a request.

use tpm::{Name, PcrIndex, TpmError};

use super::{
    boot_files::BootFilesError, files::FileError, launch::LaunchError, pin_change::PinChangeError,
    protocol::MAX_MESSAGE,
};
use crate::unlock::{LaunchPcrsError, PinError, RecordError, pin_seal::PinSealError};

/// Why a request is refused; the client gets the sentence.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// Longer, or cut off.
    #[error("a request is one line of at most {MAX_MESSAGE} bytes")]
    NotALine,
    /// Another form.
    #[error("the request is not understood: {0}")]
    NotUnderstood(serde_json::Error),
    /// The pattern or the new record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A pattern of somebody else.
    #[error("the record given as a pattern does not belong to the secret that opened this machine")]
    Pattern,
    /// No measured launch.
    #[error(transparent)]
    NoLaunch(#[from] LaunchPcrsError),
    /// The list of known files.
    #[error(transparent)]
    Known(#[from] BootFilesError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The extends.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// A register that nothing vouches for.
    #[error(
        "PCR {0} is not a register of a launch, and the record given as a pattern has another value or none: approve it with a passphrase"
    )]
    OtherRegister(PcrIndex),
    /// The TPM.
    #[error(transparent)]
    Tpm(#[from] TpmError),
    /// Nothing could be put under the PIN.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// A record with a PIN, in a boot without.
    #[error(
        "the record given as a pattern asks for a PIN, and none was typed in this boot: approve it with a passphrase and --pin-file"
    )]
    NoPin,
    /// The PIN was not changed.
    #[error(transparent)]
    PinChange(#[from] PinChangeError),
    /// Another TPM, or a cleared one.
    #[error(
        "the TPM's storage root key is {present}, but the present records are sealed under {enrolled}: enrol again with a passphrase"
    )]
    OtherSrk {
        /// Of the TPM.
        present: Name,
        /// Of the records.
        enrolled: Name,
    },
}

impl From<PinSealError> for Refusal {
    fn from(error: PinSealError) -> Self {
        match error {
            PinSealError::Pin(error) => error.into(),
            PinSealError::Tpm(TpmError::WrongSrk { expected, found }) => Self::OtherSrk {
                present: found,
                enrolled: expected,
            },
            PinSealError::Tpm(error) => error.into(),
        }
    }
}
