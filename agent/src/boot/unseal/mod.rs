//! Asks the TPM for the boot secret, then closes its latch, whatever it answered.

mod person;
pub(super) mod sleep_state;
mod tboot_page;

use std::{fs, path::Path};

use tpm::{Tpm, Tpm2, TpmError};

use crate::{
    boot::{
        acpi_later, config::Settings, devices::Devices, failure::Failure, modules::Loader,
        phase::Phase, report::Launch, state::Boot,
    },
    config::SecretId,
    unlock::{
        AskPin, BootSecret, KnownTpms, LatchError, Latched, NoTpm, NoTpmError, Pinned, SYSFS_TPM,
        SealedRecord, Unsealing, close_latch, unseal_asking,
    },
};

use person::Person;

/// The TPM with the kernel's resource manager, so that nobody's objects collide.
pub(crate) const TCTI: &str = "device:/dev/tpmrm0";

/// The node that [`TCTI`] opens.
const DEVICE: &str = "/dev/tpmrm0";

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
    let tpms = KnownTpms::one(SYSFS_TPM, settings.srk_name.is_some());
    let waited = devices.wait(
        loader,
        settings.device_timeout,
        "the TPM (/dev/tpmrm0)",
        |_| is_there(Path::new(DEVICE), tpms.sysfs()),
    );
    // Before it is opened: it is this one that the rest is about.
    let tpms = match tpms.noted() {
        Ok(tpms) => tpms,
        Err(error) => return refused(error.to_string()),
    };
    let mut tpm = match Tpm2::open(TCTI) {
        Ok(tpm) => tpm,
        Err(error) => return without(&error, waited.is_err(), settings, tpms),
    };
    if let Some(name) = &settings.srk_name {
        tpm.pin_srk(name.clone());
    }
    boot.progress.done(Phase::Tpm, "TPM 2.0 opened");
    release_from(tpm, &tpms, records, settings, boot)
}

/// What this TPM gives, if there is no other.
fn release_from<'r>(
    mut tpm: Tpm2,
    tpms: &KnownTpms,
    records: &'r [SealedRecord],
    settings: &Settings,
    boot: &mut Boot,
) -> Released<'r> {
    // Another may have appeared meanwhile.
    let secret = match tpms.look() {
        Ok(()) => {
            let mut person = Person::of(settings);
            ask(&mut tpm, records, settings, boot, &mut person)
        }
        Err(error) => Err(Failure::of(Phase::Tpm)(error)),
    };
    let reached = match &secret {
        Ok(_) => "boot secret released",
        Err(_) => "boot secret not released",
    };
    boot.progress.done(Phase::Unseal, reached);
    let latched =
        close(&mut tpm, tpms, tboot_page::may_be_there()).map_err(Failure::of(Phase::Latch));
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
fn without(
    error: &TpmError,
    waited_in_vain: bool,
    settings: &Settings,
    tpms: KnownTpms,
) -> Released<'static> {
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
            .map_err(Failure::of(Phase::Latch))
            .and_then(|proof| Latched::without_tpm(proof, tpms).map_err(Failure::of(Phase::Latch))),
        tpm: None,
    }
}

/// Closes the latch of the TPM whose storage root key is pinned. A TPM that was cleared or exchanged
/// has another; without tboot no TPM releases anything in this boot, and then the latch of whatever
/// TPM is there will do, so that the owner's recovery key still opens the volume.
fn close(tpm: &mut Tpm2, tpms: &KnownTpms, through_tboot: bool) -> Result<Latched, LatchError> {
    match close_latch(tpm, tpms) {
        Err(LatchError::Tpm(TpmError::WrongSrk { .. })) if !through_tboot => {
            tpm.unpin_srk();
            close_latch(tpm, &tpms.unpinned())
        }
        done => done,
    }
}

fn ask<'r>(
    tpm: &mut dyn Tpm,
    records: &'r [SealedRecord],
    settings: &Settings,
    boot: &mut Boot,
    person: &mut dyn AskPin,
) -> Result<(BootSecret, &'r SealedRecord), Failure> {
    let pinned = Pinned {
        srk: settings.srk_name.as_ref(),
        secret_id: settings.secret_id.as_ref().map(SecretId::as_str),
        require: settings.require,
    };
    // Without a record nothing is asked for; the registers are read for the report.
    let pin = settings.acpi_tables.as_ref();
    // Drivers were loaded since the first look.
    let acpi = boot
        .acpi
        .check(pin)
        .and_then(|()| acpi_later::look_again(boot, pin));
    let offered = if acpi.is_ok() { records } else { &[] };
    let Unsealing { seen, released } =
        unseal_asking(tpm, offered, pinned, person).map_err(Failure::of(Phase::Launch))?;
    boot.report.pcrs = seen
        .iter()
        .map(|(pcr, value)| (pcr, hex::encode(value)))
        .collect();
    boot.report.launch = Launch::of(&seen);
    acpi.map_err(Failure::of(Phase::Acpi))?;
    released.map_err(Failure::of(Phase::Unseal))
}

#[cfg(test)]
mod tests {
    use tpm::{Bank, Name, PcrIndex, PcrSet, swtpm::Swtpm};

    use super::*;
    use crate::{
        boot::{acpi, config::cmdline::CommandLine},
        config::Config,
    };

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
            let latched = close(&mut tpm, &KnownTpms::one("/x", true), through_tboot);
            drop(tpm);
            assert_eq!(latched.is_ok(), !through_tboot, "{latched:?}");
            assert_eq!(is_closed(&swtpm), !through_tboot);
        }
    }

    /// Closed or not, the latch is worth nothing then, and the secret is not asked for.
    #[test]
    fn a_tpm_that_appears_after_the_first_look_is_noticed_before_the_unseal_and_after_the_latch() {
        let directory = tempfile::tempdir().unwrap();
        let sysfs = directory.path();
        let settings = Settings::merge(
            CommandLine::parse("root=/dev/sda2").unwrap(),
            Config::default(),
        )
        .unwrap();
        let tpms = KnownTpms::one(sysfs, false);
        fs::create_dir(sysfs.join("tpm0")).unwrap();
        let swtpm = Swtpm::start().unwrap();
        let asked = |tpms: &KnownTpms| {
            let mut boot = Boot::start();
            let tpm = Tpm2::open(&swtpm.tcti()).unwrap();
            let released = release_from(tpm, tpms, &[], &settings, &mut boot);
            assert_eq!(boot.report.latched, released.latched.is_ok());
            let phase = released.secret.map(drop).unwrap_err().phase;
            (phase, released.latched, boot.report.pcrs.is_empty())
        };
        // Nothing is released for want of a record, and nothing else is wrong.
        let (phase, latched, unread) = asked(&tpms);
        assert_eq!((phase, unread), (Phase::Unseal, false));
        let latched = latched.unwrap();
        latched.holds().unwrap();
        fs::create_dir(sysfs.join("tpm1")).unwrap();
        let (phase, late, unread) = asked(&tpms);
        assert_eq!((phase, unread), (Phase::Tpm, true));
        let late = late.unwrap_err();
        assert_eq!(late.phase, Phase::Latch);
        assert!(late.reason.contains("tpm0, tpm1"), "{late}");
        assert!(is_closed(&swtpm));
        // Nor does the one that was closed before count any more.
        assert!(latched.holds().is_err());
        let (phase, latched, _) = asked(&KnownTpms::one(sysfs, true));
        assert_eq!(phase, Phase::Unseal);
        latched.unwrap().holds().unwrap();
    }

    /// A decoy that was noted is gone, and another has its name: nothing is asked of it.
    #[test]
    fn a_tpm_in_the_place_of_the_one_that_was_opened_is_not_asked() {
        let directory = tempfile::tempdir().unwrap();
        let sysfs = directory.path().join("class");
        let line = CommandLine::parse("root=/dev/sda2").unwrap();
        let settings = Settings::merge(line, Config::default()).unwrap();
        fs::create_dir_all(sysfs.join("tpm0")).unwrap();
        let tpms = KnownTpms::one(&sysfs, false).noted().unwrap();
        let swtpm = Swtpm::start().unwrap();
        let asked = |tpms: &KnownTpms| {
            let mut boot = Boot::start();
            let tpm = Tpm2::open(&swtpm.tcti()).unwrap();
            let released = release_from(tpm, tpms, &[], &settings, &mut boot);
            let phase = released.secret.map(drop).unwrap_err().phase;
            (phase, released.latched, boot.report.pcrs.is_empty())
        };
        let (phase, latched, unread) = asked(&tpms);
        assert_eq!((phase, unread), (Phase::Unseal, false));
        let latched = latched.unwrap();
        fs::rename(sysfs.join("tpm0"), directory.path().join("gone")).unwrap();
        fs::create_dir(sysfs.join("tpm0")).unwrap();
        let (phase, late, unread) = asked(&tpms);
        assert_eq!((phase, unread), (Phase::Tpm, true));
        assert_eq!(late.unwrap_err().phase, Phase::Latch);
        assert!(latched.holds().is_err());
    }

    /// The latch is closed all the same, so that a person may be asked.
    #[test]
    fn with_other_acpi_tables_than_the_pinned_ones_the_tpm_is_not_asked() {
        let swtpm = Swtpm::start().unwrap();
        for (config, asked) in [
            ("", Phase::Unseal),
            (
                &format!("acpi_tables = \"{}\"", "ab".repeat(32)),
                Phase::Acpi,
            ),
        ] {
            let line = CommandLine::parse("root=/dev/sda2").unwrap();
            let settings = Settings::merge(line, Config::parse(config, "x").unwrap()).unwrap();
            let mut boot = Boot::start();
            let tpm = Tpm2::open(&swtpm.tcti()).unwrap();
            let tpms = KnownTpms::one("/none", false);
            let released = release_from(tpm, &tpms, &[], &settings, &mut boot);
            assert_eq!(released.secret.map(drop).unwrap_err().phase, asked);
            assert!(released.latched.is_ok() && is_closed(&swtpm));
            assert!(!boot.report.pcrs.is_empty());
        }
    }

    /// A table that a driver has loaded since the first look, or somebody else.
    #[test]
    fn with_an_acpi_table_more_than_at_the_first_look_the_tpm_is_not_asked_where_they_are_pinned() {
        let machine = tempfile::tempdir().unwrap();
        let swtpm = Swtpm::start().unwrap();
        fs::write(machine.path().join("DSDT"), "d").unwrap();
        let digest = acpi::find(machine.path())
            .tables()
            .unwrap()
            .digest()
            .to_owned();
        let pinned = format!("acpi_tables = \"{}\"", hex::encode(digest));
        for (config, late, asked) in [
            (pinned.as_str(), false, Phase::Unseal),
            (pinned.as_str(), true, Phase::Acpi),
            ("", true, Phase::Unseal),
        ] {
            let line = CommandLine::parse("root=/dev/sda2").unwrap();
            let settings = Settings::merge(line, Config::parse(config, "x").unwrap()).unwrap();
            let mut boot = Boot::start();
            let table = machine.path().join("SSDT1");
            boot.read_acpi(machine.path());
            if late {
                fs::write(&table, "late").unwrap();
            }
            let tpm = Tpm2::open(&swtpm.tcti()).unwrap();
            let tpms = KnownTpms::one("/none", false);
            let released = release_from(tpm, &tpms, &[], &settings, &mut boot);
            assert_eq!(released.secret.map(drop).unwrap_err().phase, asked);
            assert!(released.latched.is_ok());
            assert_eq!(boot.report.acpi_later.is_some(), late);
            if late {
                fs::remove_file(&table).unwrap();
            }
        }
    }

    #[test]
    fn several_tpms_before_any_is_opened_are_refused() {
        // Without the latch nobody is asked and no volume is opened.
        let Released {
            secret,
            latched,
            tpm,
        } = refused("several".into());
        assert!(secret.is_err() && latched.is_err() && tpm.is_none());
    }

    #[test]
    fn the_node_that_is_opened_is_the_one_that_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
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
