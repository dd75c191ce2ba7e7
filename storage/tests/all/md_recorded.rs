//! Arrays that the real mdadm made, and what it says of them.

use std::io::Cursor;

use crate::recorded;
use proptest::prelude::*;
use storage::{
    checksum,
    md::{Array, ArrayError, Candidate, Role, Superblock, array},
};

const ARRAYS: [(&str, &str); 10] = [
    ("old-raid1", "ab"),
    ("end-raid1", "ab"),
    ("start-raid0", "abc"),
    ("raid1", "ab"),
    ("raid5", "abc"),
    ("raid6", "abcd"),
    ("raid10", "abcd"),
    ("raid10far", "abc"),
    ("linear", "ab"),
    ("spare", "abc"),
];

fn disk(vector: &str, letter: char) -> Cursor<Vec<u8>> {
    recorded::disk(&format!("md/{vector}-{letter}.disk"))
}

fn candidates(vector: &str, disks: &str) -> Vec<Candidate> {
    let read = |letter: char| {
        let device = format!("/dev/vd{letter}");
        let candidate = Candidate::read(&device, &mut disk(vector, letter)).unwrap();
        assert!(candidate.damaged.is_empty() && candidate.superblocks.len() == 1);
        candidate
    };
    disks.chars().map(read).collect()
}

fn found(candidates: &[Candidate]) -> Result<Array, ArrayError> {
    array(candidates[0].superblocks[0].array, candidates)
}

/// A line of `mdadm --examine`.
fn said<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let mut lines = text
        .lines()
        .filter_map(|line| line.trim().split_once(" : "));
    lines
        .find(|(found, _)| found.trim() == key)
        .map(|(_, value)| value.trim())
}

fn first(text: Option<&str>) -> Option<u64> {
    text?.split(' ').next()?.parse().ok()
}

#[test]
fn superblocks_are_read_as_mdadm_reads_them() {
    for (vector, disks) in ARRAYS {
        for letter in disks.chars() {
            let text = recorded::text(&format!("md/{vector}-{letter}.examine"));
            let candidate = &candidates(vector, &letter.to_string())[0];
            let superblock = &candidate.superblocks[0];
            let is_old = vector == "old-raid1";
            let version = said(&text, "Version").unwrap();
            assert_eq!(
                version.trim_end_matches(".00"),
                superblock.format.to_string()
            );
            let uuid = said(&text, if is_old { "UUID" } else { "Array UUID" }).unwrap();
            assert_eq!(
                uuid.split(' ').next(),
                Some(superblock.array.to_string().as_str())
            );
            assert_eq!(
                said(&text, "Raid Level"),
                Some(superblock.level.to_string().as_str())
            );
            assert_eq!(
                first(said(&text, "Raid Devices")),
                Some(superblock.members.into())
            );
            assert_eq!(first(said(&text, "Events")), Some(superblock.events));
            if let Some(chunk) = said(&text, "Chunk Size") {
                assert_eq!(chunk, format!("{}K", superblock.chunk / 2));
            }
            if is_old {
                assert_eq!(
                    first(said(&text, "Used Dev Size")),
                    Some(superblock.size / 2)
                );
                continue;
            }
            assert_eq!(
                said(&text, "Name").unwrap().split("  ").next(),
                Some(superblock.name.as_str())
            );
            assert_eq!(
                first(said(&text, "Avail Dev Size")),
                Some(superblock.data_size)
            );
            assert_eq!(
                first(said(&text, "Data Offset")).unwrap_or(0),
                superblock.data_offset
            );
            let device = superblock.device.unwrap().to_string();
            assert_eq!(said(&text, "Device UUID"), Some(device.as_str()));
            let role = match superblock.role() {
                Role::Active(slot) => format!("Active device {slot}"),
                Role::Spare => "spare".to_owned(),
                other => panic!("{other:?}"),
            };
            assert_eq!(said(&text, "Device Role"), Some(role.as_str()));
        }
    }
}

#[test]
fn arrays_are_whole_with_all_their_members_in_any_order() {
    for (vector, disks) in ARRAYS {
        let mut all = candidates(vector, disks);
        let whole = found(&all).unwrap();
        assert!(whole.is_complete() && whole.stale.is_empty(), "{vector}");
        let slots: Vec<u32> = whole.members.iter().map(|member| member.slot).collect();
        assert_eq!(slots, (0..whole.superblock.members).collect::<Vec<_>>());
        all.reverse();
        assert_eq!(found(&all).unwrap().members, whole.members);
        let spares: &[&str] = if vector == "spare" {
            &["/dev/vdc"]
        } else {
            &[]
        };
        assert_eq!(whole.others, spares);
    }
}

#[test]
fn arrays_that_lack_a_member_are_degraded_or_refused() {
    for (vector, disks) in ARRAYS {
        let mut some = candidates(vector, disks);
        let gone = some.remove(1);
        let lost = matches!(vector, "start-raid0" | "linear");
        match found(&some) {
            Ok(array) => {
                assert!(!lost && !array.is_complete(), "{vector}");
                assert_eq!(gone.superblocks[0].role(), Role::Active(array.missing[0]));
            }
            Err(error) => assert!(lost && error.to_string().contains("not enough"), "{error}"),
        }
    }
}

#[test]
fn a_member_that_was_away_is_not_added() {
    let all = candidates("stale", "ab");
    let array = found(&all).unwrap();
    assert_eq!(
        (array.stale, array.missing),
        (vec!["/dev/vdb".to_owned()], vec![1])
    );
    // Alone, it is the newest there is.
    assert_eq!(found(&all[1..]).unwrap().missing, [0]);
}

/// Copies a member and changes its superblock; the answer with it beside the real ones.
fn beside(vector: &str, disks: &str, change: fn(&mut Superblock)) -> Result<Array, ArrayError> {
    let mut all = candidates(vector, disks);
    let mut copy = candidates(vector, "a").remove(0);
    copy.device = "/dev/usb".to_owned();
    change(&mut copy.superblocks[0]);
    all.push(copy);
    found(&all)
}

#[test]
fn look_alikes_are_refused_and_named() {
    let refused = |answer: Result<Array, ArrayError>| {
        let error = answer.unwrap_err().to_string();
        assert!(error.contains("/dev/usb"), "{error}");
    };
    refused(beside("raid1", "ab", |_| {}));
    // A newer copy of a member.
    refused(beside("raid1", "ab", |copy| copy.events += 1));
    refused(beside("raid1", "ab", |copy| copy.events += 100));
    // A second set of members with numbers of its own, newer: the real ones would be out of date.
    refused(beside("raid1", "ab", |copy| {
        copy.device = None;
        copy.number = 5;
        copy.events += 100;
        copy.roles[5] = Role::Active(0);
    }));
    refused(beside("raid1", "ab", |copy| {
        copy.device = None;
        copy.number = 5;
        copy.roles[5] = Role::Active(0);
        copy.events += 1;
    }));
    // The missing member, from an array that was made at another time.
    refused(beside("raid1", "a", |copy| {
        (copy.device, copy.number, copy.created) = (None, 1, copy.created + 1);
    }));
    refused(beside("raid1", "a", |copy| {
        (copy.device, copy.number, copy.size) = (None, 1, copy.size - 8);
    }));
    refused(beside("raid1", "a", |copy| {
        (copy.device, copy.number) = (None, 1);
        copy.name.push('x');
    }));
}

#[test]
fn a_member_that_is_behind_although_nobody_noticed_is_refused() {
    let mut all = candidates("raid1", "ab");
    all[1].superblocks[0].events -= 1;
    assert!(found(&all).unwrap().is_complete());
    all[1].superblocks[0].events -= 1;
    let error = found(&all).unwrap_err();
    assert!(
        matches!(&error, ArrayError::Disagrees { device, .. } if device == "/dev/vdb"),
        "{error}"
    );
}

#[test]
fn a_copy_of_a_spare_is_refused() {
    let mut all = candidates("spare", "abc");
    let mut copy = candidates("spare", "c").remove(0);
    copy.device = "/dev/usb".to_owned();
    all.push(copy);
    let error = found(&all).unwrap_err();
    assert!(
        matches!(&error, ArrayError::Twice { one, other, .. } if one == "/dev/vdc" && other == "/dev/usb"),
        "{error}"
    );
}

#[test]
fn states_that_only_the_kernel_understands_are_refused() {
    let with = |change: fn(&mut Superblock)| {
        let mut all = candidates("raid5", "abc");
        all.iter_mut()
            .for_each(|one| change(&mut one.superblocks[0]));
        found(&all).unwrap_err().to_string()
    };
    assert!(with(|one| one.reshaping = true).contains("reshaped"));
    assert!(with(|one| one.journal = true).contains("journal"));
    assert!(with(|one| one.unknown_features = 0x4000).contains("0x4000"));
}

#[test]
fn a_device_that_is_cut_has_no_superblock_that_counts() {
    for (vector, letter) in [
        ("raid1", 'a'),
        ("end-raid1", 'a'),
        ("old-raid1", 'a'),
        ("start-raid0", 'b'),
    ] {
        let whole = disk(vector, letter).into_inner();
        for length in [
            0,
            1,
            512,
            4095,
            4096,
            4608,
            8191,
            8192,
            70_000,
            1 << 20,
            whole.len() - 65_536,
        ] {
            let mut disk = Cursor::new(whole[..length].to_vec());
            let candidate = Candidate::read("cut", &mut disk).unwrap();
            assert!(candidate.superblocks.is_empty(), "{vector} {length}");
        }
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    for (vector, at, length) in [("raid1", 4096, 300), ("old-raid1", 196_480 << 9, 4096)] {
        let mut disk = disk(vector, 'a');
        for offset in at..at + length {
            disk.get_mut()[offset] ^= 0x40;
            let candidate = Candidate::read("changed", &mut disk).unwrap();
            // Without its magic number or its major version it is not a superblock.
            let is_none = offset < at + 8;
            assert_eq!(
                candidate.damaged.len(),
                usize::from(!is_none),
                "{vector} {offset}"
            );
            assert!(candidate.superblocks.is_empty());
            disk.get_mut()[offset] ^= 0x40;
        }
    }
}

proptest! {
    #[test]
    fn any_superblock_with_a_right_checksum_is_read_or_refused(
        changes in prop::collection::vec((0_usize..512, any::<u8>()), 1..12),
        vector in prop::sample::select(vec!["raid1", "old-raid1", "end-raid1"]),
    ) {
        let mut disk = disk(vector, 'a');
        let sectors = disk.get_ref().len() as u64 / 512;
        let format = candidates(vector, "a")[0].superblocks[0].format;
        let at = usize::try_from(format.sector(sectors).unwrap() * 512).unwrap();
        let block = &mut disk.get_mut()[at..at + 4096];
        for (offset, value) in changes {
            block[offset] = value;
        }
        if format.numbers().0 == 0 {
            let sum = checksum::md_v0(block).to_le_bytes();
            block[152..156].copy_from_slice(&sum);
        } else {
            let roles = usize::from(u16::from_le_bytes([block[220], block[221]])).min(1920);
            let sum = checksum::md_v1(&block[..256 + 2 * roles]).to_le_bytes();
            block[216..220].copy_from_slice(&sum);
        }
        let candidate = Candidate::read("changed", &mut disk).unwrap();
        if let Some(one) = candidate.superblocks.first() {
            prop_assert!(one.data_offset + one.data_size <= sectors && one.size <= one.data_size);
            if let Ok(array) = array(one.array, std::slice::from_ref(&candidate)) {
                prop_assert!(array.members.len() <= 1);
                prop_assert_eq!(array.missing.len() + array.members.len(), one.members as usize);
            }
        }
    }
}
