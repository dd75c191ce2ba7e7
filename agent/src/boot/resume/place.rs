//! Where the swap is: a logical volume on the enrolled volume, or a further volume. Nothing else is looked at.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use nix::sys::stat::{major, minor};

use crate::{
    boot::{
        devices::superblock,
        lvm::{self, FindError as LvmFindError, LvmError},
        mapper::{self, MapperError},
    },
    config::device::DeviceSpec,
    unlock::OpenVolume,
};

/// A swap area on an enrolled volume.
#[derive(Debug)]
pub(super) struct Area {
    /// Its node.
    pub node: PathBuf,
    /// Major and minor.
    pub number: (u64, u64),
    /// A logical volume that was mapped to look at it.
    mapped: Option<String>,
}

/// Why there is no such area.
#[derive(Debug, thiserror::Error)]
pub(super) enum FindError {
    #[error(
        "the swap {spec} is on no enrolled volume, and an image is resumed from nowhere else: {volume} holds {found}"
    )]
    Elsewhere {
        spec: DeviceSpec,
        volume: String,
        found: String,
    },
    #[error("the swap {spec} is on two enrolled volumes: name the right one as /dev/mapper/NAME")]
    Twice { spec: DeviceSpec },
    #[error(
        "the swap {spec} is looked for in every logical volume, and one cannot be looked into: {source}; name it as /dev/mapper/GROUP-VOLUME"
    )]
    Unseen {
        spec: DeviceSpec,
        source: Box<storage::lvm2::TableError>,
    },
    #[error(transparent)]
    Lvm(LvmFindError),
    #[error("{device} cannot be read: {source}")]
    Unreadable { device: String, source: io::Error },
}

/// Finds and maps it.
pub(super) fn find(
    mapping: &Path,
    spec: &DeviceSpec,
    further: &[OpenVolume],
) -> Result<Area, FindError> {
    let nodes: Vec<PathBuf> = further.iter().map(OpenVolume::path).collect();
    let on_further = on_further(spec, &nodes)?;
    match (lvm::find(mapping, further, Some(spec)), on_further) {
        // The enrolled volume is no group: it is the root file system, or swap with nothing else.
        (Ok((_, None)), None) => Err(FindError::Elsewhere {
            spec: spec.clone(),
            volume: mapping.display().to_string(),
            found: "no volume group".into(),
        }),
        (Ok((place, Some(_))), None) => {
            let node = place.device().to_owned();
            let name = node.file_name().map(|name| name.to_string_lossy().into());
            Area::at(node, name)
        }
        (Ok((place, Some(_))), Some(_)) => {
            // What was mapped is not left behind.
            // A node below /dev/mapper has a name; without one nothing is called so, which unmapping says.
            let name = place.device().file_name().unwrap_or_default();
            mapper::unmap(&name.to_string_lossy())
                .map_err(|error| FindError::Lvm(LvmFindError::Mapper(error)))?;
            Err(FindError::Twice { spec: spec.clone() })
        }
        (Ok((_, None)) | Err(LvmFindError::Lvm(LvmError::Elsewhere { .. })), Some(node)) => {
            Area::at(node, None)
        }
        (Err(LvmFindError::Lvm(error)), _) => Err(in_words_of_swap(error, spec)),
        (Err(error), _) => Err(FindError::Lvm(error)),
    }
}

/// The further volume that is meant, if one is.
fn on_further(spec: &DeviceSpec, further: &[PathBuf]) -> Result<Option<PathBuf>, FindError> {
    let mut meant = None;
    for node in further {
        let matches = match spec {
            DeviceSpec::Path(path) => path == node,
            DeviceSpec::PartUuid(_) => false,
            DeviceSpec::Uuid(_) | DeviceSpec::Label(_) => {
                let content = superblock::read(node).map_err(|source| FindError::Unreadable {
                    device: node.display().to_string(),
                    source,
                })?;
                content.is_some_and(|content| match spec {
                    DeviceSpec::Uuid(uuid) => content.uuid == *uuid,
                    DeviceSpec::Label(label) => content.label == *label,
                    DeviceSpec::Path(_) | DeviceSpec::PartUuid(_) => false,
                })
            }
        };
        if matches && meant.replace(node.clone()).is_some() {
            return Err(FindError::Twice { spec: spec.clone() });
        }
    }
    Ok(meant)
}

/// Its sentences speak of root.
fn in_words_of_swap(error: LvmError, spec: &DeviceSpec) -> FindError {
    match error {
        LvmError::Elsewhere {
            spec,
            volume,
            group,
            volumes,
        } => FindError::Elsewhere {
            spec,
            volume,
            found: format!("the volume group {group} with {volumes}"),
        },
        LvmError::Twice { spec, .. } => FindError::Twice { spec },
        LvmError::Unseen { source, .. } => FindError::Unseen {
            spec: spec.clone(),
            source,
        },
        other => FindError::Lvm(LvmFindError::Lvm(other)),
    }
}

impl Area {
    fn at(node: PathBuf, mapped: Option<String>) -> Result<Self, FindError> {
        let unreadable = |source| FindError::Unreadable {
            device: node.display().to_string(),
            source,
        };
        let metadata = fs::metadata(&node).map_err(unreadable)?;
        if !metadata.file_type().is_block_device() {
            return Err(unreadable(io::Error::other("it is not a block device")));
        }
        let device = metadata.rdev();
        Ok(Self {
            number: (major(device), minor(device)),
            node,
            mapped,
        })
    }

    /// Lets go of it: the booted system maps it as it maps the group's other volumes.
    pub fn release(self) -> Result<(), MapperError> {
        self.mapped.map_or(Ok(()), |name| mapper::unmap(&name))
    }

    #[cfg(test)]
    pub fn of_file(node: PathBuf) -> Self {
        Self {
            node,
            number: (0, 0),
            mapped: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::{
        lvm::{
            Enrolled,
            test_disks::{made, open_disks},
        },
        resume::tests::{UUID, area_of_mkswap},
    };

    #[test]
    fn a_further_volume_is_named_by_its_mapping_or_by_its_content() {
        let swap = area_of_mkswap();
        let other = tempfile::NamedTempFile::new().unwrap();
        let further = [other.path().to_owned(), swap.path().to_owned()];
        for spec in [
            DeviceSpec::Uuid(UUID.into()),
            DeviceSpec::Label("sleep".into()),
            DeviceSpec::Path(swap.path().to_owned()),
        ] {
            let found = on_further(&spec, &further).unwrap();
            assert_eq!(found.as_deref(), Some(swap.path()), "{spec}");
        }
        for spec in [
            "UUID=1b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11",
            "LABEL=other",
            "/dev/mapper/x",
        ] {
            assert_eq!(on_further(&spec.parse().unwrap(), &further).unwrap(), None);
        }
        let twice = [swap.path().to_owned(), swap.path().to_owned()];
        let refused = on_further(&DeviceSpec::Uuid(UUID.into()), &twice);
        assert!(matches!(refused, Err(FindError::Twice { .. })));
    }

    /// A swap of the same name or UUID on another disk is not even looked at.
    #[test]
    fn what_is_not_in_the_enrolled_group_is_refused_with_a_sentence_about_swap() {
        let disk = made("debian-a");
        let mut disks = open_disks(&[("/dev/mapper/crypt", &disk)]);
        let group = Enrolled::read(&mut disks).unwrap().unwrap();
        let mut chosen = |spec: &DeviceSpec| group.choose(Some(spec), &mut disks);
        let swap = "/dev/mapper/debian--vg-swap_1".parse().unwrap();
        assert_eq!(chosen(&swap).unwrap().mapping.name, "debian--vg-swap_1");
        for spec in [
            "/dev/mapper/other--vg-swap_1",
            "/dev/sda5",
            "UUID=1b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11",
        ] {
            let spec: DeviceSpec = spec.parse().unwrap();
            let error = chosen(&spec).map(drop).unwrap_err();
            let said = in_words_of_swap(error, &spec).to_string();
            assert!(
                said.contains("on no enrolled volume")
                    && said.contains("home-of-all, root, swap_1"),
                "{said}"
            );
        }
    }
}
