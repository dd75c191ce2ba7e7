//! The volume group on the opened volume, and which of its logical volumes `root=` means.
//!
//! /init decides by this what it mounts, and `taoboot check-next-boot` what it says that /init will do.
//! Nothing is mapped here and no device is opened: what is read are the disks that the caller has
//! opened, which are the enrolled volumes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use storage::{
    Disk,
    lvm2::{self, Candidate, Contents, Group, GroupError, Mapping, Node, VolumeGroup},
};

use super::{
    devices::{OpenDevice, OpenDevices},
    error::LvmError,
};
use crate::{
    boot::devices::superblock::{self, Content},
    config::device::DeviceSpec,
};

/// A volume group that is on enrolled volumes alone.
pub struct Enrolled {
    /// The node of the volume that it was found on, for people.
    volume: String,
    group: Group,
    nodes: BTreeMap<String, Node>,
    warnings: Vec<String>,
}

/// The logical volume that `root=` means.
pub struct Chosen {
    /// How it is mapped.
    pub mapping: Mapping,
    /// `/dev/GROUP/VOLUME`, which udev will make: another name for it.
    pub alias: PathBuf,
}

/// What a name asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// This volume of the group.
    Volume(String),
    /// Any, if its content is the right one.
    Content,
    /// Not one of this group's.
    Nothing,
}

impl Enrolled {
    /// Reads the volume group on the first of `devices`; `None` where that holds something else. The
    /// others are looked at only where the group goes on on them.
    ///
    /// # Errors
    /// It holds LVM that cannot be used for root.
    pub fn read(devices: &mut OpenDevices<'_>) -> Result<Option<Self>, LvmError> {
        let volume = devices.first().name.clone();
        let Some(first) = candidate(devices.first())? else {
            return Ok(None);
        };
        let (mut candidates, mut unread) = (vec![first], None);
        let alone = newest(&candidates).is_some_and(|group| group.physical.len() == 1);
        if !alone {
            for device in devices.further() {
                match candidate(device) {
                    Ok(found) => candidates.extend(found),
                    Err(error) => unread = Some(error),
                }
            }
        }
        let Some(name) = newest(&candidates).map(|group| group.name.clone()) else {
            let mut damaged = candidates.into_iter().flat_map(|found| found.damaged);
            return Err(match (damaged.next(), unread) {
                (Some(source), _) => LvmError::Metadata { volume, source },
                (None, Some(unread)) => unread,
                (None, None) => LvmError::NoGroup(volume),
            });
        };
        let group = match (lvm2::group(&name, &candidates), unread) {
            (Ok(group), _) => group,
            // What is missing may be what could not be read.
            (Err(GroupError::Missing { .. }), Some(unread)) => return Err(unread),
            (Err(error), _) => return Err(error.into()),
        };
        let warnings = candidates
            .iter()
            .flat_map(|candidate| passed_over(candidate, &group.metadata))
            .collect();
        let nodes = devices.all();
        let nodes = nodes.map(|device| (device.name.clone(), device.node));
        Ok(Some(Self {
            volume,
            nodes: nodes.collect(),
            group,
            warnings,
        }))
    }

    /// What its metadata says.
    pub const fn metadata(&self) -> &VolumeGroup {
        &self.group.metadata
    }

    /// Metadata on the volume that was passed over, a sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Does lvm2 map a logical volume under this name below /dev/mapper in the booted system?
    pub fn has_mapping(&self, name: &str) -> bool {
        let metadata = self.metadata();
        let volumes = metadata.logical.iter();
        let visible = volumes.filter(|(_, volume)| volume.visible && !volume.skipped);
        let mut names = visible.map(|(volume, _)| lvm2::mapping_name(&metadata.name, volume));
        names.any(|found| found == name)
    }

    /// The logical volume that `root=` means. `devices` are those that the group was read from.
    ///
    /// # Errors
    /// There is none, it cannot be told, or it cannot be mapped.
    pub fn choose(
        &self,
        root: Option<&DeviceSpec>,
        devices: &mut OpenDevices<'_>,
    ) -> Result<Chosen, LvmError> {
        let group = || self.metadata().name.clone();
        let Some(spec) = root else {
            return Err(LvmError::Unnamed {
                volume: self.volume.clone(),
                group: group(),
                volumes: self.names(),
            });
        };
        let found = match self.wanted(spec) {
            Wanted::Volume(name) => Some(name),
            Wanted::Content => self.by_content(spec, devices)?,
            Wanted::Nothing => None,
        };
        let name = found.ok_or_else(|| LvmError::Elsewhere {
            spec: spec.clone(),
            volume: self.volume.clone(),
            group: group(),
            volumes: self.names(),
        })?;
        let mapping = lvm2::mapping(&self.group, &name, &self.nodes)?;
        let taken = node_of(&mapping.name);
        if devices.all().any(|device| Path::new(&device.name) == taken) {
            return Err(LvmError::NameTaken(mapping.name));
        }
        Ok(Chosen {
            mapping,
            alias: self.alias(&name),
        })
    }

    /// What is in a logical volume.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn content(
        &self,
        mapping: &Mapping,
        devices: &mut OpenDevices<'_>,
    ) -> Result<Option<Content>, LvmError> {
        let disks = devices.all();
        let disks = disks.map(|device| (device.node, &mut *device.disk as &mut dyn Disk));
        let mut contents = Contents::of(mapping, disks.collect())?;
        superblock::read_disk(&mut contents).map_err(|source| LvmError::Unreadable {
            volume: node_of(&mapping.name).display().to_string(),
            source,
        })
    }

    fn wanted(&self, spec: &DeviceSpec) -> Wanted {
        let path = match spec {
            DeviceSpec::Uuid(_) | DeviceSpec::Label(_) => return Wanted::Content,
            DeviceSpec::PartUuid(_) => return Wanted::Nothing,
            DeviceSpec::Path(path) => path,
        };
        let metadata = self.metadata();
        let mut found = metadata.logical.keys().filter(|volume| {
            *path == node_of(&lvm2::mapping_name(&metadata.name, volume))
                || *path == self.alias(volume)
        });
        match found.next() {
            Some(volume) => Wanted::Volume(volume.clone()),
            None => Wanted::Nothing,
        }
    }

    /// Looks into every volume. Whoever may write to another volume of the group, a guest to its disk,
    /// can give its file system root's UUID: with two of them, or one that cannot be looked into,
    /// nothing is taken for root.
    fn by_content(
        &self,
        spec: &DeviceSpec,
        devices: &mut OpenDevices<'_>,
    ) -> Result<Option<String>, LvmError> {
        let visible = self.metadata().logical.iter();
        let visible = visible.filter(|(_, volume)| volume.visible);
        let mut meant: Option<&String> = None;
        for (name, _) in visible {
            let mapping = lvm2::mapping(&self.group, name, &self.nodes).map_err(|source| {
                LvmError::Unseen {
                    spec: spec.clone(),
                    source: Box::new(source),
                }
            })?;
            let content = self.content(&mapping, devices)?;
            let is_meant = content.is_some_and(|content| match spec {
                DeviceSpec::Uuid(uuid) => content.uuid == *uuid,
                DeviceSpec::Label(label) => content.label == *label,
                DeviceSpec::PartUuid(_) | DeviceSpec::Path(_) => false,
            });
            match (is_meant, meant) {
                (false, _) => {}
                (true, None) => meant = Some(name),
                (true, Some(one)) => {
                    return Err(LvmError::Twice {
                        spec: spec.clone(),
                        one: one.clone(),
                        other: name.clone(),
                    });
                }
            }
        }
        Ok(meant.cloned())
    }

    fn alias(&self, volume: &str) -> PathBuf {
        Path::new("/dev").join(&self.metadata().name).join(volume)
    }

    fn names(&self) -> String {
        let volumes = self.metadata().logical.iter();
        let visible = volumes.filter(|(_, volume)| volume.visible);
        let names: Vec<&str> = visible.map(|(name, _)| name.as_str()).collect();
        if names.is_empty() {
            "no logical volume".into()
        } else {
            names.join(", ")
        }
    }
}

/// The physical volume on a device; `None` where it holds something else.
fn candidate(device: &mut OpenDevice<'_>) -> Result<Option<Candidate>, LvmError> {
    let named = || device.name.clone();
    // mkfs leaves an old label of LVM where its own superblock is not.
    let content =
        superblock::read_disk(&mut device.disk).map_err(|source| LvmError::Unreadable {
            volume: named(),
            source,
        })?;
    if content.is_some_and(|content| content.is_file_system()) {
        return Ok(None);
    }
    Candidate::read(&device.name, &mut device.disk).map_err(|source| LvmError::Label {
        volume: named(),
        source,
    })
}

/// The newest metadata of the group that the first physical volume is in. It may have none of its own.
fn newest(candidates: &[Candidate]) -> Option<&VolumeGroup> {
    let first = candidates.first()?;
    let own = first.groups.iter().max_by_key(|group| group.seqno);
    let others = candidates.iter().flat_map(|candidate| &candidate.groups);
    let knows_first = |group: &&VolumeGroup| {
        let mut physical = group.physical.values();
        physical.any(|volume| volume.id == first.label.id)
    };
    own.or_else(|| others.filter(knows_first).max_by_key(|group| group.seqno))
}

/// Where a mapping has its node.
pub(super) fn node_of(mapping: &str) -> PathBuf {
    Path::new("/dev/mapper").join(mapping)
}

/// Metadata that does not count, because it is damaged or another than what does.
fn passed_over(candidate: &Candidate, newest: &VolumeGroup) -> Vec<String> {
    let on = format!(
        "of the volume group {} on {}",
        newest.name, candidate.device
    );
    let used = format!("number {} is used", newest.seqno);
    let damaged = candidate.damaged.iter();
    let damaged =
        damaged.map(|why| format!("a copy of the metadata {on} is damaged ({why}); {used}"));
    let others = candidate.groups.iter();
    let others = others.filter(|group| group.id == newest.id && *group != newest);
    let others = others.map(|group| {
        let seqno = group.seqno;
        format!("a copy of the metadata {on} is another, with number {seqno}; {used}")
    });
    damaged.chain(others).collect()
}

#[cfg(test)]
#[path = "enrolled_tests.rs"]
mod tests;
