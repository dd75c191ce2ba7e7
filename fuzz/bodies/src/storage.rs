//! What the fuzz targets of `storage` do with their bytes. Checksums are made right first: whoever writes
//! to a disk can do that as well.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read as _, Seek as _, SeekFrom},
};

use storage::{
    btrfs, checksum, crypttab, fstab,
    keyboard::Keyboard,
    keymap::{self, Keymap},
    lvm2::{self, Group, Node, VolumeGroup},
    md, mdadm_conf, mountinfo,
    pins::Pins,
    swap::{FirstPage, Holds, PAGE},
};

use crate::target::FuzzTarget;

/// Names of the targets, with their functions.
pub const TARGETS: [FuzzTarget; 12] = [
    ("storage_lvm2_text", lvm2_text),
    ("storage_lvm2_disk", lvm2_disk),
    ("storage_md", md),
    ("storage_btrfs", btrfs),
    ("storage_crypttab", crypttab),
    ("storage_fstab", fstab),
    ("storage_mdadm_conf", mdadm_conf),
    ("storage_keyboard", keyboard),
    ("storage_mountinfo", mountinfo),
    ("storage_swap", swap),
    ("storage_pins", pins),
    ("storage_keymap", keymap),
];

/// Sectors of every device of a group.
const SECTORS: u64 = 1 << 20;

/// A group's text: no table leaves its devices.
pub fn lvm2_text(bytes: &[u8]) {
    if let Ok(metadata) = lvm2::read_text(bytes) {
        maps(metadata);
    }
}

fn maps(metadata: VolumeGroup) {
    let devices: BTreeMap<_, _> = metadata
        .physical
        .keys()
        .map(|name| (name.clone(), name.clone()))
        .collect();
    let node = |(minor, name): (u32, &String)| {
        let node = Node {
            major: 253,
            minor,
            sectors: SECTORS,
        };
        (name.clone(), node)
    };
    let nodes: BTreeMap<_, _> = (0..).zip(metadata.physical.keys()).map(node).collect();
    let group = Group {
        metadata,
        devices,
        behind: Vec::new(),
    };
    for volume in group.metadata.logical.keys().take(16) {
        let Ok(mapping) = lvm2::mapping(&group, volume, &nodes) else {
            continue;
        };
        let mut next = 0;
        for target in &mapping.targets {
            assert_eq!(target.start, next);
            next += target.length;
            let each = target.length / target.on.len() as u64;
            assert!(target.on.iter().all(|(_, first)| first + each <= SECTORS));
        }
        let (found, name) = lvm2::split_mapping_name(&mapping.name).unwrap();
        assert_eq!((&found, &name), (&group.metadata.name, volume));
        reads(&mapping, nodes.values().copied());
    }
}

/// A volume is read up to its end, and no further.
fn reads(mapping: &lvm2::Mapping, nodes: impl Iterator<Item = Node>) {
    let mut disks: Vec<_> = nodes
        .map(|node| (node, Cursor::new(vec![7_u8; 1 << 16])))
        .collect();
    let disks = disks.iter_mut();
    let devices = disks.map(|(node, disk)| (*node, disk as &mut dyn storage::Disk));
    let mut contents = lvm2::Contents::of(mapping, devices.collect()).unwrap();
    let size = contents.seek(SeekFrom::End(0)).unwrap();
    assert_eq!(contents.read(&mut [0; 8]).unwrap(), 0);
    for at in [0, 4096, size / 2, size - 1] {
        contents.seek(SeekFrom::Start(at)).unwrap();
        let length = contents.read(&mut [0; 1024]).unwrap() as u64;
        assert!(at >= size || length <= size - at);
    }
}

/// The beginning of a physical volume, with its label in sector 1 and its first metadata area at 4 KiB.
pub fn lvm2_disk(bytes: &[u8]) {
    let mut disk = bytes.to_vec();
    seal(&mut disk, 528, 532..1024);
    if let Some(header) = disk.get(4136..4152) {
        let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap());
        let place = number(0).checked_add(4096);
        let end = place.and_then(|place| place.checked_add(number(8)));
        if let (Some(place), Some(end)) = (place, end)
            && let Some(text) = disk.get(place as usize..end as usize)
        {
            let sum = checksum::lvm(text).to_le_bytes();
            if let Some(place) = disk.get_mut(4152..4156) {
                place.copy_from_slice(&sum);
            }
        }
        seal(&mut disk, 4096, 4100..4608);
    }
    let candidate = lvm2::Candidate::read("disk", &mut Cursor::new(disk));
    if let Ok(Some(candidate)) = candidate {
        let Some(name) = candidate.groups.first().map(|group| group.name.clone()) else {
            return;
        };
        if let Ok(group) = lvm2::group(&name, &[candidate]) {
            maps(group.metadata);
        }
    }
}

fn seal(disk: &mut [u8], at: usize, covered: std::ops::Range<usize>) {
    if let Some(covered) = disk.get(covered) {
        let sum = checksum::lvm(covered).to_le_bytes();
        disk[at..at + 4].copy_from_slice(&sum);
    }
}

/// Members of an array: a byte that says where each has its superblock, then pieces of 512 bytes. The
/// superblocks of format 0.90 are longer, and end with zeros.
pub fn md(bytes: &[u8]) {
    const SECTORS: u64 = 512;
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    let format = md::Format::ALL[usize::from(*kind) % 4];
    let at = usize::try_from(format.sector(SECTORS).unwrap() * 512).unwrap();
    let mut candidates = Vec::new();
    for (index, piece) in (0..6).zip(rest.chunks(512)) {
        let mut disk = vec![0; 512 * SECTORS as usize];
        let block = &mut disk[at..at + 4096];
        block[..piece.len()].copy_from_slice(piece);
        if format == md::Format::V0_90 {
            // Which of the disks it is.
            block[3968] = index;
            let sum = checksum::md_v0(block).to_le_bytes();
            block[152..156].copy_from_slice(&sum);
        } else {
            let roles = usize::from(u16::from_le_bytes([block[220], block[221]])).min(1920);
            let sum = checksum::md_v1(&block[..256 + 2 * roles]).to_le_bytes();
            block[216..220].copy_from_slice(&sum);
        }
        candidates.push(md::Candidate::read(&index.to_string(), &mut Cursor::new(disk)).unwrap());
    }
    let found = candidates.iter().flat_map(|one| &one.superblocks);
    let Some(wanted) = found.map(|superblock| superblock.array).next() else {
        return;
    };
    if let Ok(array) = md::array(wanted, &candidates) {
        let slots: std::collections::BTreeSet<u32> =
            array.members.iter().map(|member| member.slot).collect();
        assert_eq!(slots.len(), array.members.len());
        assert!(slots.iter().all(|slot| *slot < array.superblock.members));
    }
}

/// Superblocks of devices of a file system, in pieces of 640 bytes.
pub fn btrfs(bytes: &[u8]) {
    let mut candidates = Vec::new();
    for (index, piece) in (0..4).zip(bytes.chunks(640)) {
        let mut disk = vec![0; 65_536 + 4096 * 16];
        let block = &mut disk[65_536..65_536 + 4096];
        block[..piece.len()].copy_from_slice(piece);
        let sum = checksum::crc32c(&block[32..]).to_le_bytes();
        block[..4].copy_from_slice(&sum);
        if let Ok(Some(superblock)) = btrfs::Superblock::read(&mut Cursor::new(disk)) {
            candidates.push(btrfs::Candidate {
                device: format!("disk {index}"),
                superblock,
            });
        }
    }
    if let Some(first) = candidates.first()
        && let Ok(found) = btrfs::members(first.superblock.id, &candidates)
    {
        assert_eq!(found.devices.len() as u64, found.superblock.devices);
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("")
}

/// crypttab: what is read is in the text, and each line's options are understood or refused by their line.
pub fn crypttab(bytes: &[u8]) {
    let text = text(bytes);
    // What is refused has no lines to look at.
    for line in crypttab::read(text).unwrap_or_default() {
        assert!(text.contains(&line.name) && text.contains(&line.device));
        line.key();
        line.decoded();
        match line.typed_options() {
            Ok(options) => assert!(options.len() <= line.options.len()),
            Err(error) => assert!(
                error
                    .to_string()
                    .starts_with(&format!("line {}: ", line.number))
            ),
        }
    }
}

/// fstab.
pub fn fstab(bytes: &[u8]) {
    // What is refused has no lines to look at.
    for line in fstab::read(text(bytes)).unwrap_or_default() {
        line.option("subvol");
        line.needed();
        assert!(line.in_initramfs() || line.place != "/");
    }
}

/// mdadm.conf.
pub fn mdadm_conf(bytes: &[u8]) {
    if let Ok(conf) = mdadm_conf::read(text(bytes)) {
        for array in conf.arrays {
            if let Some(id) = array.id {
                assert_eq!(md::ArrayId::parse(&id.to_string()), Some(id));
            }
        }
    }
}

/// The keyboard's files: no value is more than a name or a path without a way up.
pub fn keyboard(bytes: &[u8]) {
    let mut keyboard = Keyboard::default();
    if keyboard.read(text(bytes)).is_ok() {
        let values = [keyboard.keymap, keyboard.layout, keyboard.options];
        assert!(
            values
                .iter()
                .flatten()
                .all(|value| !value.contains([' ', '$', '\n']))
        );
    }
}

/// mountinfo.
pub fn mountinfo(bytes: &[u8]) {
    if let Ok(mounts) = mountinfo::read(text(bytes)) {
        for mount in &mounts {
            assert!(mountinfo::at(&mounts, &mount.place).is_some());
        }
    }
}

/// The first page of a swap area, told by its beginning and its end: what is put away is gone, and a mark is
/// read as it was written.
pub fn swap(bytes: &[u8]) {
    let (start, end) = bytes.split_at(bytes.len() / 2);
    let mut page = vec![0; PAGE];
    for (place, byte) in page.iter_mut().zip(start) {
        *place = *byte;
    }
    for (place, byte) in page.iter_mut().rev().zip(end.iter().rev()) {
        *place = *byte;
    }
    // As it is, too.
    drop(FirstPage::read(bytes));
    let Ok(page) = FirstPage::read(&page) else {
        return;
    };
    let marked = page.clone().marked(Some(&[7; 32]));
    assert_eq!(marked.mark(), Some([7; 32]));
    assert!(marked.holds() == page.holds() && marked.marked(None).mark().is_none());
    let away = page.without_image();
    if let Ok(again) = FirstPage::read(away.bytes()) {
        assert_eq!(again.holds(), Holds::Swap);
    }
}

/// The pins of an enrolment, then a zero byte and a configuration: what comes of both has the pins, and the
/// administrator's lines are its end.
pub fn pins(bytes: &[u8]) {
    // Without a zero byte both are empty, which is an input like any other.
    let (pinned, config) = text(bytes).split_once('\0').unwrap_or_default();
    let Ok(pins) = Pins::parse(pinned, "pins.toml") else {
        return;
    };
    if let Ok(merged) = pins.merged(config, "image.toml") {
        assert!(merged.ends_with(config));
        let again = Pins::parse(pinned, "pins.toml").unwrap();
        assert_eq!(again.merged(&merged, "image.toml").unwrap(), merged);
    }
}

/// A binary keymap: written again it is the same.
pub fn keymap(bytes: &[u8]) {
    let Ok(keymap) = Keymap::read(bytes) else {
        return;
    };
    assert!(bytes.len() <= keymap::LONGEST);
    let mut again = b"bkeymap".to_vec();
    again.resize(7 + 256, 0);
    for entry in keymap.entries() {
        again[7 + usize::from(entry.table)] = 1;
        again.extend(entry.value.to_le_bytes());
    }
    assert_eq!(again, bytes);
}
