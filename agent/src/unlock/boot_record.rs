//! The second extend of PCR 15: what the boot says of itself, before anything is mounted.
//!
//! Attestations tell by it how the volume was opened, which volume it is and which key is the
//! Tao host's ([`tao::attestation::BootEvent`]).

use sha2::{Digest, Sha256};
use tao::attestation::{BootEvent, BootEventError};
use tpm::{Bank, PcrIndex, PcrSet, Tpm, TpmError};

/// Why PCR 15 does not say what the boot is. Nothing is mounted then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootRecordError {
    /// The TPM refused.
    #[error("the boot event could not be extended into PCR 15, so nothing is mounted: {0}")]
    Tpm(#[from] TpmError),
    /// The event has no value there.
    #[error(transparent)]
    Event(#[from] BootEventError),
    /// Another value.
    #[error(
        "PCR 15 reads {found} after the boot event, expected {expected}, so nothing is mounted: something else extends PCR 15, or the path to the TPM is not to be trusted"
    )]
    Register {
        /// What it should hold.
        expected: String,
        /// What it holds.
        found: String,
    },
}

/// Extends PCR 15 with the event and reads it back.
///
/// Where a Tao host is to be started the register must hold the latch and the event and
/// nothing else: another value proves nothing to anybody. A boot that a person opened may come
/// after another that closed the latch already; there the event is added to what is there.
pub fn record_boot(tpm: &mut dyn Tpm, event: &BootEvent) -> Result<(), BootRecordError> {
    let before = register(tpm)?;
    let text = event.to_string();
    let expected = match event.host_key {
        Some(_) => event.register(before.len())?,
        None => {
            let mut next = Sha256::new();
            next.update(&before);
            next.update(Sha256::digest(&text));
            next.finalize().to_vec()
        }
    };
    tpm.pcr_event(PcrIndex::LATCH, text.as_bytes())?;
    let found = register(tpm)?;
    if found == expected {
        return Ok(());
    }
    Err(BootRecordError::Register {
        expected: hex::encode(expected),
        found: hex::encode(found),
    })
}

/// What PCR 15 is extended with before a hibernation image takes over. No host's evidence has it, so
/// that nothing that runs after it speaks for the launch.
const RESUME_EVENT: &[u8] = b"taoboot resume 1";

/// Extends PCR 15 a third time and reads it back: what takes over is memory from a disk, and not what was
/// launched.
///
/// # Errors
/// The TPM refused, or the register did not change as it must.
pub fn record_resume(tpm: &mut dyn Tpm) -> Result<(), BootRecordError> {
    let before = register(tpm)?;
    let mut next = Sha256::new();
    next.update(&before);
    next.update(Sha256::digest(RESUME_EVENT));
    let expected = next.finalize().to_vec();
    tpm.pcr_event(PcrIndex::LATCH, RESUME_EVENT)?;
    let found = register(tpm)?;
    if found == expected {
        return Ok(());
    }
    Err(BootRecordError::Register {
        expected: hex::encode(expected),
        found: hex::encode(found),
    })
}

fn register(tpm: &mut dyn Tpm) -> Result<Vec<u8>, TpmError> {
    let bank = Bank::Sha256;
    let values = tpm.pcr_read(bank, PcrSet::default().with(PcrIndex::LATCH))?;
    match values.get(PcrIndex::LATCH) {
        Some(value) => Ok(value.to_vec()),
        None => Err(TpmError::NoSuchPcr {
            bank,
            pcr: PcrIndex::LATCH,
        }),
    }
}
