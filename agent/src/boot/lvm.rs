//! Where root lies on the opened volume: on all of it, or in a logical volume of LVM.
//!
//! Nothing but the enrolled volume is looked at. A volume group of the same name or UUID on another
//! disk is not read, so that it can neither take root's place nor be in its way; a group that goes
//! on on another disk is refused, as what is on that disk was not enrolled.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::sys::stat::{major, minor};
use storage::lvm2::{
    self, Candidate, Group, GroupError, LabelError, MetadataError, Node, TableError,
};

use super::{
    devices::superblock,
    mapper::{self, MapperError},
};
use crate::config::device::DeviceSpec;

/// The block device that holds root's file system.
#[derive(Debug)]
pub(super) struct Place {
    device: PathBuf,
    /// `/dev/GROUP/VOLUME`, which udev will make: another name for a logical volume.
    alias: Option<PathBuf>,
}

impl Place {
    /// All of the opened volume.
    pub fn whole(mapping: &Path) -> Self {
        Self {
            device: mapping.to_owned(),
            alias: None,
        }
    }

    /// Its node.
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// Is it one of the volumes of a group?
    pub const fn is_logical(&self) -> bool {
        self.alias.is_some()
    }

    /// Is this path one of its names?
    pub fn is_named(&self, path: &Path) -> bool {
        path == self.device || self.alias.as_deref() == Some(path)
    }
}

/// Why the logical volume with root is not mapped.
#[derive(Debug, thiserror::Error)]
pub(super) enum LvmError {
    /// It could not be read.
    #[error("{volume} cannot be read: {source}")]
    Unreadable { volume: String, source: io::Error },
    /// Its label is damaged.
    #[error("{volume} holds a physical volume of LVM, but its label is damaged: {source}")]
    Label { volume: String, source: LabelError },
    /// None of its metadata is whole.
    #[error("{volume} holds a physical volume of LVM, but its metadata is damaged: {source}")]
    Metadata {
        volume: String,
        source: MetadataError,
    },
    /// pvcreate without vgcreate.
    #[error("{0} holds a physical volume of LVM that is in no volume group")]
    NoGroup(String),
    /// The group is not on this volume alone, or cannot be used.
    #[error("{0}; for root only the enrolled volume is looked at")]
    Group(#[from] GroupError),
    /// `root=` is missing.
    #[error(
        "root= does not say which logical volume holds root: the volume group {group} on {volume} has {volumes}"
    )]
    Unnamed {
        volume: String,
        group: String,
        volumes: String,
    },
    /// `root=` is elsewhere.
    #[error(
        "root={spec} is not on the volume that was unlocked: the volume group {group} on {volume} has {volumes}; only the enrolled volume is mounted as root"
    )]
    Elsewhere {
        spec: DeviceSpec,
        volume: String,
        group: String,
        volumes: String,
    },
    /// Somebody's copy, or a look-alike.
    #[error(
        "root={spec} is on two logical volumes, {one} and {other}: name the right one with root=/dev/mapper/GROUP-VOLUME"
    )]
    Twice {
        spec: DeviceSpec,
        one: String,
        other: String,
    },
    /// It may be there as well.
    #[error(
        "root={spec} is looked for in every logical volume, and one cannot be looked into: {source}; name root's with root=/dev/mapper/GROUP-VOLUME"
    )]
    Unseen {
        spec: DeviceSpec,
        source: Box<TableError>,
    },
    /// It needs more than linear and striped, or the metadata contradicts itself.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The kernel refused.
    #[error(transparent)]
    Mapper(#[from] MapperError),
}

/// Finds what `root=` means on the opened volume, and maps it where it is a logical volume.
///
/// # Errors
/// The volume holds LVM, and the logical volume that `root=` names cannot be found or mapped.
pub(super) fn find(mapping: &Path, root: Option<&DeviceSpec>) -> Result<Place, LvmError> {
    let Some(group) = read_group(mapping)? else {
        return Ok(Place::whole(mapping));
    };
    let volume = || mapping.display().to_string();
    let nodes = nodes(mapping, &group).map_err(|source| LvmError::Unreadable {
        volume: volume(),
        source,
    })?;
    let Some(spec) = root else {
        return Err(LvmError::Unnamed {
            volume: volume(),
            group: group.metadata.name.clone(),
            volumes: names(&group),
        });
    };
    let found = match named(spec, &group) {
        Wanted::Volume(name) => Some(map(&group, &name, &nodes)?),
        Wanted::Content => find_by_content(spec, &group, &nodes)?,
        Wanted::Nothing => None,
    };
    found.ok_or_else(|| LvmError::Elsewhere {
        spec: spec.clone(),
        volume: volume(),
        group: group.metadata.name.clone(),
        volumes: names(&group),
    })
}

/// The volume group on the opened volume; `None` where that holds something else.
fn read_group(mapping: &Path) -> Result<Option<Group>, LvmError> {
    let volume = mapping.display().to_string();
    let unreadable = |source| LvmError::Unreadable {
        volume: mapping.display().to_string(),
        source,
    };
    // mkfs leaves an old label of LVM where its own superblock is not.
    let content = superblock::read(mapping).map_err(unreadable)?;
    if content.is_some_and(|content| content.is_file_system()) {
        return Ok(None);
    }
    let mut disk = File::open(mapping).map_err(unreadable)?;
    let candidate = Candidate::read(&volume, &mut disk).map_err(|source| LvmError::Label {
        volume: volume.clone(),
        source,
    })?;
    let Some(mut candidate) = candidate else {
        return Ok(None);
    };
    let newest = candidate.groups.iter().max_by_key(|group| group.seqno);
    let Some(name) = newest.map(|group| group.name.clone()) else {
        return Err(match candidate.damaged.pop() {
            Some(source) => LvmError::Metadata { volume, source },
            None => LvmError::NoGroup(volume),
        });
    };
    Ok(Some(lvm2::group(&name, &[candidate])?))
}

/// Where the group's one device is.
fn nodes(mapping: &Path, group: &Group) -> io::Result<BTreeMap<String, Node>> {
    let device = std::fs::metadata(mapping)?.rdev();
    let number = |number: u64| u32::try_from(number).map_err(io::Error::other);
    let mut file = File::open(mapping)?;
    let bytes = io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
    let node = Node {
        major: number(major(device))?,
        minor: number(minor(device))?,
        sectors: bytes / 512,
    };
    let devices = group.devices.values();
    Ok(devices.map(|name| (name.clone(), node)).collect())
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

fn named(spec: &DeviceSpec, group: &Group) -> Wanted {
    let path = match spec {
        DeviceSpec::Uuid(_) | DeviceSpec::Label(_) => return Wanted::Content,
        DeviceSpec::PartUuid(_) => return Wanted::Nothing,
        DeviceSpec::Path(path) => path,
    };
    let mut found = group.metadata.logical.keys().filter(|volume| {
        path == Path::new("/dev/mapper")
            .join(lvm2::mapping_name(&group.metadata.name, volume))
            .as_path()
            || *path == alias(group, volume)
    });
    match found.next() {
        Some(volume) => Wanted::Volume(volume.clone()),
        None => Wanted::Nothing,
    }
}

fn alias(group: &Group, volume: &str) -> PathBuf {
    Path::new("/dev").join(&group.metadata.name).join(volume)
}

fn names(group: &Group) -> String {
    let volumes = group.metadata.logical.iter();
    let visible = volumes.filter(|(_, volume)| volume.visible);
    let names: Vec<&str> = visible.map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        "no logical volume".into()
    } else {
        names.join(", ")
    }
}

fn map(group: &Group, volume: &str, nodes: &BTreeMap<String, Node>) -> Result<Place, LvmError> {
    let device = mapper::map(&lvm2::mapping(group, volume, nodes)?)?;
    Ok(Place {
        device,
        alias: Some(alias(group, volume)),
    })
}

/// Looks into every volume, and leaves mapped only the one that was meant. Whoever may write to
/// another volume of the group, a guest to its disk, can give its file system root's UUID: with two of
/// them, or one that cannot be looked into, nothing is taken for root.
fn find_by_content(
    spec: &DeviceSpec,
    group: &Group,
    nodes: &BTreeMap<String, Node>,
) -> Result<Option<Place>, LvmError> {
    let visible = group.metadata.logical.iter();
    let visible = visible.filter(|(_, volume)| volume.visible);
    let mut meant: Option<&str> = None;
    for (name, _) in visible {
        let mapping = lvm2::mapping(group, name, nodes).map_err(|source| LvmError::Unseen {
            spec: spec.clone(),
            source: Box::new(source),
        })?;
        let device = mapper::map(&mapping)?;
        let content = superblock::read(&device);
        mapper::unmap(&mapping.name)?;
        let content = content.map_err(|source| LvmError::Unreadable {
            volume: device.display().to_string(),
            source,
        })?;
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
                    one: one.to_owned(),
                    other: name.clone(),
                });
            }
        }
    }
    meant.map(|name| map(group, name, nodes)).transpose()
}
