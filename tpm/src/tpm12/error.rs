//! What can go wrong when a TPM 1.2 is asked for something.

use super::{codec::Malformed, return_code::ReturnCode};

/// Why a call of a TPM 1.2 failed, in words for the person at the console.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Tpm12Error {
    /// No TPM where one was expected.
    #[error("no TPM at {address}: {source}")]
    Absent {
        /// What was opened, in TCTI notation (`device:/dev/tpm0`).
        address: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Another program has the TPM.
    #[error(
        "the TPM at {address} is busy: {holder} has it; stop that (tcsd with `systemctl stop tcsd`) \
         and try again"
    )]
    Busy {
        /// What was opened, in TCTI notation (`device:/dev/tpm0`).
        address: String,
        /// Who has it, as far as that can be told.
        holder: String,
    },
    /// The connection failed while a command was under way.
    #[error("{command}: the TPM did not answer: {source}")]
    NoAnswer {
        /// The command's name in the specification.
        command: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The TPM refused a command.
    #[error("{command}: {code}")]
    Refused {
        /// The command's name in the specification.
        command: &'static str,
        /// Why.
        code: ReturnCode,
    },
    /// A response that the specification does not allow.
    #[error("the TPM's answer to {command} is not valid: {source}")]
    BadAnswer {
        /// The command's name in the specification.
        command: &'static str,
        /// What is wrong with it.
        source: Malformed,
    },
    /// A response whose HMAC is wrong: it does not come from the TPM that knows the secret.
    #[error(
        "the TPM's answer to {command} is not authentic (its HMAC is wrong): something changed it \
         on the way, do not trust what the TPM shows"
    )]
    NotAuthentic {
        /// The command's name in the specification.
        command: &'static str,
    },
    /// The system has no random numbers for a nonce.
    #[error("no random numbers from the system: {0}")]
    NoRandom(String),
    /// A parameter is outside what a TPM accepts.
    #[error("{0}")]
    BadParameter(String),
}

impl Tpm12Error {
    /// The TPM's return code, if it was the TPM that refused.
    pub const fn code(&self) -> Option<ReturnCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}
