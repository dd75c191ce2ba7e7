//! Groups that the real lvm2 made, and the tables with which it activated them.

use std::collections::BTreeMap;

use crate::recorded;
use storage::lvm2::{Candidate, Group, GroupError, Node, TableError, group, mapping};

fn candidates(vector: &str, disks: &str) -> Vec<Candidate> {
    let read = |letter: char| {
        let mut disk = recorded::disk(&format!("lvm/{vector}-{letter}.disk"));
        let device = format!("/dev/vd{letter}");
        Candidate::read(&device, &mut disk).unwrap().unwrap()
    };
    disks.chars().map(read).collect()
}

/// As the kernel numbers virtio disks; all had 96 MiB.
fn nodes() -> BTreeMap<String, Node> {
    let node = |(index, letter): (u32, char)| {
        let node = Node {
            major: 254,
            minor: index * 16,
            sectors: 96 << 11,
        };
        (format!("/dev/vd{letter}"), node)
    };
    (0..).zip("abcdef".chars()).map(node).collect()
}

fn name_of(group: &str, volume: &str) -> String {
    storage::lvm2::mapping_name(group, volume)
}

/// All lines of `dmsetup table` that begin with a mapping's name.
fn lines_of(table: &str, name: &str) -> Vec<String> {
    let lines = table
        .lines()
        .filter_map(|line| line.strip_prefix(&format!("{name}: ")));
    lines.map(str::to_owned).collect()
}

fn is_as_activated(vector: &str, found: &Group) {
    let table = recorded::text(&format!("lvm/{vector}.table"));
    let info = recorded::text(&format!("lvm/{vector}.info"));
    let mut compared = 0;
    for volume in found.metadata.logical.keys() {
        let name = name_of(&found.metadata.name, volume);
        let mapping = mapping(found, volume, &nodes()).unwrap();
        assert_eq!(mapping.name, name);
        if found.metadata.logical[volume].skipped {
            // lvm2 itself left it alone.
            assert!(lines_of(&table, &name).is_empty());
            continue;
        }
        let lines: Vec<String> = mapping.targets.iter().map(ToString::to_string).collect();
        assert_eq!(lines, lines_of(&table, &name), "{name}");
        let attributes = if mapping.read_only { "L--r" } else { "L--w" };
        let expected = format!("{name} {} {attributes}", mapping.uuid);
        assert!(
            info.lines().any(|line| line == expected),
            "{expected}\n{info}"
        );
        compared += lines.len();
    }
    assert_eq!(compared, table.lines().count(), "{vector}");
}

/// What pvs says of the group is what was read.
fn is_as_reported(vector: &str, found: &Group) {
    let metadata = &found.metadata;
    let reported = recorded::text(&format!("lvm/{vector}.pvs"));
    assert_eq!(reported.lines().count(), metadata.physical.len());
    for (name, volume) in &metadata.physical {
        let expected = format!(
            "  {} {} {} {} {} {}S {} ",
            found.devices[name],
            volume.id,
            metadata.name,
            metadata.id,
            metadata.seqno,
            metadata.extent_size,
            volume.extents
        );
        assert!(
            reported.lines().any(|line| line.starts_with(&expected)),
            "{expected}\n{reported}"
        );
    }
}

#[test]
fn volumes_are_mapped_as_lvm_maps_them() {
    for (vector, disks, name) in [
        ("debian", "a", "debian-vg"),
        ("server", "abc", "server"),
        ("wrapped", "ab", "stale"),
    ] {
        let candidates = candidates(vector, disks);
        let found = group(name, &candidates).unwrap();
        assert!(found.behind.is_empty() && candidates.iter().all(|one| one.damaged.is_empty()));
        is_as_activated(vector, &found);
        if vector != "wrapped" {
            is_as_reported(vector, &found);
        }
    }
}

#[test]
fn every_kind_that_needs_lvm_is_named() {
    let found = group("kinds", &candidates("kinds", "abcdef")).unwrap();
    is_as_reported("kinds", &found);
    let listed = recorded::text("lvm/kinds.lvs");
    let mut kinds = std::collections::BTreeSet::new();
    for line in listed.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, volume, id, kind, ..] = words[..] else {
            panic!("{line}");
        };
        let name = volume.trim_matches(['[', ']']);
        assert_eq!(found.metadata.logical[name].id.to_string(), id);
        let error = mapping(&found, name, &nodes()).unwrap_err();
        if matches!(error, TableError::Hidden(_)) {
            // Room for repairs, which nothing uses.
            assert_eq!(name, "lvol0_pmspare");
            continue;
        }
        let text = error.to_string();
        assert!(
            text.contains("needs lvm2") && text.contains(&format!("kinds/{name}")),
            "{text}"
        );
        match (error, kind) {
            // It is whole by itself, but not to be used without its snapshot, its pool, its array.
            (TableError::Used { kind, .. }, "linear") => kinds.insert(kind),
            (TableError::Kind { kind: found, .. }, kind) => {
                // The metadata says more exactly which.
                assert!(
                    found.starts_with(kind) || kind == "integrity",
                    "{found} {kind}"
                );
                kinds.insert(found)
            }
            (error, kind) => panic!("{error} {kind}"),
        };
    }
    for kind in [
        "mirror",
        "raid1",
        "raid10",
        "thin",
        "thin-pool",
        "cache",
        "snapshot",
        "writecache",
        "integrity",
        "error",
    ] {
        assert!(kinds.contains(kind), "{kind}: {kinds:?}");
    }
    for kind in ["raid5", "raid6", "raid0"] {
        assert!(
            kinds.iter().any(|found| found.starts_with(kind)),
            "{kind}: {kinds:?}"
        );
    }
}

#[test]
fn two_groups_of_one_name_are_not_told_apart_by_luck() {
    let both = candidates("twin", "ab");
    assert!(matches!(
        group("twin", &both).unwrap_err(),
        GroupError::SameName { one, other, .. } if one == "/dev/vda" && other == "/dev/vdb"
    ));
    for one in both {
        group("twin", &[one]).unwrap();
    }
}

#[test]
fn a_group_that_was_given_away_is_left_alone() {
    let error = group("twin", &candidates("exported", "a")).unwrap_err();
    assert_eq!(error, GroupError::Exported("twin".to_owned()));
}

#[test]
fn a_disk_that_is_not_there_is_named() {
    let mut some = candidates("server", "abc");
    let id = some.remove(1).label.id;
    match group("server", &some).unwrap_err() {
        GroupError::Missing {
            id: missing,
            device,
            ..
        } => {
            assert_eq!((missing, device.as_str()), (id, "/dev/vdb"));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_disk_that_was_away_is_named() {
    let mut pair = candidates("wrapped", "a");
    let mut old = candidates("stale-old", "b");
    old[0].device = "/dev/old".to_owned();
    pair.append(&mut old);
    let error = group("stale", &pair).unwrap_err();
    assert!(
        matches!(&error, GroupError::Old { device, newest, .. } if device == "/dev/old" && newest == "/dev/vda"),
        "{error}"
    );
}

#[test]
fn a_copy_of_a_disk_is_refused_whatever_it_says() {
    let mut three = candidates("server", "abc");
    let mut copy = candidates("server", "b");
    copy[0].device = "/dev/usb".to_owned();
    // A copy that claims to be newer than the group.
    copy[0].groups[0].seqno += 1;
    three.append(&mut copy);
    let error = group("server", &three).unwrap_err().to_string();
    assert!(
        error.contains("/dev/vdb") && error.contains("/dev/usb"),
        "{error}"
    );
}

#[test]
fn a_disk_that_says_it_belongs_to_the_group_is_not_believed() {
    let mut candidates = candidates("server", "abc");
    candidates.extend(self::candidates("debian", "a"));
    let claimed = candidates[0].groups[0].clone();
    candidates[3].groups = vec![claimed.clone()];
    candidates[3].device = "/dev/usb".to_owned();
    let stranger = |error: GroupError, who: &str| {
        assert!(
            matches!(&error, GroupError::Stranger { device, .. } if device == who),
            "{error}"
        );
    };
    stranger(group("server", &candidates).unwrap_err(), "/dev/usb");
    // One that brings its own, newer truth, with itself in it and the others out.
    let mut newer = claimed;
    newer.seqno += 1;
    newer
        .physical
        .retain(|_, volume| volume.device == "/dev/vda");
    newer
        .physical
        .values_mut()
        .for_each(|volume| volume.id = candidates[3].label.id);
    candidates[3].groups = vec![newer];
    stranger(group("server", &candidates).unwrap_err(), "/dev/vda");
}

#[test]
fn two_truths_of_one_number_are_refused() {
    let mut candidates = candidates("server", "abc");
    candidates[2].groups[0].logical.remove("ro");
    let error = group("server", &candidates).unwrap_err();
    assert!(
        matches!(error, GroupError::Differs { one, .. } if one == "/dev/vdb" || one == "/dev/vdc")
    );
}

#[test]
fn a_power_cut_between_two_writes_is_no_obstacle() {
    let mut candidates = candidates("server", "abc");
    candidates[2].groups[0].seqno -= 1;
    candidates[2].groups[0].logical.remove("ro");
    let found = group("server", &candidates).unwrap();
    assert_eq!(found.behind, ["/dev/vdc"]);
    is_as_activated("server", &found);
}

#[test]
fn a_device_that_became_smaller_is_named() {
    let found = group("debian-vg", &candidates("debian", "a")).unwrap();
    let mut nodes = nodes();
    nodes.get_mut("/dev/vda").unwrap().sectors = 100_000;
    let error = mapping(&found, "home-of-all", &nodes)
        .unwrap_err()
        .to_string();
    assert!(error.contains("/dev/vda, which has 100000"), "{error}");
    nodes.clear();
    assert!(matches!(
        mapping(&found, "root", &nodes),
        Err(TableError::Node(_))
    ));
    assert!(matches!(
        mapping(&found, "rot", &nodes),
        Err(TableError::Absent { .. })
    ));
}

#[test]
fn a_disk_that_is_cut_anywhere_is_refused_or_not_lvm() {
    let whole = recorded::disk("lvm/debian-a.disk").into_inner();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for length in (0..=end).filter(|length| *length < 1200 || *length > end - 600) {
        let mut disk = std::io::Cursor::new(whole[..length].to_vec());
        match Candidate::read("cut", &mut disk) {
            Ok(Some(candidate)) => {
                assert!(candidate.groups.is_empty() && candidate.damaged.len() == 1);
                let error = group("debian-vg", &[candidate]).unwrap_err();
                assert!(matches!(error, GroupError::Unreadable { .. }), "{error}");
            }
            Ok(None) => assert!(length < 2048),
            Err(error) => panic!("{length}: {error}"),
        }
    }
}

#[test]
fn every_changed_byte_of_label_header_or_text_is_noticed() {
    let mut disk = recorded::disk("lvm/debian-a.disk");
    let end = disk.get_ref().iter().rposition(|byte| *byte != 0).unwrap();
    let used: Vec<usize> = (0..end).filter(|at| disk.get_ref()[*at] != 0).collect();
    assert!(used.len() > 1500, "{}", used.len());
    for at in used {
        disk.get_mut()[at] ^= 4;
        match Candidate::read("changed", &mut disk) {
            Ok(Some(candidate)) => assert_eq!(candidate.damaged.len(), 1, "{at}"),
            // The word LABELONE itself.
            Ok(None) => assert!((512..520).contains(&at), "{at}"),
            Err(_) => {}
        }
        disk.get_mut()[at] ^= 4;
    }
}
