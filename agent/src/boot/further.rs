//! Opens the further volumes: those that are named beside the one with the records.
//!
//! One that cannot be opened stops nothing unless the configuration requires it: the booted system does
//! without it, or waits for it, as its own fstab and crypttab say. What root itself needs is looked for
//! later, among those that are open.

use std::time::{Duration, Instant};

use super::{
    config::{Settings, VolumeSettings},
    devices::Devices,
    evidence::Recorded,
    modules::Loader,
    open::Unlocked,
    phase::Phase,
    report::FurtherVolume,
    state::Boot,
};
use crate::{
    config::device::DeviceSpec,
    unlock::{CheckedHeader, Latched, OpenVolume, VolumeSecret, open_further_volume},
};

/// Opens each, after PCR 15 has told how the first was opened.
pub(super) fn open(
    unlocked: &Unlocked,
    recorded: &Recorded,
    settings: &Settings,
    devices: &mut Devices,
    loader: &mut Loader,
    boot: &mut Boot,
) -> Result<(), Required> {
    let wanted = &settings.volumes.further;
    if wanted.is_empty() {
        return Ok(());
    }
    let Some(secret) = unlocked.volume_secret() else {
        let reason = "nothing proves that the volume which a passphrase opened is the enrolled one";
        for volume in wanted {
            closed(volume, reason.to_owned(), boot)?;
        }
        return Ok(());
    };
    let mut names = Vec::new();
    let started = Instant::now();
    for volume in wanted {
        // One time-out for all that are missing.
        let left = settings.device_timeout.saturating_sub(started.elapsed());
        match open_one(volume, secret, recorded.latched(), left, devices, loader) {
            Ok((uuid, opened)) => {
                names.push(opened.name().to_owned());
                boot.report.further_volumes.push(FurtherVolume {
                    uuid,
                    name: opened.name().to_owned(),
                });
                boot.further.push(opened);
            }
            Err(reason) => closed(volume, reason.to_string(), boot)?,
        }
    }
    if !names.is_empty() {
        let names = names.join(", ");
        boot.progress
            .done(Phase::Further, &format!("{names} opened"));
    }
    Ok(())
}

/// The configuration says that the machine is not itself without this volume.
#[derive(Debug, thiserror::Error)]
#[error("{name} is not open, and the measured configuration requires it: {reason}")]
pub(super) struct Required {
    name: String,
    reason: String,
}

fn closed(volume: &VolumeSettings, reason: String, boot: &mut Boot) -> Result<(), Required> {
    let name = volume.name.clone();
    if volume.required {
        return Err(Required { name, reason });
    }
    boot.warn(format!("{name} is not open: {reason}"));
    Ok(())
}

/// The UUID by which a disk was found can be in one copy of its header, and another UUID in the copy that
/// counts.
#[derive(Debug, thiserror::Error)]
#[error(
    "UUID={wanted} was looked for, but the LUKS header that counts has UUID={found}: the device's two headers disagree"
)]
struct OtherUuid {
    wanted: String,
    found: String,
}

fn open_one(
    volume: &VolumeSettings,
    secret: &VolumeSecret,
    latched: &Latched,
    timeout: Duration,
    devices: &mut Devices,
    loader: &mut Loader,
) -> Result<(String, OpenVolume), Box<dyn std::error::Error>> {
    let device = devices.wait_for(loader, timeout, &volume.device)?;
    let header = CheckedHeader::read(&device.node())?;
    check_uuid(&volume.device, header.uuid())?;
    let opened = open_further_volume(latched, &header, &volume.name, secret, &volume.options)?;
    Ok((header.uuid().to_owned(), opened))
}

fn check_uuid(wanted: &DeviceSpec, found: &str) -> Result<(), OtherUuid> {
    match wanted {
        DeviceSpec::Uuid(uuid) if !found.eq_ignore_ascii_case(uuid) => Err(OtherUuid {
            wanted: uuid.clone(),
            found: found.to_owned(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(required: bool) -> VolumeSettings {
        VolumeSettings {
            device: DeviceSpec::Uuid("0b5b".into()),
            name: "data".into(),
            options: Vec::new(),
            required,
        }
    }

    #[test]
    fn only_a_required_volume_that_stays_closed_stops_the_boot() {
        let mut boot = Boot::start();
        closed(&volume(false), "it is not there".into(), &mut boot).unwrap();
        assert_eq!(boot.report.warnings, ["data is not open: it is not there"]);
        let stopped = closed(&volume(true), "it is not there".into(), &mut boot).unwrap_err();
        assert!(stopped.to_string().contains("requires it"), "{stopped}");
        assert_eq!(boot.report.warnings.len(), 1);
    }

    /// One enrolled volume does not take another one's place by a UUID in the header copy that does not count.
    #[test]
    fn the_header_that_counts_has_the_uuid_that_was_looked_for() {
        let wanted = DeviceSpec::Uuid("0b5b".into());
        check_uuid(&wanted, "0B5B").unwrap();
        let refused = check_uuid(&wanted, "1b5b").unwrap_err().to_string();
        assert!(refused.contains("two headers disagree"), "{refused}");
    }
}
