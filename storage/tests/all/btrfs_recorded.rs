//! File systems that the real mkfs.btrfs made, and what `btrfs inspect-internal dump-super` says of them.

use std::io::Cursor;

use crate::recorded;
use proptest::prelude::*;
use storage::{
    btrfs::{Candidate, FileSystem, MembersError, Superblock, SuperblockError, members},
    checksum,
};

const PLACE: usize = 65_536;

fn disk(name: &str) -> Cursor<Vec<u8>> {
    recorded::disk(&format!("btrfs/{name}.disk"))
}

fn candidate(name: &str) -> Candidate {
    let superblock = Superblock::read(&mut disk(name)).unwrap().unwrap();
    Candidate {
        device: format!("/dev/{name}"),
        superblock,
    }
}

#[test]
fn superblocks_are_read_as_btrfs_reads_them() {
    for name in [
        "single-a",
        "pair-a",
        "pair-b",
        "xxhash-a",
        "sha256-a",
        "blake2-a",
        "metadata-uuid-a",
    ] {
        let text = recorded::text(&format!("btrfs/{name}.dump"));
        let said = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('\t'));
            let (_, value) = lines.find(|(found, _)| *found == key).unwrap();
            value.trim().trim_end_matches(" [match]").to_owned()
        };
        let Superblock {
            id,
            metadata_id,
            label,
            generation,
            devices,
            device,
            device_id,
            device_size,
            seeding,
            changing_id,
        } = candidate(name).superblock;
        assert_eq!(said("fsid"), id.to_string());
        assert_eq!(said("metadata_uuid"), metadata_id.to_string());
        assert_eq!(said("label"), label);
        assert_eq!(said("generation"), generation.to_string());
        assert_eq!(said("num_devices"), devices.to_string());
        assert_eq!(said("dev_item.devid"), device.to_string());
        assert_eq!(said("dev_item.uuid"), device_id.to_string());
        assert_eq!(said("dev_item.total_bytes"), device_size.to_string());
        assert!(!seeding && !changing_id);
    }
}

#[test]
fn a_file_system_is_whole_with_all_its_devices_in_any_order() {
    let (one, other) = (candidate("pair-a"), candidate("pair-b"));
    let id = one.superblock.id;
    for all in [[one.clone(), other.clone()], [other.clone(), one.clone()]] {
        let found = members(id, &all).unwrap();
        assert_eq!(found.devices, ["/dev/pair-a", "/dev/pair-b"]);
    }
    let error = members(id, &[other]).unwrap_err();
    assert!(
        matches!(&error, MembersError::Missing { present: 1, names, .. } if names == "/dev/pair-b")
    );
    let error = members(id, &[candidate("single-a")]).unwrap_err();
    assert_eq!(error, MembersError::Absent(id));
}

/// The pair, and a copy of the second one that was changed.
fn beside(change: fn(&mut Superblock)) -> Result<FileSystem, String> {
    let mut copy = candidate("pair-b");
    copy.device = "/dev/usb".to_owned();
    change(&mut copy.superblock);
    let all = [candidate("pair-a"), candidate("pair-b"), copy];
    members(all[0].superblock.id, &all).map_err(|error| error.to_string())
}

#[test]
fn look_alikes_are_refused_and_named() {
    let refused = |change| {
        let error = beside(change).unwrap_err();
        assert!(error.contains("/dev/usb"), "{error}");
    };
    refused(|_| {});
    refused(|copy| copy.generation += 100);
    refused(|copy| copy.device_id.0[0] ^= 1);
    refused(|copy| copy.device = 3);
    refused(|copy| {
        copy.device = 3;
        copy.generation += 100;
        copy.devices = 3;
    });
    refused(|copy| {
        copy.device = 3;
        copy.metadata_id.0[0] ^= 1;
    });
    assert!(beside(|copy| copy.id.0[0] ^= 1).is_ok());
}

#[test]
fn a_look_alike_in_the_place_of_a_missing_device_is_refused() {
    let one = candidate("pair-a");
    let id = one.superblock.id;
    let mut copy = one.clone();
    copy.device = "/dev/usb".to_owned();
    copy.superblock.device_id.0[0] ^= 1;
    let error = members(id, &[one.clone(), copy]).unwrap_err();
    assert!(matches!(error, MembersError::Twice { other, .. } if other == "/dev/usb"));
    let mut other = candidate("pair-b");
    other.superblock.metadata_id.0[0] ^= 1;
    let error = members(id, &[one, other]).unwrap_err();
    assert!(matches!(error, MembersError::Disagrees { .. }));
}

#[test]
fn a_device_that_was_away_is_named() {
    let (one, mut other) = (candidate("pair-a"), candidate("pair-b"));
    other.superblock.generation -= 1;
    let id = one.superblock.id;
    members(id, &[one.clone(), other.clone()]).unwrap();
    other.superblock.generation -= 1;
    let error = members(id, &[one.clone(), other.clone()]).unwrap_err();
    assert!(matches!(error, MembersError::Old { device, .. } if device == "/dev/pair-b"));
    other.superblock.generation += 2;
    other.superblock.changing_id = true;
    assert_eq!(members(id, &[one, other]), Err(MembersError::Changing(id)));
}

#[test]
fn every_changed_byte_is_noticed() {
    for name in ["single-a", "xxhash-a", "sha256-a", "blake2-a"] {
        let mut disk = disk(name);
        // The rest of the checksum's field is not used by the short ones.
        for offset in (0..4).chain(32..4096) {
            disk.get_mut()[PLACE + offset] ^= 0x20;
            match Superblock::read(&mut disk) {
                Ok(None) => assert!((64..72).contains(&offset)),
                Err(SuperblockError::Checksum) => {}
                Err(SuperblockError::Kind(_)) => assert!((196..198).contains(&offset)),
                other => panic!("{name} {offset}: {other:?}"),
            }
            disk.get_mut()[PLACE + offset] ^= 0x20;
        }
    }
}

/// A superblock that was changed by somebody who knows the checksum.
fn sealed(change: impl Fn(&mut [u8])) -> Result<Option<Superblock>, SuperblockError> {
    let mut disk = disk("single-a");
    let block = &mut disk.get_mut()[PLACE..PLACE + 4096];
    change(block);
    let sum = checksum::crc32c(&block[32..]).to_le_bytes();
    block[..4].copy_from_slice(&sum);
    Superblock::read(&mut disk)
}

#[test]
fn what_a_superblock_may_not_say_is_refused_in_a_sentence() {
    let refused = |offset: usize, bytes: &[u8], wanted: &str| {
        let error = sealed(|block| block[offset..offset + bytes.len()].copy_from_slice(bytes));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    refused(48, &[1], "is at 65537");
    refused(136, &[0], "number of devices");
    refused(136, &[255; 8], "number of devices");
    refused(209, &[255; 8], "size of its device");
    refused(283, &[1, 2, 3], "and its device to 010203");
    refused(32, &[1, 2, 3], "belongs to 010203");
    refused(196, &[9], "type 9");
    assert!(sealed(|block| block[56 + 4] = 1).unwrap().unwrap().seeding);
}

#[test]
fn a_device_that_is_cut_has_no_superblock() {
    let whole = disk("single-a").into_inner();
    for length in [0, 1, PLACE, PLACE + 1, PLACE + 4095] {
        let mut disk = Cursor::new(whole[..length].to_vec());
        assert!(Superblock::read(&mut disk).unwrap().is_none());
    }
    // There is a superblock, but the device became smaller.
    let mut disk = Cursor::new(whole[..PLACE + 4096].to_vec());
    assert!(Superblock::read(&mut disk).is_err());
}

proptest! {
    #[test]
    fn any_superblock_with_a_right_checksum_is_read_or_refused(
        changes in prop::collection::vec((32_usize..600, any::<u8>()), 1..12),
    ) {
        let answer = sealed(|block| changes.iter().for_each(|(offset, value)| block[*offset] = *value));
        if let Ok(Some(one)) = answer {
            prop_assert!(one.devices > 0 && one.device_size <= 128 << 20);
        }
    }
}
