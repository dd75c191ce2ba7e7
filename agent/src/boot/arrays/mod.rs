//! Assembles the md arrays that the measured configuration names, on which volumes lie.
//!
//! Nothing else is assembled: what a disk says of itself is written by whoever has the disk. An array is
//! no more trusted than a disk either; the LUKS header on it is checked like any other.

mod start;

use std::{
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

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
    /// A superblock with other numbers than the owner's.
    #[error(
        "the md array {array} says that it has {has} members, and its [[array]] in taoboot.toml says {members}: it was reshaped, or somebody wrote a superblock"
    )]
    Size {
        array: ArrayId,
        members: u32,
        has: u32,
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

/// Waits for the members of each array, and starts it. Gives the first reason why one was not started: the
/// volume that is on it is missed later, and root's may be on none.
pub(super) fn assemble(
    settings: &Settings,
    devices: &mut Devices,
    loader: &mut Loader,
    boot: &mut Boot,
) -> Option<ArraysError> {
    let mut first = None;
    let mut names = Vec::new();
    let started = Instant::now();
    for wanted in &settings.arrays {
        // One time-out for all.
        let left = settings.device_timeout.saturating_sub(started.elapsed());
        match start_one(wanted, left, devices, loader, boot) {
            Ok(()) => names.push(format!("md{}", wanted.number)),
            Err(error) => {
                boot.warn(format!("md{} is not started: {error}", wanted.number));
                first.get_or_insert(error);
            }
        }
    }
    if !names.is_empty() {
        let names = names.join(", ");
        boot.progress
            .done(Phase::Arrays, &format!("{names} started"));
    }
    first
}

fn start_one(
    wanted: &ArraySettings,
    timeout: Duration,
    devices: &mut Devices,
    loader: &mut Loader,
    boot: &mut Boot,
) -> Result<(), ArraysError> {
    let found = wait_for_members(wanted, timeout, devices, loader)?;
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
    Ok(())
}

fn wait_for_members(
    wanted: &ArraySettings,
    timeout: Duration,
    devices: &mut Devices,
    loader: &mut Loader,
) -> Result<md::Array, ArraysError> {
    let what = format!("the md array {}", wanted.uuid);
    let mut last = Err(ArrayError::Absent(wanted.uuid));
    let mut read = Candidates::default();
    let waited = devices.wait(loader, timeout, &what, |devices| {
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
    check_size(wanted, array.superblock.members)?;
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
        seconds: timeout.as_secs(),
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
        devices
            .blocks()
            .any(|other| other.partuuid.is_some() && is_partition_of(&other.name, &device.name))
    };
    !is_made && !has_partitions()
}

/// Whoever plugs in a disk can write the newest superblock, of an array that his disk alone is all of.
fn check_size(wanted: &ArraySettings, has: u32) -> Result<(), ArraysError> {
    match wanted.members {
        Some(members) if members != has => Err(ArraysError::Size {
            array: wanted.uuid,
            members,
            has,
        }),
        _ => Ok(()),
    }
}

/// `sda1` of `sda`, `nvme0n1p1` of `nvme0n1`; `sdaa1` is not of `sda`.
fn is_partition_of(partition: &str, disk: &str) -> bool {
    partition.strip_prefix(disk).is_some_and(|rest| {
        let number = rest.strip_prefix('p').unwrap_or(rest);
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn numbers(slots: &[u32]) -> String {
    let numbers: Vec<String> = slots.iter().map(u32::to_string).collect();
    numbers.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_of_another_size_than_the_owners_is_refused() {
        let wanted = |members| ArraySettings {
            uuid: ArrayId([1; 16]),
            number: 1,
            members,
            degraded: false,
        };
        assert!(check_size(&wanted(None), 1).is_ok());
        assert!(check_size(&wanted(Some(2)), 2).is_ok());
        let refused = check_size(&wanted(Some(2)), 1).unwrap_err().to_string();
        assert!(refused.contains("says that it has 1 members"), "{refused}");
    }

    #[test]
    fn a_partition_is_known_by_its_disks_name_and_a_number() {
        for (partition, disk, expected) in [
            ("sda1", "sda", true),
            ("nvme0n1p12", "nvme0n1", true),
            ("sdaa1", "sda", false),
            ("sda", "sda", false),
            ("sdap", "sda", false),
            ("nvme0n10p1", "nvme0n1", false),
        ] {
            assert_eq!(is_partition_of(partition, disk), expected, "{partition}");
        }
    }
}
