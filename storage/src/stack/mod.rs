//! The devices that a file system of the running machine is on, down to the disks: from /proc/self/mountinfo
//! and /sys, as lsblk(8) asks.
//!
//! All paths are below a directory that the caller names, so that tests bring a machine of their own.

mod device;
mod error;
mod sysfs;

pub use device::{Device, Driver, Kind};
pub use error::StackError;

use std::{collections::BTreeMap, path::Path};

use crate::{
    device_number::Number,
    mountinfo::{self, Mount},
};
use error::{DEEPEST, MOST_DEVICES};
use sysfs::Sysfs;

/// The devices of a file system, those above before those below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Those that the file system itself is on: several for btrfs.
    pub top: Vec<Number>,
    /// All.
    pub devices: BTreeMap<Number, Device>,
}

impl Stack {
    /// What is mounted on `place`, and its devices.
    ///
    /// # Errors
    /// If nothing is mounted there, it is on no block device, or /sys is not understood.
    pub fn of_mount(root: &Path, place: &str) -> Result<(Mount, Self), StackError> {
        let sysfs = Sysfs::below(root)?;
        let mounts = mountinfo::read(&sysfs.mountinfo()?)?;
        let mount = mountinfo::at(&mounts, place);
        let mount = mount.ok_or_else(|| StackError::NotMounted(place.to_owned()))?;
        let top = sysfs.devices_of(mount)?;
        let stack = Self::below(&sysfs, top)?;
        Ok((mount.clone(), stack))
    }

    /// A device, as swap is on, and those below it.
    ///
    /// # Errors
    /// If /sys does not know it, or is not understood.
    pub fn of_device(root: &Path, device: Number) -> Result<Self, StackError> {
        Self::below(&Sysfs::below(root)?, vec![device])
    }

    fn below(sysfs: &Sysfs, top: Vec<Number>) -> Result<Self, StackError> {
        let mut stack = Self {
            top: top.clone(),
            devices: BTreeMap::new(),
        };
        for number in top {
            stack.add(sysfs, number, &mut Vec::new())?;
        }
        Ok(stack)
    }

    /// Adds a device and those below it. `above` is the way to it.
    fn add(
        &mut self,
        sysfs: &Sysfs,
        number: Number,
        above: &mut Vec<Number>,
    ) -> Result<(), StackError> {
        if above.contains(&number) {
            let device = self.devices.get(&number);
            let name = device.map_or_else(|| number.to_string(), |device| device.name.clone());
            return Err(StackError::Circle(name));
        }
        if self.devices.contains_key(&number) {
            return Ok(());
        }
        if above.len() == DEEPEST {
            return Err(StackError::Deep);
        }
        if self.devices.len() == MOST_DEVICES {
            return Err(StackError::Many);
        }
        let device = sysfs.device(number)?;
        let below = device.below.clone();
        self.devices.insert(number, device);
        above.push(number);
        for other in below {
            self.add(sysfs, other, above)?;
        }
        above.pop();
        Ok(())
    }
}
