//! Where root, or swap for hibernation, lies on the opened volume: on all of it, or in a logical volume of LVM.
//!
//! Nothing but enrolled volumes is looked at. A volume group of the same name or UUID on another
//! disk is not read, so that it can neither take root's place nor be in its way; a group that goes on
//! on a disk that was not enrolled is refused.

mod devices;
mod enrolled;
mod error;
mod place;
#[cfg(test)]
pub mod test_disks;

use std::{fs::File, io, os::unix::fs::MetadataExt, path::Path};

use nix::sys::stat::{major, minor};

pub use self::{
    devices::{OpenDevice, OpenDevices},
    enrolled::{Chosen, Enrolled},
    error::LvmError,
    place::Place,
};
use super::mapper::{self, MapperError};
use crate::{config::device::DeviceSpec, unlock::OpenVolume};

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

/// Finds what `root=` means on the opened volume, and maps it where it is a logical volume, which may go
/// on on the further volumes. Gives the volume's group, if it holds one.
///
/// # Errors
/// The volume holds LVM, and the logical volume that `root=` names cannot be found or mapped.
pub(super) fn find(
    mapping: &Path,
    further: &[OpenVolume],
    root: Option<&DeviceSpec>,
) -> Result<(Place, Option<Enrolled>), FindError> {
    let mut devices = OpenDevices::of(open(mapping)?);
    for volume in further {
        devices.push(open(&volume.path())?);
    }
    let Some(group) = Enrolled::read(&mut devices)? else {
        return Ok((Place::whole(mapping), None));
    };
    let chosen = group.choose(root, &mut devices)?;
    let device = mapper::map(&chosen.mapping)?;
    Ok((Place::logical(device, chosen.alias), Some(group)))
}

fn open(mapping: &Path) -> Result<OpenDevice<'static>, LvmError> {
    let volume = mapping.display().to_string();
    let opened = || -> io::Result<OpenDevice<'static>> {
        let file = File::open(mapping)?;
        let device = file.metadata()?.rdev();
        let number = |number: u64| u32::try_from(number).map_err(io::Error::other);
        let numbers = (number(major(device))?, number(minor(device))?);
        OpenDevice::new(volume.clone(), numbers, Box::new(file))
    };
    opened().map_err(|source| LvmError::Unreadable {
        volume: volume.clone(),
        source,
    })
}
