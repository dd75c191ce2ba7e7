//! Which devices make a btrfs file system.

use super::superblock::{Superblock, Uuid};

/// A device with a btrfs superblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name, for people.
    pub device: String,
    /// What it says.
    pub superblock: Superblock,
}

/// A file system all of whose devices are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// The newest superblock.
    pub superblock: Superblock,
    /// Its devices, by their numbers in it.
    pub devices: Vec<String>,
}

/// A file system that cannot be mounted as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembersError {
    /// No device belongs to it.
    #[error("no device belongs to the btrfs file system {0}")]
    Absent(Uuid),
    /// A copy of a disk: the kernel would take the one that it saw last.
    #[error(
        "{one} and {other} are both device {number} of the btrfs file system {id}: detach the copy, or give it a new UUID (btrfstune -u)"
    )]
    Twice {
        /// File system.
        id: Uuid,
        /// The device's number in it.
        number: u64,
        /// A device.
        one: String,
        /// Another.
        other: String,
    },
    /// One of them is not from this file system.
    #[error("{device} disagrees with {newest} about the {what} of the btrfs file system {id}")]
    Disagrees {
        /// File system.
        id: Uuid,
        /// The device.
        device: String,
        /// The device with the newest superblock.
        newest: String,
        /// What they disagree about.
        what: &'static str,
    },
    /// It was away.
    #[error(
        "{device} has generation {has} of the btrfs file system {id}, {newest} has {generation}: it was away while the file system was written to (mount it degraded, and scrub)"
    )]
    Old {
        /// File system.
        id: Uuid,
        /// The device that was away.
        device: String,
        /// Its generation.
        has: u64,
        /// The device with the newest superblock.
        newest: String,
        /// The newest generation.
        generation: u64,
    },
    /// Not all are there.
    #[error(
        "the btrfs file system {id} has {devices} devices, of which {present} are there: {names}"
    )]
    Missing {
        /// File system.
        id: Uuid,
        /// How many it has.
        devices: u64,
        /// How many are there.
        present: usize,
        /// Which.
        names: String,
    },
    /// btrfstune was interrupted.
    #[error("the UUID of the btrfs file system {0} is being changed: let btrfstune finish it")]
    Changing(Uuid),
}

/// Finds the devices of the file system `id`.
///
/// # Errors
/// If one is missing, was away, or is there twice; the error names it.
pub fn members(id: Uuid, candidates: &[Candidate]) -> Result<FileSystem, MembersError> {
    let mut found: Vec<&Candidate> = candidates
        .iter()
        .filter(|candidate| candidate.superblock.id == id)
        .collect();
    found.sort_by_key(|candidate| candidate.superblock.device);
    let newest = found.iter().max_by_key(|one| one.superblock.generation);
    let newest = *newest.ok_or(MembersError::Absent(id))?;
    check_twins(id, &found)?;
    for one in &found {
        agrees(id, one, newest)?;
    }
    let present = u64::try_from(found.len()).unwrap_or(u64::MAX);
    if present != newest.superblock.devices {
        let names: Vec<&str> = found.iter().map(|one| one.device.as_str()).collect();
        return Err(MembersError::Missing {
            id,
            devices: newest.superblock.devices,
            present: found.len(),
            names: names.join(", "),
        });
    }
    Ok(FileSystem {
        superblock: newest.superblock.clone(),
        devices: found.iter().map(|one| one.device.clone()).collect(),
    })
}

/// In order of their numbers.
fn check_twins(id: Uuid, found: &[&Candidate]) -> Result<(), MembersError> {
    for pair in found.windows(2) {
        if let [one, other] = pair
            && one.superblock.device == other.superblock.device
        {
            return Err(MembersError::Twice {
                id,
                number: one.superblock.device,
                one: one.device.clone(),
                other: other.device.clone(),
            });
        }
    }
    Ok(())
}

fn agrees(id: Uuid, one: &Candidate, newest: &Candidate) -> Result<(), MembersError> {
    let (own, truth) = (&one.superblock, &newest.superblock);
    let disagrees = |what| {
        Err(MembersError::Disagrees {
            id,
            device: one.device.clone(),
            newest: newest.device.clone(),
            what,
        })
    };
    if own.changing_id {
        return Err(MembersError::Changing(id));
    }
    // A power cut between the superblocks of two devices leaves one transaction between them.
    if own.generation.saturating_add(1) < truth.generation {
        return Err(MembersError::Old {
            id,
            device: one.device.clone(),
            has: own.generation,
            newest: newest.device.clone(),
            generation: truth.generation,
        });
    }
    if own.metadata_id != truth.metadata_id {
        return disagrees("UUID in the metadata");
    }
    if own.generation == truth.generation && own.devices != truth.devices {
        return disagrees("number of devices");
    }
    if own.device_id == truth.device_id && one.device != newest.device {
        return disagrees("UUID of their devices, which is the same");
    }
    Ok(())
}
