//! What the boot says of itself, in PCR 15, before anything is mounted: how the volume was
//! opened, which volume it is, which key the Tao host has.

use tao::attestation::BootEvent;

use crate::{
    boot::{Boot, failure::Failure, settings::Settings, volume::Unlocked},
    host,
    unlock::record_boot,
};

/// Proof that PCR 15 tells what was opened, or that there is no TPM that could. Only [`record`]
/// makes one; mounting root asks for it.
pub struct Recorded {
    event: BootEvent,
}

impl Recorded {
    /// What was extended.
    pub const fn event(&self) -> &BootEvent {
        &self.event
    }
}

/// Extends PCR 15 for the second time.
pub(super) fn record(
    unlocked: &mut Unlocked,
    settings: &Settings,
    boot: &mut Boot,
) -> Result<Recorded, Failure> {
    let host_key = match &unlocked.secret {
        Some(secret) => Some(
            host::key_digest(&secret.host().to_bytes(), &settings.host)
                .map_err(Failure::of("evidence"))?,
        ),
        None => None,
    };
    let event = BootEvent {
        opened: unlocked.opened,
        volume: unlocked.volume,
        host_key,
    };
    // The resident process opens the TPM anew.
    if let Some(mut tpm) = unlocked.tpm.take() {
        record_boot(&mut tpm, &event).map_err(Failure::of("evidence"))?;
        boot.report.boot_event = Some(event.to_string());
        boot.progress
            .done("evidence", &format!("PCR 15 extended: {event}"));
    }
    Ok(Recorded { event })
}
