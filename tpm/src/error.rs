//! What can go wrong when a TPM is asked for something.

use crate::{Bank, PcrIndex, sealed::Name};

/// Why a TPM call failed, in words for the person at the console.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TpmError {
    /// No TPM where one was expected.
    #[error("no TPM at {tcti}: {reason}")]
    Absent {
        /// What was opened, in TCTI notation (`device:/dev/tpmrm0`).
        tcti: String,
        /// The reason the library or the system gave.
        reason: String,
    },
    /// The device is a TPM 1.2, which this call does not support.
    #[error("{tcti} is a TPM 1.2; sealing to it is not supported yet: a TPM 2.0 is needed")]
    Tpm12 {
        /// What was opened.
        tcti: String,
    },
    /// A TPM command failed.
    #[error("{command} failed: {reason} (TPM response 0x{code:x})")]
    Command {
        /// The command's name in the TPM 2.0 specification.
        command: &'static str,
        /// The TPM response code, 0 if the library refused before asking the TPM.
        code: u32,
        /// The library's words for it.
        reason: String,
    },
    /// The PCRs are not those that the secret was sealed to.
    #[error("the PCRs are not the ones this secret was sealed to (TPM response 0x{code:x})")]
    PolicyFailed {
        /// The TPM response code (0x99d: TPM_RC_POLICY_FAIL).
        code: u32,
    },
    /// Another process kept changing PCRs while the policy was evaluated.
    #[error("a PCR changed during each of {attempts} attempts to unseal; something keeps extending it")]
    PcrsKeepChanging {
        /// How often it was tried.
        attempts: u32,
    },
    /// The TPM's storage root key is not the one that was pinned.
    #[error("the TPM's storage root key is {found}, but {expected} is pinned: another TPM, or one that was cleared")]
    WrongSrk {
        /// The name that was pinned.
        expected: Name,
        /// The name that the TPM showed.
        found: Name,
    },
    /// The sealed blob is damaged or belongs to another TPM.
    #[error("the TPM does not accept the sealed record: {reason} (TPM response 0x{code:x})")]
    NotOurs {
        /// The TPM response code.
        code: u32,
        /// What it means.
        reason: String,
    },
    /// The TPM has no such bank, or no such PCR in it.
    #[error("the TPM has no {bank} bank for PCR {pcr}")]
    NoSuchPcr {
        /// The bank asked for.
        bank: Bank,
        /// The register asked for.
        pcr: PcrIndex,
    },
    /// The TPM's answer is not one the specification allows.
    #[error("the TPM's answer to {command} is not valid: {reason}")]
    BadAnswer {
        /// The command's name.
        command: &'static str,
        /// What is wrong with the answer.
        reason: String,
    },
    /// A parameter is outside what a TPM accepts.
    #[error("{0}")]
    BadParameter(String),
}
