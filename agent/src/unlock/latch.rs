//! The latch: PCR 15, extended so that the TPM releases the boot secret once a boot.
//!
//! Linux talks to the TPM at locality 0 and cannot extend PCR 17-22 (TPM_RC_LOCALITY), so
//! the policy also names PCR 15 in its reset state and the agent extends that. It is
//! closed on every path, before any volume is opened or passphrase asked for: otherwise a
//! volume made by an attacker, opened with a passphrase he knows, could ask the TPM for the
//! real secret afterwards (the "file system confusion" attack, CVE-2026-32606 among others).

use tpm::{Bank, PcrIndex, PcrSet, Tpm, TpmError};

/// What PCR 15 is extended with.
const LATCH_EVENT: &[u8] = tao::attestation::LATCH_EVENT;

/// Proof that the TPM no longer releases the boot secret in this boot.
///
/// Only this module makes one; [`super::open_volume`] asks for it.
#[derive(Debug)]
pub struct Latched {
    _private: (),
}

/// Why the latch could not be closed. Nothing may be opened then.
#[derive(Debug, thiserror::Error)]
pub enum LatchError {
    /// The TPM refused.
    #[error("the latch (PCR 15) could not be closed, so no volume is opened: {0}")]
    Tpm(#[from] TpmError),
    /// The TPM said yes, but PCR 15 is unchanged.
    #[error(
        "the TPM accepted the extension of PCR 15 but the register still reads as after a reset, \
         so no volume is opened: the TPM or the path to it is not to be trusted"
    )]
    StillOpen,
    /// [`Latched::no_tpm`] was called with another error than "absent".
    #[error("a TPM that answers with an error is no absent TPM: {0}")]
    NotAbsent(TpmError),
}

impl Latched {
    /// There is no TPM at all, so that nothing can be unsealed from one. `absent` must be
    /// the [`TpmError::Absent`] that opening it gave.
    ///
    /// Call it only after the kernel had its chance to find a TPM: one that appears later
    /// in the same boot would still have its latch open.
    pub fn no_tpm(absent: TpmError) -> Result<Latched, LatchError> {
        match absent {
            TpmError::Absent { .. } => Ok(Latched { _private: () }),
            other => Err(LatchError::NotAbsent(other)),
        }
    }
}

/// Extends PCR 15 and checks that it is no longer in its reset state. Closing it twice is fine.
pub fn close_latch(tpm: &mut dyn Tpm) -> Result<Latched, LatchError> {
    tpm.pcr_event(PcrIndex::LATCH, LATCH_EVENT)?;
    let latch = PcrSet::default().with(PcrIndex::LATCH);
    let values = tpm.pcr_read(Bank::Sha256, latch)?;
    match values.get(PcrIndex::LATCH) {
        Some(value) if value.iter().any(|byte| *byte != 0) => Ok(Latched { _private: () }),
        _ => Err(LatchError::StillOpen),
    }
}
