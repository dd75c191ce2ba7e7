//! Which metadata counts, and which devices belong to a group.
//!
//! lvm2 takes the metadata with the highest number and goes on. So does this, but only where the others
//! say the same, or are one change behind, as a power cut between two writes leaves them. Everything else
//! is a disk that was away or one that somebody made: a person decides.

use std::collections::BTreeMap;

use super::{
    id::Id,
    label::{Label, LabelError},
    metadata_area::{self, AreaError},
    read_group,
    values::GroupTextError,
    volume_group::VolumeGroup,
};
use crate::disk::Disk;

/// A disk with an LVM label, and what its metadata says.
#[derive(Debug)]
pub struct Candidate {
    /// Its name, for people.
    pub device: String,
    /// Its label.
    pub label: Label,
    /// The groups of its metadata areas: usually one, twice where it has two areas.
    pub groups: Vec<VolumeGroup>,
    /// Why other areas were not taken.
    pub damaged: Vec<MetadataError>,
}

/// A metadata area that was not taken.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// Its place or its checksums are wrong.
    #[error(transparent)]
    Area(#[from] AreaError),
    /// What it says cannot be.
    #[error(transparent)]
    Text(#[from] GroupTextError),
}

impl Candidate {
    /// Reads a disk. `None`: it is not a physical volume.
    ///
    /// # Errors
    /// If its label is damaged. Damaged metadata is [`Candidate::damaged`]: another disk may have it whole.
    pub fn read(device: &str, disk: &mut dyn Disk) -> Result<Option<Self>, LabelError> {
        let Some(label) = Label::read(disk)? else {
            return Ok(None);
        };
        let mut candidate = Self {
            device: device.to_owned(),
            label,
            groups: Vec::new(),
            damaged: Vec::new(),
        };
        for area in &candidate.label.metadata {
            let group = metadata_area::text(disk, *area)
                .map_err(MetadataError::from)
                .and_then(|text| match text {
                    Some(text) => Ok(Some(read_group::read(&text)?)),
                    None => Ok(None),
                });
            match group {
                Ok(group) => candidate.groups.extend(group),
                Err(error) => candidate.damaged.push(error),
            }
        }
        Ok(Some(candidate))
    }

    fn newest(&self) -> Option<&VolumeGroup> {
        self.groups.iter().max_by_key(|group| group.seqno)
    }
}

/// A group all of whose physical volumes are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What its newest metadata says.
    pub metadata: VolumeGroup,
    /// The device of each physical volume, by the name in the text.
    pub devices: BTreeMap<String, String>,
    /// Devices whose metadata is one change behind, or damaged.
    pub behind: Vec<String>,
}

/// A group that cannot be used as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Nothing says anything of it.
    #[error("there is no volume group {0}")]
    Absent(String),
    /// Nothing says anything of it, perhaps because it cannot be read.
    #[error(
        "there is no volume group {group}, and the metadata of {device} is not readable: {why}"
    )]
    Unreadable {
        /// What was wanted.
        group: String,
        /// A device with damaged metadata.
        device: String,
        /// Why.
        why: String,
    },
    /// The name does not say which.
    #[error(
        "two volume groups are named {name}, on {one} and on {other}: rename one by its UUID (vgrename)"
    )]
    SameName {
        /// Name.
        name: String,
        /// Device of one.
        one: String,
        /// Device of the other.
        other: String,
    },
    /// A copy of a disk.
    #[error(
        "{one} and {other} are both the LVM physical volume {id}: detach the copy, or give it a new UUID (vgimportclone)"
    )]
    SamePhysical {
        /// UUID.
        id: Id,
        /// A device.
        one: String,
        /// Another.
        other: String,
    },
    /// Both cannot be true.
    #[error(
        "{one} and {other} have different metadata of the volume group {group} with one number, {seqno}: one of them is not what it was"
    )]
    Differs {
        /// Group.
        group: String,
        /// The number.
        seqno: u64,
        /// A device.
        one: String,
        /// Another.
        other: String,
    },
    /// It was away.
    #[error(
        "{device} has metadata {has} of the volume group {group}, {newest} has {seqno}: it was away while the group was changed (vgck --updatemetadata, vgextend --restoremissing)"
    )]
    Old {
        /// Group.
        group: String,
        /// The device that was away.
        device: String,
        /// Its number.
        has: u64,
        /// The device with the newest.
        newest: String,
        /// The newest number.
        seqno: u64,
    },
    /// It says that it is in the group, the newest metadata says that it is not.
    #[error(
        "{device} says that it is in the volume group {group}, whose newest metadata, on {newest}, does not know it: it was removed, or is not from this machine"
    )]
    Stranger {
        /// Group.
        group: String,
        /// The device.
        device: String,
        /// The device with the newest metadata.
        newest: String,
    },
    /// A disk is not there.
    #[error("the volume group {group} lacks its physical volume {id}, which was {device}")]
    Missing {
        /// Group.
        group: String,
        /// UUID.
        id: Id,
        /// Where it was.
        device: String,
    },
    /// Somebody gave it away.
    #[error("the volume group {0} is exported: vgimport it")]
    Exported(String),
    /// Locks would be needed.
    #[error("the volume group {0} is shared with other machines: a boot has no locks for it")]
    Shared(String),
}

/// Finds the group of a name among all physical volumes that may belong to it.
///
/// # Errors
/// If it is not there, not complete, or there twice; the error names the device.
pub fn group(name: &str, candidates: &[Candidate]) -> Result<Group, GroupError> {
    let newest = newest(name, candidates)?;
    let id = newest.1.id;
    check_twins(newest.1, candidates)?;
    let mut behind = Vec::new();
    for candidate in candidates {
        let is_known = newest
            .1
            .physical
            .values()
            .any(|volume| volume.id == candidate.label.id);
        let Some(own) = candidate.newest().filter(|own| own.id == id) else {
            if is_known && !candidate.damaged.is_empty() {
                behind.push(candidate.device.clone());
            }
            continue;
        };
        if !is_known {
            return Err(GroupError::Stranger {
                group: name.to_owned(),
                device: candidate.device.clone(),
                newest: newest.0.to_owned(),
            });
        }
        if is_behind(own, &candidate.device, newest)? || !candidate.damaged.is_empty() {
            behind.push(candidate.device.clone());
        }
    }
    if newest.1.exported {
        return Err(GroupError::Exported(name.to_owned()));
    }
    if newest.1.shared {
        return Err(GroupError::Shared(name.to_owned()));
    }
    Ok(Group {
        metadata: newest.1.clone(),
        devices: devices(newest.1, candidates)?,
        behind,
    })
}

/// The newest metadata of a name, and the device that it is on.
fn newest<'c>(
    name: &str,
    candidates: &'c [Candidate],
) -> Result<(&'c str, &'c VolumeGroup), GroupError> {
    let all = || {
        candidates
            .iter()
            .filter_map(|candidate| Some((candidate, candidate.newest()?)))
    };
    let mut named = all().filter(|(_, group)| group.name == name);
    let Some((first, found)) = named.next() else {
        let damaged = candidates.iter().find_map(|candidate| {
            let why = candidate.damaged.first()?;
            Some((candidate.device.clone(), why.to_string()))
        });
        let group = name.to_owned();
        return Err(match damaged {
            Some((device, why)) => GroupError::Unreadable { group, device, why },
            None => GroupError::Absent(group),
        });
    };
    if let Some((other, _)) = named.find(|(_, other)| other.id != found.id) {
        return Err(GroupError::SameName {
            name: name.to_owned(),
            one: first.device.clone(),
            other: other.device.clone(),
        });
    }
    // By UUID: a group that was renamed has the old name on a disk that was away.
    let same = all().filter(|(_, group)| group.id == found.id);
    let (device, group) = same
        .max_by_key(|(_, group)| group.seqno)
        .unwrap_or((first, found));
    Ok((&device.device, group))
}

/// Is the device one change behind?
fn is_behind(
    own: &VolumeGroup,
    device: &str,
    newest: (&str, &VolumeGroup),
) -> Result<bool, GroupError> {
    let (newest_device, newest) = newest;
    let group = newest.name.clone();
    if own.seqno == newest.seqno {
        return if own == newest {
            Ok(false)
        } else {
            Err(GroupError::Differs {
                group,
                seqno: newest.seqno,
                one: newest_device.to_owned(),
                other: device.to_owned(),
            })
        };
    }
    if own.seqno.checked_add(1) == Some(newest.seqno) {
        return Ok(true);
    }
    Err(GroupError::Old {
        group,
        device: device.to_owned(),
        has: own.seqno,
        newest: newest_device.to_owned(),
        seqno: newest.seqno,
    })
}

/// One physical volume of the group on two devices.
fn check_twins(group: &VolumeGroup, candidates: &[Candidate]) -> Result<(), GroupError> {
    for volume in group.physical.values() {
        let mut same = candidates
            .iter()
            .filter(|candidate| candidate.label.id == volume.id);
        if let (Some(one), Some(other)) = (same.next(), same.next()) {
            return Err(GroupError::SamePhysical {
                id: volume.id,
                one: one.device.clone(),
                other: other.device.clone(),
            });
        }
    }
    Ok(())
}

fn devices(
    group: &VolumeGroup,
    candidates: &[Candidate],
) -> Result<BTreeMap<String, String>, GroupError> {
    let mut devices = BTreeMap::new();
    for (name, volume) in &group.physical {
        let mut candidates = candidates.iter();
        let found = candidates.find(|candidate| candidate.label.id == volume.id);
        match found {
            Some(found) if !volume.missing => {
                devices.insert(name.clone(), found.device.clone());
            }
            _ => {
                return Err(GroupError::Missing {
                    group: group.name.clone(),
                    id: volume.id,
                    device: volume.device.clone(),
                });
            }
        }
    }
    Ok(devices)
}
