//! What can go wrong when a TPM is asked for something.

use crate::{
    Bank, PcrIndex,
    lockout::{Lockout, duration},
    response_code::meaning,
    sealed::Name,
    tpm12::Tpm12Error,
};

/// Why a TPM call failed, in words for the person at the console.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TpmError {
    /// There is no such device. That alone does not say that the machine has no TPM.
    #[error("no TPM at {tcti}: {reason}")]
    Absent {
        /// What was opened, in TCTI notation (`device:/dev/tpmrm0`).
        tcti: String,
        /// The reason the library or the system gave.
        reason: String,
    },
    /// Something is there, and it cannot be opened or does not answer.
    #[error("the TPM at {tcti} cannot be reached: {reason}")]
    Unreachable {
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
    #[error("{command} failed: {reason}{}", in_response(*code))]
    Command {
        /// The command's name in the TPM 2.0 specification.
        command: &'static str,
        /// The TPM response code, 0 if the library refused before asking the TPM.
        code: u32,
        /// What that means and what to do, or the library's words.
        reason: String,
    },
    /// The PCRs are not those that the secret was sealed to.
    #[error("the PCRs are not the ones this secret was sealed to (TPM response 0x{code:x})")]
    PolicyFailed {
        /// The TPM response code: 0x1c4 (TPM_RC_VALUE) when TPM2_PolicyPCR found other
        /// values than the policy names, 0x99d (TPM_RC_POLICY_FAIL) when it found those, but
        /// the secret was sealed to others.
        code: u32,
    },
    /// The rollback counter was raised above the approval's limit.
    #[error(
        "the approval is retired: the rollback counter (NV index {index:#x}) is above {limit}, the last value at which this launch was approved"
    )]
    Retired {
        /// The counter.
        index: u32,
        /// The approval's limit.
        limit: u64,
    },
    /// The rollback counter that the approval names does not exist.
    #[error(
        "the rollback counter (NV index {index:#x}) that the approval names does not exist: another TPM, or one that was cleared"
    )]
    NoCounter {
        /// The counter.
        index: u32,
    },
    /// The signature of the policy key is not good.
    #[error("the signature is not one of the policy key over this launch")]
    BadSignature,
    /// Another process kept changing PCRs while they were read or the policy was evaluated.
    #[error("a PCR changed during each of {attempts} attempts; something keeps extending it")]
    PcrsKeepChanging {
        /// How often it was tried.
        attempts: u32,
    },
    /// The TPM's storage root key is not the one that the record was sealed under.
    #[error(
        "the TPM's storage root key is {found}, but the secret was sealed under {expected}: \
         another TPM, or one that was cleared"
    )]
    WrongSrk {
        /// The name of the key the secret was sealed under (and the pinned one, if any).
        expected: Name,
        /// The name that the TPM showed.
        found: Name,
    },
    /// The TPM does not have the storage root key that it must have.
    #[error(
        "the TPM cannot use the storage root key {expected}: another TPM, or one that was cleared"
    )]
    OtherSrk {
        /// The name of the key that is known.
        expected: Name,
    },
    /// A TPM 1.2 cannot do that.
    #[error("this is not possible with a TPM 1.2: {0}")]
    NotWithTpm12(&'static str),
    /// A TPM 1.2 refused, in its own words.
    #[error(transparent)]
    Tpm12Failed(#[from] Tpm12Error),
    /// The sealed blob is damaged or belongs to another TPM.
    #[error("the TPM does not accept the sealed record: {reason}{}", in_response(*code))]
    NotOurs {
        /// The TPM response code, 0 if the record was refused before asking the TPM.
        code: u32,
        /// What it means.
        reason: String,
    },
    /// A hierarchy of the TPM has a password, which is not supported.
    #[error(
        "the TPM's {hierarchy} hierarchy has a password, so no key can be made in it (TPM \
         response 0x{code:x}): remove the password, or for the owner hierarchy have a storage \
         root key made persistent at 0x81000001"
    )]
    HierarchyPassword {
        /// `owner` or `endorsement`.
        hierarchy: &'static str,
        /// The TPM response code.
        code: u32,
    },
    /// A password was refused.
    #[error("the {whose}'s password is wrong (TPM response 0x{code:x})")]
    WrongPassword {
        /// `owner`.
        whose: &'static str,
        /// The TPM response code.
        code: u32,
    },
    /// The authorization value of a sealed secret is another.
    #[error("the authorization value is wrong (TPM response 0x{code:x})")]
    WrongAuthValue {
        /// The TPM response code.
        code: u32,
    },
    /// Too many of them were.
    #[error("the TPM has locked itself after wrong authorization values: {}", wait(*lockout))]
    LockedOut {
        /// What the TPM says of it; `None` where it does not say.
        lockout: Option<Lockout>,
    },
    /// The TPM has no such bank, or no such PCR in it.
    #[error(
        "the TPM has no {bank} bank for PCR {pcr}, so that nothing that is sealed to it can be opened: switch that bank on in the firmware set-up (PCR banks, hash algorithms), or with `tpm2_pcrallocate {bank}:all`, and restart the machine"
    )]
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
    /// The answer does not have the TPM's HMAC.
    #[error(
        "the answer to {command} is not the TPM's (its HMAC or its response code cannot be): something between the processor and the TPM answers in its place or changes what passes"
    )]
    ForgedAnswer {
        /// The command's name.
        command: &'static str,
    },
    /// A parameter is outside what a TPM accepts.
    #[error("{0}")]
    BadParameter(String),
}

impl TpmError {
    /// The TPM's response code, if it was the TPM that refused.
    pub const fn code(&self) -> Option<u32> {
        match self {
            Self::Command { code, .. }
            | Self::PolicyFailed { code }
            | Self::NotOurs { code, .. }
            | Self::HierarchyPassword { code, .. }
            | Self::WrongPassword { code, .. }
            | Self::WrongAuthValue { code }
                if *code != 0 =>
            {
                Some(*code)
            }
            _ => None,
        }
    }
}

/// How long it takes, and how it is ended sooner.
fn wait(lockout: Option<Lockout>) -> String {
    const SOONER: &str =
        "`tpm2_dictionarylockout --clear-lockout` with the lockout password ends it at once";
    match lockout {
        Some(lockout) if lockout.interval != 0 => format!(
            "{} of {} are counted, and it forgets one after each {} in which the machine is switched on; {SOONER}",
            lockout.failed,
            lockout.most,
            duration(lockout.interval)
        ),
        _ => format!(
            "it does not say for how long: leave the machine switched on and wait; with a TPM 2.0 {SOONER}"
        ),
    }
}

/// The TPM's own code in parentheses, where it was the TPM that refused.
fn in_response(code: u32) -> String {
    if code == 0 {
        String::new()
    } else {
        match meaning(code) {
            Some(meaning) => format!(" (TPM response 0x{code:x}, {})", meaning.name),
            None => format!(" (TPM response 0x{code:x})"),
        }
    }
}
