//! The latch: PCR 15, extended so that the TPM releases the boot secret once a boot.
//!
//! Linux talks to the TPM at locality 0 and cannot extend PCR 17-22 (TPM_RC_LOCALITY), so
//! the policy also names PCR 15 in its reset state and the agent extends that. It is
//! closed on every path, before any volume is opened or passphrase asked for: otherwise a
//! volume made by an attacker, opened with a passphrase he knows, could ask the TPM for the
//! real secret afterwards (the "file system confusion" attack, CVE-2026-32606 among others).

use tpm::{PcrIndex, Tpm, TpmError};

use super::{
    known_tpms::{KnownTpms, KnownTpmsError},
    no_tpm::NoTpm,
};

/// What PCR 15 is extended with.
const LATCH_EVENT: &[u8] = tao::attestation::LATCH_EVENT;

/// Proof that no TPM releases the boot secret any more in this boot, as long as no other TPM
/// appears ([`Latched::holds`]).
///
/// Only [`close_latch`] and a [`NoTpm`] make one; [`super::open_volume`] asks for it.
#[derive(Debug)]
pub struct Latched {
    has_tpm: bool,
    tpms: KnownTpms,
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
    /// There is another TPM, whose latch is open.
    #[error(transparent)]
    OtherTpm(#[from] KnownTpmsError),
}

impl Latched {
    /// There is no TPM, so that nothing can be unsealed from one.
    pub fn without_tpm(_proof: NoTpm, tpms: KnownTpms) -> Result<Self, LatchError> {
        let tpms = tpms.none();
        tpms.look()?;
        Ok(Self {
            has_tpm: false,
            tpms,
        })
    }

    /// Is it true still? A TPM that the kernel has found since then, beside the first or in its place, has
    /// a latch of its own, which nobody closed. Whatever relies on the latch asks right before.
    ///
    /// # Errors
    /// There is another TPM, or it cannot be found out.
    pub fn holds(&self) -> Result<(), LatchError> {
        Ok(self.tpms.look()?)
    }

    /// Is there a TPM, so that it is its latch that is closed?
    pub const fn has_tpm(&self) -> bool {
        self.has_tpm
    }
}

/// Extends PCR 15 and checks that it is no longer in its reset state, both in one session in which
/// only the TPM can answer: an extension that something on the bus dropped is not a closed latch.
/// Closing it twice is fine. The latch is closed, too, where another of the `tpms` makes that worthless.
pub fn close_latch(tpm: &mut dyn Tpm, tpms: &KnownTpms) -> Result<Latched, LatchError> {
    // Noted before, and there still afterwards: it is this one's latch. A TPM that was taken away in between
    // extends nothing.
    let noted = tpms.noted();
    let bank = tpm.bank();
    let values = tpm.pcr_event_read(PcrIndex::LATCH, LATCH_EVENT, bank)?;
    match values.get(PcrIndex::LATCH) {
        Some(value) if value.iter().any(|byte| *byte != 0) => {}
        _ => return Err(LatchError::StillOpen),
    }
    let tpms = noted?;
    tpms.look()?;
    Ok(Latched {
        has_tpm: true,
        tpms,
    })
}
