//! Where root, or swap for hibernation, lies on the opened volume: on all of it, or in a logical volume of LVM.
//!
//! Nothing but the enrolled volume is looked at. A volume group of the same name or UUID on another
//! disk is not read, so that it can neither take root's place nor be in its way; a group that goes
//! on on another disk is refused, as what is on that disk was not enrolled.

mod enrolled;
mod error;
mod place;
#[cfg(test)]
pub mod test_disks;

use std::{fs::File, io, os::unix::fs::MetadataExt, path::Path};

use nix::sys::stat::{major, minor};
use storage::lvm2::Node;

pub use self::{
    enrolled::{Chosen, Enrolled},
    error::LvmError,
    place::Place,
};
use super::mapper::{self, MapperError};
use crate::config::device::DeviceSpec;

/// Why root's place is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum FindError {
    /// Which logical volume it is.
    #[error(transparent)]
    Lvm(#[from] LvmError),
    /// The kernel refused.
    #[error(transparent)]
    Mapper(#[from] MapperError),
}

/// Finds what `root=` means on the opened volume, and maps it where it is a logical volume. Gives the
/// volume's group, if it holds one.
///
/// # Errors
/// The volume holds LVM, and the logical volume that `root=` names cannot be found or mapped.
pub(super) fn find(
    mapping: &Path,
    root: Option<&DeviceSpec>,
) -> Result<(Place, Option<Enrolled>), FindError> {
    let volume = mapping.display().to_string();
    let unreadable = |source| LvmError::Unreadable {
        volume: volume.clone(),
        source,
    };
    let mut disk = File::open(mapping).map_err(unreadable)?;
    let node = node(&mut disk).map_err(unreadable)?;
    let Some(group) = Enrolled::read(&volume, node, &mut disk)? else {
        return Ok((Place::whole(mapping), None));
    };
    let chosen = group.choose(root, &mut disk)?;
    let device = mapper::map(&chosen.mapping)?;
    Ok((Place::logical(device, chosen.alias), Some(group)))
}

/// Where the group's one device is.
fn node(file: &mut File) -> io::Result<Node> {
    let device = file.metadata()?.rdev();
    let number = |number: u64| u32::try_from(number).map_err(io::Error::other);
    let bytes = io::Seek::seek(file, io::SeekFrom::End(0))?;
    Ok(Node {
        major: number(major(device))?,
        minor: number(minor(device))?,
        sectors: bytes / 512,
    })
}
