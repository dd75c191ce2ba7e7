//! What the boot says of itself, in PCR 15, before anything is mounted: how the volume was
//! opened, which volume it is, which key the Tao host has.

use tao::attestation::BootEvent;

use crate::{
    boot::{
        acpi_later, config::Settings, failure::Failure, open::Unlocked, phase::Phase, state::Boot,
    },
    config::HostKey,
    host,
    unlock::{Latched, record_boot},
};

/// Proof that PCR 15 tells what was opened, or that there is no TPM that could. Only [`record`]
/// makes one; mounting root asks for it.
pub struct Recorded {
    event: BootEvent,
    latched: Latched,
}

impl Recorded {
    /// What was extended.
    pub const fn event(&self) -> &BootEvent {
        &self.event
    }

    /// The closed latch, for what is opened now.
    pub const fn latched(&self) -> &Latched {
        &self.latched
    }
}

/// Proof that what was relied on was looked at once more, right before the machine is given away. Only
/// [`last_look`] makes one; the pivot and the real init ask for it.
pub struct Ready(());

/// Is the latch that all this rests on the only one still, and has the kernel no other code by now?
pub(super) fn last_look(
    recorded: &Recorded,
    settings: &Settings,
    boot: &mut Boot,
) -> Result<Ready, Failure> {
    recorded
        .latched
        .holds()
        .map_err(Failure::of(Phase::Latch))?;
    acpi_later::look_again(boot, settings.acpi_tables.as_ref())
        .map_err(Failure::of(Phase::Acpi))?;
    Ok(Ready(()))
}

/// The Tao host would have another key than the one that is pinned.
#[derive(Debug, thiserror::Error)]
#[error(
    "the Tao host would have the key {found}, but the measured configuration pins {pinned}: nothing is mounted. If a new host secret was made with --new-host-secret, build the image with the new host_key"
)]
struct OtherHostKey {
    found: String,
    pinned: String,
}

/// Whoever has the volume's key can make a record of the genuine volume secret with a host secret
/// that he knows. The measured configuration can say which key the host must have.
fn check_pinned(pinned: Option<&HostKey>, found: &[u8; 32]) -> Result<(), OtherHostKey> {
    match pinned {
        Some(pinned) if pinned.digest() != found => Err(OtherHostKey {
            found: hex::encode(found),
            pinned: hex::encode(pinned.digest()),
        }),
        _ => Ok(()),
    }
}

/// Extends PCR 15 for the second time.
pub(super) fn record(
    unlocked: &mut Unlocked,
    latched: Latched,
    settings: &Settings,
    boot: &mut Boot,
) -> Result<Recorded, Failure> {
    // A person may have been asked in between.
    latched.holds().map_err(Failure::of(Phase::Latch))?;
    let host_key = match &unlocked.secret {
        Some(secret) => {
            let found = host::key_digest(&secret.host().to_bytes(), &settings.host)
                .map_err(Failure::of(Phase::Evidence))?;
            check_pinned(settings.host_key.as_ref(), &found)
                .map_err(Failure::of(Phase::Evidence))?;
            Some(found)
        }
        None => None,
    };
    let event = BootEvent {
        opened: unlocked.opened,
        volume: unlocked.volume,
        host_key,
        acpi: boot.acpi.event(),
    };
    if let Some(tpm) = &mut unlocked.tpm {
        record_boot(tpm, &event).map_err(Failure::of(Phase::Evidence))?;
        boot.report.boot_event = Some(event.to_string());
        boot.progress
            .done(Phase::Evidence, &format!("PCR 15 extended: {event}"));
    }
    Ok(Recorded { event, latched })
}

#[cfg(test)]
mod tests {
    use tao::attestation::{BootVolume, Opened};
    use tpm::{Tpm2, swtpm::Swtpm};

    use super::*;
    use crate::{
        boot::config::cmdline::CommandLine,
        config::Config,
        unlock::{KnownTpms, close_latch},
    };

    #[test]
    fn a_tpm_that_appears_while_a_person_is_asked_stops_the_boot_before_anything_is_mounted() {
        let sysfs = tempfile::tempdir().unwrap();
        let swtpm = Swtpm::start().unwrap();
        let mut tpm = Tpm2::open(&swtpm.tcti()).unwrap();
        let latched =
            |tpm: &mut Tpm2| close_latch(tpm, &KnownTpms::one(sysfs.path(), false)).unwrap();
        let line = CommandLine::parse("root=/dev/sda2").unwrap();
        let settings = Settings::merge(line, Config::default()).unwrap();
        let record_with = |latched| {
            let mut unlocked = Unlocked {
                mapping: "/dev/mapper/root".into(),
                swap: None,
                secret: None,
                by_passphrase: None,
                opened: Opened::Passphrase,
                volume: BootVolume::Unproven([1; 32]),
                tpm: None,
            };
            record(&mut unlocked, latched, &settings, &mut Boot::start())
        };
        std::fs::create_dir(sysfs.path().join("tpm0")).unwrap();
        let recorded = record_with(latched(&mut tpm)).unwrap();
        let holds = || last_look(&recorded, &settings, &mut Boot::start()).is_ok();
        assert!(holds());
        let late = latched(&mut tpm);
        // Nor one in its place.
        let away = tempfile::tempdir().unwrap();
        std::fs::rename(sysfs.path().join("tpm0"), away.path().join("tpm0")).unwrap();
        std::fs::create_dir(sysfs.path().join("tpm0")).unwrap();
        assert!(!holds() && late.holds().is_err());
        std::fs::remove_dir(sysfs.path().join("tpm0")).unwrap();
        std::fs::rename(away.path().join("tpm0"), sysfs.path().join("tpm0")).unwrap();
        assert!(holds());
        std::fs::create_dir(sysfs.path().join("tpm1")).unwrap();
        let failure = record_with(late).map(drop).unwrap_err();
        assert_eq!(failure.phase, Phase::Latch);
        // Nor is the real init executed.
        assert!(!holds());
    }

    /// Nothing gets the machine that was not pinned.
    #[test]
    fn an_acpi_table_that_is_loaded_while_the_volume_is_opened_stops_the_boot_where_they_are_pinned()
     {
        let directory = tempfile::tempdir().unwrap();
        let tables = directory.path().join("tables");
        let swtpm = Swtpm::start().unwrap();
        let mut tpm = Tpm2::open(&swtpm.tcti()).unwrap();
        let latched = close_latch(&mut tpm, &KnownTpms::one("/none", false)).unwrap();
        std::fs::create_dir(&tables).unwrap();
        std::fs::write(tables.join("DSDT"), "d").unwrap();
        let mut boot = Boot::start();
        boot.read_acpi(&tables);
        let digest = hex::encode(boot.acpi.tables().unwrap().digest());
        let settings = |config: &str| {
            let line = CommandLine::parse("root=/dev/sda2").unwrap();
            Settings::merge(line, Config::parse(config, "x").unwrap()).unwrap()
        };
        let pinned = settings(&format!("acpi_tables = \"{digest}\""));
        let recorded = Recorded {
            event: BootEvent {
                opened: Opened::Tpm,
                volume: BootVolume::Unproven([1; 32]),
                host_key: None,
                acpi: boot.acpi.event(),
            },
            latched,
        };
        last_look(&recorded, &pinned, &mut boot).map(drop).unwrap();
        std::fs::write(tables.join("SSDT1"), "late").unwrap();
        let refused = last_look(&recorded, &pinned, &mut boot).map(drop);
        assert_eq!(refused.unwrap_err().phase, Phase::Acpi);
        // Without a pin it is told.
        let mut boot = Boot::start();
        boot.read_acpi(&tables);
        std::fs::write(tables.join("SSDT2"), "later").unwrap();
        last_look(&recorded, &settings(""), &mut boot)
            .map(drop)
            .unwrap();
        assert!(boot.report.warnings[0].contains("SSDT2"));
    }

    #[test]
    fn only_the_pinned_key_is_taken_and_any_where_none_is_pinned() {
        let pinned = HostKey::try_from("ab".repeat(32)).unwrap();
        assert!(check_pinned(None, &[1; 32]).is_ok());
        assert!(check_pinned(Some(&pinned), &[0xab; 32]).is_ok());
        let refused = check_pinned(Some(&pinned), &[1; 32])
            .unwrap_err()
            .to_string();
        assert!(refused.contains("nothing is mounted"), "{refused}");
        for text in [
            "",
            "ab",
            &"AB".repeat(32),
            &"ab".repeat(33),
            &"zz".repeat(32),
        ] {
            assert!(HostKey::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
