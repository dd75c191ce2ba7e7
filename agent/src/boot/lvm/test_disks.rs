//! Disks with LVM for tests: those that lvm2 made (storage/tests/vectors), and one that is written by hand.
// Clippy's permission for tests covers test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[allow(
    dead_code,
    reason = "what the tools said is compared by storage's own tests"
)]
#[path = "../../../../storage/tests/all/recorded.rs"]
mod recorded;
#[path = "../../../../storage/tests/all/written.rs"]
mod written;

use std::io::Cursor;

use storage::{
    checksum,
    lvm2::{Candidate, Node, group, mapping},
};

pub use written::TEXT;

use super::{OpenDevice, OpenDevices};

/// A disk that lvm2 made.
pub fn made(name: &str) -> Vec<u8> {
    recorded::disk(&format!("lvm/{name}.disk")).into_inner()
}

/// Open volumes with these contents.
pub fn open_disks(disks: &[(&str, &[u8])]) -> OpenDevices<'static> {
    let mut devices = (0..).zip(disks).map(|(minor, (name, disk))| {
        let disk = Cursor::new(disk.to_vec());
        OpenDevice::new((*name).to_owned(), (254, minor), Box::new(disk)).unwrap()
    });
    let mut open = OpenDevices::of(devices.next().unwrap());
    for device in devices {
        open.push(device);
    }
    open
}

/// A disk with the group of that text: `vg`, with the volumes `root` and `swap`.
pub fn written(text: &str) -> Vec<u8> {
    written::disk(text, 512)
}

/// The same with a second metadata area, at its end.
pub fn with_copy(text: &str, copy: &str) -> Vec<u8> {
    const AREA: usize = 65_536;
    let mut disk = written(text);
    let at = disk.len() - AREA;
    let mut area = written(copy)[4096..4096 + AREA].to_vec();
    area[24..32].copy_from_slice(&(at as u64).to_le_bytes());
    let sum = checksum::lvm(&area[4..512]);
    area[..4].copy_from_slice(&sum.to_le_bytes());
    disk[at..].copy_from_slice(&area);
    // The label's list of areas goes on behind the first.
    disk[632..640].copy_from_slice(&(at as u64).to_le_bytes());
    disk[640..648].copy_from_slice(&(AREA as u64).to_le_bytes());
    let sum = checksum::lvm(&disk[532..1024]);
    disk[528..532].copy_from_slice(&sum.to_le_bytes());
    disk
}

/// Writes what is known of an ext4 there.
pub fn put_ext4(disk: &mut [u8], at: usize, uuid: &str, label: &str) {
    disk[at + 0x438..at + 0x43a].copy_from_slice(&[0x53, 0xef]);
    let uuid = hex::decode(uuid.replace('-', "")).unwrap();
    disk[at + 0x468..at + 0x478].copy_from_slice(&uuid);
    disk[at + 0x478..at + 0x478 + label.len()].copy_from_slice(label.as_bytes());
}

/// The same at the start of a logical volume.
pub fn put_ext4_on(disk: &mut Vec<u8>, volume: &str, uuid: &str, label: &str) {
    let mut whole = Cursor::new(std::mem::take(disk));
    let candidate = Candidate::read("disk", &mut whole).unwrap().unwrap();
    *disk = whole.into_inner();
    let name = candidate.groups[0].name.clone();
    let node = Node {
        major: 0,
        minor: 0,
        sectors: disk.len() as u64 / 512,
    };
    let nodes = [("disk".to_owned(), node)].into();
    let group = group(&name, &[candidate]).unwrap();
    let mapping = mapping(&group, volume, &nodes).unwrap();
    let sector = mapping.targets[0].on[0].1;
    let at = usize::try_from(sector).unwrap() * 512;
    put_ext4(disk, at, uuid, label);
}
