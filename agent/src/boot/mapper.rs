//! Mappings of logical volumes, through device-mapper.
//!
//! The volume itself is libcryptsetup's business; what lies on it is mapped here. No udev runs yet,
//! so the nodes in /dev/mapper are made here as well, as libdevmapper would make them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use devicemapper::{DM, DevId, DeviceInfo, DmError, DmFlags, DmName, DmOptions, DmUuid};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use storage::lvm2::Mapping;

/// Where the nodes are.
const NODES: &str = "/dev/mapper";
/// How LVM's mappings begin their UUID. In the initramfs no other program makes any.
const OF_LVM: &[u8] = b"LVM-";

/// Why there is no mapping.
#[derive(Debug, thiserror::Error)]
pub enum MapperError {
    /// The kernel refused.
    #[error("/dev/mapper/{name} cannot be mapped or removed: {source}")]
    Refused {
        /// The mapping.
        name: String,
        /// What device-mapper said.
        source: DmError,
    },
    /// The node below /dev/mapper.
    #[error("cannot make or remove the node /dev/mapper/{name}: {source}")]
    Node {
        /// The mapping.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// Activates a mapping. Gives its node.
pub(super) fn map(mapping: &Mapping) -> Result<PathBuf, MapperError> {
    let refused = |source| MapperError::Refused {
        name: mapping.name.clone(),
        source,
    };
    let mapper = DM::new().map_err(refused)?;
    let info = activate(&mapper, mapping).map_err(refused)?;
    let node = Path::new(NODES).join(&mapping.name);
    let device = info.device();
    mknod(
        &node,
        SFlag::S_IFBLK,
        Mode::from_bits_truncate(0o600),
        makedev(device.major.into(), device.minor.into()),
    )
    .map_err(|source| MapperError::Node {
        name: mapping.name.clone(),
        source: source.into(),
    })?;
    Ok(node)
}

/// A mapping that was only half made is taken back.
fn activate(mapper: &DM, mapping: &Mapping) -> Result<DeviceInfo, DmError> {
    let name = DmName::new(&mapping.name)?;
    let id = DevId::Name(name);
    let options = if mapping.read_only {
        DmOptions::default().set_flags(DmFlags::DM_READONLY)
    } else {
        DmOptions::default()
    };
    let targets: Vec<_> = mapping
        .targets
        .iter()
        .map(|target| {
            let kind = target.kind().to_owned();
            (target.start, target.length, kind, target.parameters())
        })
        .collect();
    mapper.device_create(name, Some(DmUuid::new(&mapping.uuid)?), options)?;
    let active = mapper
        .table_load(&id, &targets, options)
        .and_then(|_| mapper.device_suspend(&id, DmOptions::default()));
    if active.is_err() {
        // The first error is the one that says something.
        let _removed = mapper.device_remove(&id, DmOptions::default());
    }
    active
}

/// Removes a mapping and its node.
pub(super) fn unmap(name: &str) -> Result<(), MapperError> {
    let refused = |source| MapperError::Refused {
        name: name.to_owned(),
        source,
    };
    let mapper = DM::new().map_err(refused)?;
    let id = DevId::Name(DmName::new(name).map_err(refused)?);
    mapper
        .device_remove(&id, DmOptions::default())
        .map_err(refused)?;
    match fs::remove_file(Path::new(NODES).join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(MapperError::Node {
            name: name.to_owned(),
            source: error,
        }),
        _ => Ok(()),
    }
}

/// Removes every logical volume that is mapped, so that the volume below can be closed: also one
/// that was mapped a moment before a panic, which nobody has noted yet. Gives what did not work; each
/// is tried whatever became of the others.
pub(super) fn unmap_logical_volumes() -> Vec<MapperError> {
    // Without device-mapper nothing was mapped.
    let Ok(mapper) = DM::new() else {
        return Vec::new();
    };
    let refused = |name: &str, source| MapperError::Refused {
        name: name.to_owned(),
        source,
    };
    let devices = match mapper.list_devices() {
        Ok(devices) => devices,
        Err(error) => return vec![refused("*", error)],
    };
    let mut failed = Vec::new();
    for (name, _, _) in devices {
        let shown = name.to_string();
        let done = match mapper.device_info(&DevId::Name(&name)) {
            Ok(info) => match info.uuid() {
                Some(uuid) if uuid.as_bytes().starts_with(OF_LVM) => unmap(&shown),
                _ => Ok(()),
            },
            Err(error) => Err(refused(&shown, error)),
        };
        failed.extend(done.err());
    }
    failed
}
