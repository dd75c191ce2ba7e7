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
    if let DeviceSpec::Uuid(wanted) = &volume.device
        && !header.uuid().eq_ignore_ascii_case(wanted)
    {
        return Err(Box::new(OtherUuid {
            wanted: wanted.clone(),
            found: header.uuid().to_owned(),
        }));
    }
    let opened = open_further_volume(latched, &header, &volume.name, secret, &volume.options)?;
    Ok((header.uuid().to_owned(), opened))
}
