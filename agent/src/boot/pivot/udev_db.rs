//! Tells the booted system's udev that the mappings are ready.
//!
//! udev starts after the pivot and sees device-mapper devices that somebody else activated.
//! Its rules (55-dm.rules of lvm2) take such a device for unfinished unless the database in
//! /run says that its activation was complete; systemd would then wait for every unit of
//! `/etc/fstab` that names it, a minute and a half each. An initramfs with udev leaves that
//! database behind; this one leaves the one line that counts.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use nix::sys::stat::{major, minor};

/// systemd's database of devices: one file each, `b` and the numbers of a block device.
const DATABASE: &str = "/run/udev/data";

/// One property (systemd, `sd_device_read_db`): this event was the activation itself.
const RECORD: &str = "E:DM_UDEV_PRIMARY_SOURCE_FLAG=1\n";

/// Marks an active mapping, such as /dev/mapper/root, as ready.
pub fn announce(mapping: &Path) -> io::Result<()> {
    let device = fs::metadata(mapping)?.rdev();
    fs::create_dir_all(DATABASE)?;
    fs::write(Path::new(DATABASE).join(file_name(device)), RECORD)
}

fn file_name(device: u64) -> String {
    format!("b{}:{}", major(device), minor(device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_s_file_is_named_by_its_numbers() {
        assert_eq!(file_name(nix::sys::stat::makedev(254, 300)), "b254:300");
    }
}
