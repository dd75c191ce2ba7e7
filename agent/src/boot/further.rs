//! Opens the further volumes: those that are named beside the one with the records.
//!
//! One that cannot be opened stops nothing: the booted system does without it, or waits for it, as
//! its own fstab and crypttab say. What root itself needs is looked for later, among those that are
//! open.

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
use crate::unlock::{CheckedHeader, Latched, OpenVolume, VolumeSecret, open_further_volume};

/// Opens each, after PCR 15 has told how the first was opened.
pub(super) fn open(
    unlocked: &Unlocked,
    recorded: &Recorded,
    settings: &Settings,
    devices: &mut Devices,
    loader: &mut Loader,
    boot: &mut Boot,
) {
    let wanted = &settings.volumes.further;
    if wanted.is_empty() {
        return;
    }
    let Some(secret) = unlocked.volume_secret() else {
        let names: Vec<_> = wanted.iter().map(|volume| volume.name.as_str()).collect();
        return boot.warn(format!(
            "{} not opened: nothing proves that the volume which a passphrase opened is the enrolled one",
            names.join(", ")
        ));
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
            Err(reason) => boot.warn(format!("{} is not open: {reason}", volume.name)),
        }
    }
    if !names.is_empty() {
        let names = names.join(", ");
        boot.progress
            .done(Phase::Further, &format!("{names} opened"));
    }
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
    let opened = open_further_volume(latched, &header, &volume.name, secret, &volume.options)?;
    Ok((header.uuid().to_owned(), opened))
}
