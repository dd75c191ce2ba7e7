//! Asks the TPM for the boot secret, then closes its latch, whatever it answered.

pub(super) mod sleep_state;
mod tboot_page;

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

use tpm::{Tpm, Tpm2, TpmError};

use crate::{
    boot::{
        config::Settings, devices::Devices, failure::Failure, modules::Loader, phase::Phase,
        report::Launch, state::Boot,
    },
    config::SecretId,
    unlock::{
        BootSecret, LatchError, Latched, NoTpm, NoTpmError, Pinned, SealedRecord, Unsealing,
        close_latch, unseal,
    },
};

/// The TPM with the kernel's resource manager, so that nobody's objects collide.
pub(crate) const TCTI: &str = "device:/dev/tpmrm0";

/// The node that [`TCTI`] opens.
const DEVICE: &str = "/dev/tpmrm0";
/// Where the kernel lists TPMs.
const SYSFS_TPM: &str = "/sys/class/tpm";

/// The TPM's answer, and the proof that it will give no other.
pub(super) struct Released<'r> {
    /// The secret and the record that held it, or why there is none.
    pub secret: Result<(BootSecret, &'r SealedRecord), Failure>,
    /// The latch is closed; without this proof nothing can be opened.
    pub latched: Result<Latched, Failure>,
    /// The TPM, for the boot event.
    pub tpm: Option<Tpm2>,
}

/// One unseal, then the latch.
pub(super) fn release<'r>(
    records: &'r [SealedRecord],
    settings: &Settings,
    devices: &mut Devices,
    loader: &mut Loader,
    boot: &mut Boot,
) -> Released<'r> {
    // A built-in TPM driver sends no event any more; one in a module does.
    let waited = devices.wait(
        loader,
        settings.device_timeout,
        "the TPM (/dev/tpmrm0)",
        |_| is_there(Path::new(DEVICE), Path::new(SYSFS_TPM)),
    );
    let pinned = settings.srk_name.is_some();
    if let Err(reason) = only_chip(Path::new(SYSFS_TPM), pinned) {
        return refused(reason.to_string());
    }
    let mut tpm = match Tpm2::open(TCTI) {
        Ok(tpm) => tpm,
        Err(error) => return without(&error, waited.is_err(), settings),
    };
    if let Some(name) = &settings.srk_name {
        tpm.pin_srk(name.clone());
    }
    boot.progress.done(Phase::Tpm, "TPM 2.0 opened");
    let secret = ask(&mut tpm, records, settings, boot);
    let reached = match &secret {
        Ok(_) => "boot secret released",
        Err(_) => "boot secret not released",
    };
    boot.progress.done(Phase::Unseal, reached);
    let latched = close(&mut tpm, tboot_page::may_be_there()).map_err(Failure::of(Phase::Latch));
    // Another may have appeared meanwhile.
    if let Err(reason) = only_chip(Path::new(SYSFS_TPM), pinned) {
        return refused(reason.to_string());
    }
    boot.report.latched = latched.is_ok();
    boot.progress.done(
        Phase::Latch,
        if latched.is_ok() {
            "latch closed (PCR 15)"
        } else {
            "latch not closed"
        },
    );
    Released {
        secret,
        latched,
        tpm: Some(tpm),
    }
}

/// Is the node there that will be opened, or a TPM 1.2, which has no such node? A TPM's other node
/// appears earlier, and says nothing about this one.
fn is_there(device: &Path, sysfs: &Path) -> bool {
    let is_tpm12 = || {
        fs::read_to_string(sysfs.join("tpm0/tpm_version_major"))
            .is_ok_and(|version| version.trim() == "1")
    };
    device.exists() || is_tpm12()
}

/// Why it is not certain which TPM's latch has to be closed.
#[derive(Debug, thiserror::Error)]
enum ChipError {
    /// The list of TPMs cannot be read.
    #[error(
        "{path} cannot be read ({source}), so whether there is another TPM is not certain: nothing is opened or asked for"
    )]
    Unreadable {
        /// The kernel's list.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// There are several, and none is pinned.
    #[error(
        "there are several TPMs ({0}), and which of them a launch is measured into is not known: nothing is opened or asked for, because the latches of the others stay open. Pin the right one's storage key (srk_name; `taoboot srk --pin`), or switch the others off"
    )]
    Several(String),
}

/// Is it certain which TPM a launch was measured into, so that its latch is the one that is closed?
/// A machine may have several; the first is whichever driver came first. The one whose storage root
/// key is pinned is known, and no other is believed.
fn only_chip(sysfs: &Path, pinned: bool) -> Result<(), ChipError> {
    if pinned {
        return Ok(());
    }
    let unreadable = |source| ChipError::Unreadable {
        path: sysfs.display().to_string(),
        source,
    };
    let chips = match fs::read_dir(sysfs) {
        Ok(chips) => chips,
        // A kernel that knows none at all, which the proof of no TPM looks into.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut names = Vec::new();
    for chip in chips {
        let name = chip.map_err(unreadable)?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    match names.len() {
        0 | 1 => Ok(()),
        _ => Err(ChipError::Several(
            printable::line(names.join(", ")).to_string(),
        )),
    }
}

/// Nothing is released, opened or asked for.
fn refused(reason: String) -> Released<'static> {
    let failure = |phase| Failure {
        phase,
        reason: reason.clone(),
    };
    Released {
        secret: Err(failure(Phase::Tpm)),
        latched: Err(failure(Phase::Latch)),
        tpm: None,
    }
}

/// No TPM could be opened: nothing is released, and only the proof that there is none opens
/// anything.
fn without(error: &TpmError, waited_in_vain: bool, settings: &Settings) -> Released<'static> {
    let proof = NoTpm::prove(settings.no_tpm, error);
    let mut reason = error.to_string();
    if waited_in_vain && matches!(proof, Ok(_) | Err(NoTpmError::NotAllowed)) {
        reason.push_str("; is a TPM 2.0 switched on in the firmware set-up?");
    }
    if let Err(why) = &proof {
        reason.push_str("; ");
        reason.push_str(&why.to_string());
    }
    Released {
        secret: Err(Failure {
            phase: Phase::Tpm,
            reason,
        }),
        latched: proof
            .map(Latched::without_tpm)
            .map_err(Failure::of(Phase::Latch)),
        tpm: None,
    }
}

/// Closes the latch of the TPM whose storage root key is pinned. A TPM that was cleared or exchanged
/// has another; without tboot no TPM releases anything in this boot, and then the latch of whatever
/// TPM is there will do, so that the owner's recovery key still opens the volume.
fn close(tpm: &mut Tpm2, through_tboot: bool) -> Result<Latched, LatchError> {
    match close_latch(tpm) {
        Err(LatchError::Tpm(TpmError::WrongSrk { .. })) if !through_tboot => {
            tpm.unpin_srk();
            close_latch(tpm)
        }
        done => done,
    }
}

fn ask<'r>(
    tpm: &mut dyn Tpm,
    records: &'r [SealedRecord],
    settings: &Settings,
    boot: &mut Boot,
) -> Result<(BootSecret, &'r SealedRecord), Failure> {
    let pinned = Pinned {
        srk: settings.srk_name.as_ref(),
        secret_id: settings.secret_id.as_ref().map(SecretId::as_str),
    };
    let Unsealing { seen, released } =
        unseal(tpm, records, pinned).map_err(Failure::of(Phase::Launch))?;
    boot.report.pcrs = seen
        .iter()
        .map(|(pcr, value)| (pcr, hex::encode(value)))
        .collect();
    boot.report.launch = Launch::of(&seen);
    released.map_err(Failure::of(Phase::Unseal))
}

#[cfg(test)]
mod tests {
    use tpm::{Bank, Name, PcrIndex, PcrSet, swtpm::Swtpm};

    use super::*;

    fn is_closed(swtpm: &Swtpm) -> bool {
        let latch = PcrSet::default().with(PcrIndex::LATCH);
        let mut tpm = Tpm2::open(&swtpm.tcti()).unwrap();
        let values = tpm.pcr_read(Bank::Sha256, latch).unwrap();
        values.get(PcrIndex::LATCH).unwrap() != [0; 32]
    }

    #[test]
    fn another_tpm_than_the_pinned_one_is_no_closed_latch_where_a_launch_may_have_been() {
        let pinned = Name::from_bytes(&[&[0, 0x0b][..], &[7; 32]].concat()).unwrap();
        for through_tboot in [true, false] {
            let swtpm = Swtpm::start().unwrap();
            let mut tpm = Tpm2::open(&swtpm.tcti()).unwrap();
            tpm.pin_srk(pinned.clone());
            let latched = close(&mut tpm, through_tboot);
            drop(tpm);
            assert_eq!(latched.is_ok(), !through_tboot, "{latched:?}");
            assert_eq!(is_closed(&swtpm), !through_tboot);
        }
    }

    #[test]
    fn with_several_tpms_nothing_is_opened_unless_one_is_pinned() {
        let folder = tempfile::tempdir().unwrap();
        let sysfs = folder.path().join("class/tpm");
        only_chip(&sysfs, false).unwrap();
        fs::create_dir_all(sysfs.join("tpm0")).unwrap();
        only_chip(&sysfs, false).unwrap();
        fs::create_dir(sysfs.join("tpm1")).unwrap();
        let reason = only_chip(&sysfs, false).unwrap_err().to_string();
        assert!(
            reason.contains("tpm0, tpm1") && reason.contains("srk_name"),
            "{reason}"
        );
        only_chip(&sysfs, true).unwrap();
        // What cannot be looked at may be several.
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(only_chip(&folder.path().join("file"), false).is_err());
        let Released {
            secret,
            latched,
            tpm,
        } = refused(reason);
        // Without the latch nobody is asked and no volume is opened.
        assert!(secret.is_err() && latched.is_err() && tpm.is_none());
    }

    #[test]
    fn the_node_that_is_opened_is_the_one_that_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let ready = || is_there(&path("dev/tpmrm0"), &path("sys"));
        fs::create_dir_all(path("dev")).unwrap();
        fs::create_dir_all(path("sys/tpm0")).unwrap();
        // The driver has made tpm0; the resource manager's node comes later.
        fs::write(path("dev/tpm0"), "").unwrap();
        fs::write(path("sys/tpm0/tpm_version_major"), "2\n").unwrap();
        assert!(!ready());
        fs::write(path("dev/tpmrm0"), "").unwrap();
        assert!(ready());
        // A TPM 1.2 never gets one.
        fs::remove_file(path("dev/tpmrm0")).unwrap();
        fs::write(path("sys/tpm0/tpm_version_major"), "1\n").unwrap();
        assert!(ready());
    }
}
