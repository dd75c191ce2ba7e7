//! Which devices that a disk may be behind have no driver, and which driver they would need: for the sentence
//! that says why a disk did not appear.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Read,
    path::Path,
};

use crate::boot::modules::glob_match;

/// What drives what, of the drivers that the image lacks (`mkinitramfs`, modules/left_out.rs).
pub const DRIVERS: &str = "/etc/taoboot.drivers";
/// As the builder's own bound of a kernel's list of aliases.
const LONGEST: u64 = 16 << 20;
/// The kernel's attributes are at most a page.
const LONGEST_ATTRIBUTE: u64 = 4096;
/// Depth below /sys/devices; real ones end near 20.
const DEPTH: usize = 24;
/// More than these do not help a person.
const MOST: usize = 4;

/// What a disk may be behind, by class: even where the kernel has no driver that taoboot knows.
const CLASSES: &[(&str, &str)] = &[
    ("pci:*bc01*", "a disk controller"),
    ("pci:*bc0Csc03*", "a USB controller"),
    ("usb:*ic08*", "a USB disk"),
    ("scsi:t-0x00*", "a SCSI disk"),
    ("virtio:d00000002v*", "a virtio disk"),
    ("virtio:d00000008v*", "a virtio SCSI controller"),
    ("mmc:block", "a memory card"),
];

/// One sentence part each: `usb 1-1:1.0 needs uas or usb_storage`. `drivers` is the text of [`DRIVERS`].
pub fn driverless(devices: &Path, drivers: &str) -> Vec<String> {
    let aliases: Vec<(&str, &str)> = drivers.lines().filter_map(alias).collect();
    let mut found = Vec::new();
    walk(devices, 0, &aliases, &mut found);
    found.sort();
    found.dedup();
    if found.len() > MOST {
        let more = found.len().saturating_sub(MOST);
        found.truncate(MOST);
        found.push(format!("{more} more"));
    }
    found
}

/// The text of [`DRIVERS`]; an image of before has none.
pub fn read_drivers(path: &Path) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
    // Without it the devices are named all the same.
    if read.is_err() {
        text.clear();
    }
    text
}

fn alias(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_ascii_whitespace();
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some("alias"), Some(pattern), Some(name), None) => Some((pattern, name)),
        _ => None,
    }
}

fn walk(directory: &Path, depth: usize, aliases: &[(&str, &str)], found: &mut Vec<String>) {
    if depth > DEPTH {
        return;
    }
    // What vanishes meanwhile was unplugged.
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        // Links are not followed: sysfs links its directories in circles.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let path = entry.path();
            found.extend(describe(&path, aliases));
            walk(&path, depth.saturating_add(1), aliases, found);
        }
    }
}

/// A device without a driver that a disk may be behind.
fn describe(device: &Path, aliases: &[(&str, &str)]) -> Option<String> {
    let mut modalias = String::new();
    File::open(device.join("modalias"))
        .and_then(|file| file.take(LONGEST_ATTRIBUTE).read_to_string(&mut modalias))
        .ok()?;
    let modalias = modalias.trim_end();
    let bus = fs::read_link(device.join("subsystem")).ok()?;
    let bus = bus.file_name()?.to_string_lossy().into_owned();
    // ACPI's own entry of a device never has a driver where the bus has one.
    if device.join("driver").exists() || bus == "acpi" {
        return None;
    }
    let name = device.file_name()?.to_string_lossy();
    let names: BTreeSet<&str> = aliases
        .iter()
        .filter(|(pattern, _)| glob_match(pattern, modalias))
        .map(|(_, name)| *name)
        .collect();
    if !names.is_empty() {
        let names: Vec<&str> = names.into_iter().collect();
        return Some(format!("{bus} {name} needs {}", names.join(" or ")));
    }
    let class = CLASSES
        .iter()
        .find(|(pattern, _)| glob_match(pattern, modalias))?;
    let modalias = printable::line(modalias);
    Some(format!("{bus} {name} is {} ({modalias})", class.1))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const LEFT_OUT: &str = "alias pci:v*d*sv*sd*bc0Csc03i30* xhci_pci\n\
        alias usb:v*p*d*dc*dsc*dp*ic08isc06ip50in* uas\n\
        alias usb:v*p*d*dc*dsc*dp*ic08isc06ip50in* usb_storage\nalias broken\n";

    /// A device below `directory`, as sysfs has it.
    fn device(directory: &Path, name: &str, bus: &str, modalias: &str, driver: bool) {
        let path = directory.join(name);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("modalias"), format!("{modalias}\n")).unwrap();
        symlink(format!("/sys/bus/{bus}"), path.join("subsystem")).unwrap();
        if driver {
            symlink(".", path.join("driver")).unwrap();
        }
    }

    const XHCI: &str = "pci:v00001B36d0000000Dsv00001AF4sd00001100bc0Csc03i30";
    const STICK: &str = "usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00";

    #[test]
    fn a_device_without_a_driver_is_named_with_the_one_it_needs() {
        let devices = tempfile::tempdir().unwrap();
        let pci = devices.path().join("pci0000:00");
        device(&pci, "0000:00:04.0", "pci", XHCI, false);
        device(&pci, "0000:00:02.0", "pci", "pci:v*bc02sc00i00", false);
        assert_eq!(
            driverless(devices.path(), LEFT_OUT),
            ["pci 0000:00:04.0 needs xhci_pci"]
        );
    }

    #[test]
    fn one_with_a_driver_is_not_named_but_what_is_behind_it_may_be() {
        let devices = tempfile::tempdir().unwrap();
        device(devices.path(), "0000:00:04.0", "pci", XHCI, true);
        let usb = devices.path().join("0000:00:04.0/usb1/1-1");
        device(&usb, "1-1:1.0", "usb", STICK, false);
        assert_eq!(
            driverless(devices.path(), LEFT_OUT),
            ["usb 1-1:1.0 needs uas or usb_storage"]
        );
    }

    #[test]
    fn one_that_no_driver_of_the_kernel_is_for_is_named_by_its_class() {
        let devices = tempfile::tempdir().unwrap();
        device(devices.path(), "1-1:1.0", "usb", STICK, false);
        device(devices.path(), "LNXSYBUS:00", "acpi", STICK, false);
        assert_eq!(
            driverless(devices.path(), ""),
            [format!("usb 1-1:1.0 is a USB disk ({STICK})")]
        );
    }

    #[test]
    fn a_hundred_of_them_do_not_make_a_page() {
        let devices = tempfile::tempdir().unwrap();
        for number in 0..100 {
            device(devices.path(), &format!("{number:03}"), "usb", STICK, false);
        }
        let found = driverless(devices.path(), LEFT_OUT);
        assert_eq!(found.len(), 5);
        assert_eq!(found[4], "96 more");
    }
}
