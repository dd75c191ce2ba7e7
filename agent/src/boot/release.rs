//! Asks the TPM for the boot secret, then closes its latch, whatever it answered.

use tpm::{Bank, Tpm, Tpm2};

use crate::{
    boot::{Boot, discover::Devices, failure::Failure, modules::Loader, settings::Settings},
    config::SecretId,
    unlock::{
        BootSecret, Latched, Pinned, SealedRecord, close_latch, deciding_pcrs, is_no_launch, unseal,
    },
};

/// The TPM with the kernel's resource manager, so that nobody's objects collide.
pub(super) const TCTI: &str = "device:/dev/tpmrm0";

/// The TPM's answer, and the proof that it will give no other.
pub(super) struct Released {
    /// The secret, or why there is none.
    pub secret: Result<BootSecret, Failure>,
    /// The latch is closed; without this proof nothing can be opened.
    pub latched: Result<Latched, Failure>,
    /// Position of the record that was released.
    pub record: usize,
    /// The TPM, for the boot event.
    pub tpm: Option<Tpm2>,
}

/// One unseal, then the latch.
pub(super) fn release(
    records: &[SealedRecord],
    settings: &Settings,
    devices: &mut Devices,
    loader: &mut Loader,
    boot: &mut Boot,
) -> Released {
    // A built-in TPM driver sends no event any more; one in a module does.
    let waited = devices.wait(
        loader,
        settings.device_timeout,
        "the TPM (/dev/tpmrm0)",
        |_| {
            std::path::Path::new("/dev/tpmrm0").exists()
                || std::path::Path::new("/dev/tpm0").exists()
        },
    );
    let mut tpm = match Tpm2::open(TCTI) {
        Ok(tpm) => tpm,
        Err(error) => {
            let failure = Failure {
                phase: "tpm",
                reason: match waited {
                    Err(_) => format!("{error}; is a TPM 2.0 switched on in the firmware set-up?"),
                    Ok(()) => error.to_string(),
                },
            };
            return Released {
                secret: Err(failure),
                latched: Latched::no_tpm(error).map_err(Failure::of("latch")),
                record: 0,
                tpm: None,
            };
        }
    };
    boot.progress.done("tpm", "TPM 2.0 opened");
    let secret = ask(&mut tpm, records, settings, boot);
    let (reached, secret) = match secret {
        Ok((secret, record)) => ("boot secret released", Ok((secret, record))),
        Err(failure) => ("boot secret not released", Err(failure)),
    };
    boot.progress.done("unseal", reached);
    let latched = close_latch(&mut tpm).map_err(Failure::of("latch"));
    boot.report.latched = latched.is_ok();
    boot.progress.done(
        "latch",
        if latched.is_ok() {
            "latch closed (PCR 15)"
        } else {
            "latch not closed"
        },
    );
    let (secret, record) = match secret {
        Ok((secret, record)) => (Ok(secret), record),
        Err(failure) => (Err(failure), 0),
    };
    Released {
        secret,
        latched,
        record,
        tpm: Some(tpm),
    }
}

fn ask(
    tpm: &mut dyn Tpm,
    records: &[SealedRecord],
    settings: &Settings,
    boot: &mut Boot,
) -> Result<(BootSecret, usize), Failure> {
    let seen = tpm
        .pcr_read(Bank::Sha256, deciding_pcrs(records))
        .map_err(Failure::of("launch"))?;
    boot.report.pcrs = seen
        .iter()
        .map(|(pcr, value)| (pcr.get(), hex::encode(value)))
        .collect();
    boot.report.launch = if is_no_launch(&seen) {
        "none"
    } else {
        "measured"
    };
    let pinned = Pinned {
        srk: settings.srk_name.as_ref(),
        secret_id: settings.secret_id.as_ref().map(SecretId::as_str),
    };
    let (secret, record) = unseal(tpm, records, pinned).map_err(Failure::of("unseal"))?;
    let position = records
        .iter()
        .position(|candidate| std::ptr::eq(candidate, record))
        .unwrap_or(0);
    Ok((secret, position))
}
