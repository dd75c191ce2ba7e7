//! How the encrypted volume is opened: with the boot
//! secret, or with a passphrase where the failure policy is `prompt`, if the volume proves that
//! it is the enrolled one.

mod console;
mod keymap;
mod keymap_ioctl;
pub(super) mod prompt;

use std::path::PathBuf;

use tao::attestation::{BootVolume, Opened};
use tpm::Tpm2;

use crate::{
    boot::{config::Settings, failure::Failure, phase::Phase, state::Boot, unseal::Released},
    config::{OnFailure, SecretId},
    unlock::{
        BootSecret, CheckedHeader, Latched, OpenError, OpenVolume, Proof, SealedRecord, SwapSpec,
        VolumeSecret, enrolment::find_recovery_keys, open_proven_volume, open_volume,
    },
};
use prompt::Prompt;

/// How often a passphrase may be wrong before the machine restarts.
const TRIES: usize = 3;

/// What the rest of the boot needs of the opened volume.
pub(super) struct Unlocked {
    /// The block device with the decrypted file system.
    pub mapping: PathBuf,
    /// Where the record says that swap is.
    pub swap: Option<SwapSpec>,
    /// Only a boot that the TPM approved has one, and so gets a Tao host.
    pub secret: Option<BootSecret>,
    /// What opens the further volumes where a passphrase opened this one, and its key gave the secret.
    pub by_passphrase: Option<VolumeSecret>,
    /// What opened the volume.
    pub opened: Opened,
    /// Which volume it is.
    pub volume: BootVolume,
    /// The TPM, for the boot event; `None` where there is none.
    pub tpm: Option<Tpm2>,
}

impl Unlocked {
    /// What opens the further volumes.
    pub fn volume_secret(&self) -> Option<&VolumeSecret> {
        self.secret
            .as_ref()
            .map(BootSecret::volume)
            .or(self.by_passphrase.as_ref())
    }
}

/// Opens the volume with what was released, or with a passphrase if that is the policy. Also gives
/// what allowed it.
pub(super) fn unlock(
    header: &CheckedHeader,
    released: Released<'_>,
    settings: &Settings,
    boot: &mut Boot,
) -> Result<(Unlocked, Latched), Failure> {
    let latched = match (released.latched, &released.secret) {
        (Ok(latched), _) => latched,
        // No passphrase either: a TPM that may still give a key must not see another program.
        // The first cause is what a person can act on.
        (Err(_), Err(why)) => return Err(why.clone()),
        (Err(latch), Ok(_)) => return Err(latch),
    };
    latched.holds().map_err(Failure::of(Phase::Latch))?;
    let opened = released.secret.and_then(|(secret, record)| {
        let volume = open_with_secret(header, &latched, record, &secret, settings)?;
        let proof = BootVolume::Secret(secret.volume().id_bytes());
        // Only a record whose seal was verified may name a device to overwrite.
        let swap = record.swap().cloned();
        Ok((volume, Opened::Tpm, proof, swap, Some(secret), None))
    });
    let (volume, opened, proof, swap, secret, by_passphrase) = match opened {
        Ok(opened) => opened,
        // Without a TPM a passphrase is the only way, and no_tpm = "prompt" has allowed it.
        Err(failure) if settings.on_failure == OnFailure::Prompt || !latched.has_tpm() => {
            let (volume, proof) = open_with_passphrase(header, &latched, &failure, settings, boot)?;
            let opened = kind_of_passphrase(header, volume.keyslot());
            (volume, opened, proof.volume, None, None, proof.secret)
        }
        Err(failure) => return Err(failure),
    };
    let unlocked = Unlocked {
        mapping: volume.path(),
        swap,
        secret,
        by_passphrase,
        opened,
        volume: proof,
        tpm: released.tpm,
    };
    boot.report.unlocked_by = Some(opened);
    boot.progress.done(
        Phase::Open,
        &format!(
            "root opened (by {}, keyslot {})",
            opened.word(),
            volume.keyslot()
        ),
    );
    boot.root = Some(volume);
    Ok((unlocked, latched))
}

fn open_with_secret(
    header: &CheckedHeader,
    latched: &Latched,
    record: &SealedRecord,
    secret: &BootSecret,
    settings: &Settings,
) -> Result<OpenVolume, Failure> {
    let identity = header.identity();
    if let Some((field, enrolled, found)) = record.volume().first_difference(identity) {
        let reason = format!(
            "the volume is not the enrolled one: {field} is {found}, expected {enrolled}; restore the LUKS header or enrol again"
        );
        return Err(Failure {
            phase: Phase::Open,
            reason,
        });
    }
    let passphrase = secret.volume().volume_passphrase(identity);
    let volume = &settings.volumes.first;
    open_volume(
        latched,
        header,
        &volume.name,
        &passphrase,
        record.keyslot(),
        &volume.options,
    )
    .map_err(Failure::of(Phase::Open))
}

/// What is true of the TPM while the question is asked.
const fn standing(latched: &Latched) -> &'static str {
    if latched.has_tpm() {
        "the TPM's latch is closed. If you did not expect this question, do not answer it."
    } else {
        "there is no TPM, so nothing has vouched for the software that asks. If you did not expect \
         this question, do not answer it."
    }
}

/// What a person does about it, once the reason is known.
const fn next_step(phase: Phase) -> &'static str {
    match phase {
        Phase::Unseal | Phase::Launch => {
            "If you or an update changed that, type the passphrase, and then run `/usr/lib/taoboot/kernel refresh` and `taoboot check-next-boot`; if no entry with tboot was chosen, restart and choose one; `taoboot why` says more."
        }
        Phase::Tpm | Phase::Latch => {
            "Switch the machine off and on once; if it asks again, type the passphrase, and look at the TPM with `taoboot setup --check`."
        }
        Phase::Acpi | Phase::Evidence => {
            "If you did not change the firmware or the enrolment, do not type the passphrase here: this kernel may run somebody else's code. Start a rescue system of your own instead."
        }
        _ => {
            "Type the passphrase or the recovery key; `taoboot status` then says what is enrolled, and `taoboot setup` enrols again what was made on this machine."
        }
    }
}

/// The enrolment marked a recovery key's keyslot.
fn kind_of_passphrase(header: &CheckedHeader, keyslot: u32) -> Opened {
    let marked = find_recovery_keys(header);
    if marked.iter().any(|(_, slots)| slots.contains(&keyslot)) {
        Opened::RecoveryKey
    } else {
        Opened::Passphrase
    }
}

fn open_with_passphrase(
    header: &CheckedHeader,
    latched: &Latched,
    why: &Failure,
    settings: &Settings,
    boot: &mut Boot,
) -> Result<(OpenVolume, Proof), Failure> {
    boot.progress
        .error(&format!("the disk cannot be unlocked automatically: {why}"));
    boot.report.phase = Some(why.phase);
    boot.report.reason = Some(why.reason.clone());
    boot.report.action = Some(OnFailure::Prompt);
    boot.report
        .set_times(boot.progress.phases(), boot.progress.elapsed());
    boot.send_report();
    let mut prompt = Prompt::open(settings.stars).map_err(Failure::of(Phase::Prompt))?;
    prompt.say("").map_err(Failure::of(Phase::Prompt))?;
    prompt
        .say(&format!("taoboot: {why}"))
        .map_err(Failure::of(Phase::Prompt))?;
    prompt
        .say(&format!("taoboot: {}", next_step(why.phase)))
        .map_err(Failure::of(Phase::Prompt))?;
    prompt
        .say(&format!("taoboot: {}", standing(latched)))
        .map_err(Failure::of(Phase::Prompt))?;
    for attempt in 1..=TRIES {
        let question = format!(
            "Passphrase or recovery key for {} ({attempt} of {TRIES}): ",
            header.uuid()
        );
        let passphrase = prompt.ask(&question).map_err(Failure::of(Phase::Prompt))?;
        let opened = open_proven_volume(
            latched,
            header,
            &settings.volumes.first.name,
            &passphrase,
            settings.secret_id.as_ref().map(SecretId::as_str),
            &settings.volumes.first.options,
        );
        match opened {
            Ok(opened) => return Ok(opened),
            // No passphrase makes another volume the enrolled one.
            Err(error @ OpenError::NotEnrolled { .. }) => {
                return Err(Failure::of(Phase::Open)(error));
            }
            // Nor is another asked for, when a TPM has appeared.
            Err(error @ OpenError::Latch(_)) => return Err(Failure::of(Phase::Latch)(error)),
            Err(error) => prompt
                .say(&format!("taoboot: {error}"))
                .map_err(Failure::of(Phase::Prompt))?,
        }
    }
    prompt.stay_quiet();
    Err(Failure {
        phase: Phase::Prompt,
        reason: format!("{TRIES} wrong passphrases"),
    })
}
