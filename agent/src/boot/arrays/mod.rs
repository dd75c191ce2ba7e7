//! Assembles the md arrays that the measured configuration names, on which volumes lie.
//!
//! Nothing else is assembled: what a disk says of itself is written by whoever has the disk. An array is
//! no more trusted than a disk either; the LUKS header on it is checked like any other.

mod start;

use std::{fs::File, path::Path};

use storage::md::{self, ArrayError, ArrayId, Candidate};

use super::{
    config::{ArraySettings, Settings},
    devices::{BlockDevice, Devices, DiscoverError},
    modules::{Loader, ModulesError},
    phase::Phase,
    state::Boot,
};
use start::StartError;
pub(super) use start::stop_all;

/// Why an array is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArraysError {
    /// Its members say otherwise, or are not there.
    #[error("{0}; disks seen: {1}")]
    Members(ArrayError, String),
    /// Members are missing, and that is not allowed.
    #[error(
        "the md array {array} has no member in slot {missing} within {seconds} s: plug the disk in, or allow it with degraded = true in its [[array]] of taoboot.toml{stale}"
    )]
    Degraded {
        array: ArrayId,
        missing: String,
        seconds: u64,
        stale: String,
    },
    /// The kernel's.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Events.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// Its driver.
    #[error(transparent)]
    Modules(#[from] ModulesError),
}

/// Waits for the members of each array, and starts it.
pub(super) fn assemble(
    settings: &Settings,
    devices: &mut Devices,
    loader: &mut Loader,
    boot: &mut Boot,
) -> Result<(), ArraysError> {
    let arrays = &settings.arrays;
    if arrays.is_empty() {
        return Ok(());
    }
    for wanted in arrays {
        let found = wait_for_members(wanted, settings, devices, loader)?;
        if let Some(module) = found.superblock.level.module() {
            loader.load_named(module)?;
        }
        let members = found.members.iter().map(|member| member.device.as_str());
        let others = found.others.iter().map(String::as_str);
        let members: Vec<&str> = members.chain(others).collect();
        let format = found.superblock.format;
        start::start(Path::new("/sys"), wanted.number, format, &members)?;
        // With the superblock at its end, a member looks like what is on the array.
        devices.hide(&members);
        devices.hide(&found.stale);
        if !found.is_complete() {
            boot.warn(format!(
                "the md array md{} ({}) is degraded: no member in slot {}",
                wanted.number,
                wanted.uuid,
                numbers(&found.missing)
            ));
        }
    }
    let names: Vec<String> = arrays
        .iter()
        .map(|array| format!("md{}", array.number))
        .collect();
    boot.progress
        .done(Phase::Arrays, &format!("{} started", names.join(", ")));
    Ok(())
}

fn wait_for_members(
    wanted: &ArraySettings,
    settings: &Settings,
    devices: &mut Devices,
    loader: &mut Loader,
) -> Result<md::Array, ArraysError> {
    let what = format!("the md array {}", wanted.uuid);
    let mut last = Err(ArrayError::Absent(wanted.uuid));
    let mut read = Candidates::default();
    let waited = devices.wait(loader, settings.device_timeout, &what, |devices| {
        last = md::array(wanted.uuid, read.of(devices));
        match &last {
            Ok(array) => array.is_complete(),
            // More may come.
            Err(
                ArrayError::Absent(_) | ArrayError::Unreadable { .. } | ArrayError::TooFew { .. },
            ) => false,
            // That does not get better.
            Err(_) => true,
        }
    });
    match waited {
        Ok(()) | Err(DiscoverError::Missing { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let array = last.map_err(|error| ArraysError::Members(error, devices.describe()))?;
    if array.is_complete() || wanted.degraded {
        return Ok(array);
    }
    let stale = if array.stale.is_empty() {
        String::new()
    } else {
        format!(" (out of date: {})", array.stale.join(", "))
    };
    Err(ArraysError::Degraded {
        array: wanted.uuid,
        missing: numbers(&array.missing),
        seconds: settings.device_timeout.as_secs(),
        stale,
    })
}

/// The superblocks of the disks that have been seen, each read once.
#[derive(Default)]
struct Candidates(Vec<Candidate>);

impl Candidates {
    fn of(&mut self, devices: &Devices) -> &[Candidate] {
        let wanted: Vec<&BlockDevice> = devices
            .blocks()
            .filter(|device| is_member(device, devices))
            .collect();
        self.0
            .retain(|known| wanted.iter().any(|device| device.name == known.device));
        for device in wanted {
            if self.0.iter().any(|known| known.device == device.name) {
                continue;
            }
            // A device without a medium is not a member; a damaged one is named by `Candidate`.
            let candidate = File::open(device.node())
                .ok()
                .and_then(|mut disk| Candidate::read(&device.name, &mut disk).ok());
            self.0.extend(candidate);
        }
        &self.0
    }
}

/// A disk and its last partition can have a superblock in common: then the partition is meant. Arrays on
/// arrays and on mappings are not assembled here.
fn is_member(device: &BlockDevice, devices: &Devices) -> bool {
    let is_made = ["md", "dm-"]
        .iter()
        .any(|kind| device.name.starts_with(kind));
    let has_partitions = || {
        devices.blocks().any(|other| {
            other.partuuid.is_some()
                && other.name.len() > device.name.len()
                && other.name.starts_with(&device.name)
        })
    };
    !is_made && !has_partitions()
}

fn numbers(slots: &[u32]) -> String {
    let numbers: Vec<String> = slots.iter().map(u32::to_string).collect();
    numbers.join(", ")
}
