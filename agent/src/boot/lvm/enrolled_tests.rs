//! Which logical volume is root: each rule against an attack by itself.

use storage::lvm2::{GroupError, TableError};

use super::*;
use crate::boot::lvm::test_disks::{
    TEXT, made, open_disks, put_ext4, put_ext4_on, with_copy, written,
};

const UUID: &str = "0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";
const OTHER: &str = "1b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";
const VOLUME: &str = "/dev/mapper/crypt";

fn read(disk: &[u8]) -> Result<Option<Enrolled>, LvmError> {
    Enrolled::read(&mut open_disks(&[(VOLUME, disk)]))
}

/// The mapping's name.
fn choose(disk: &[u8], root: &str) -> Result<String, LvmError> {
    let spec = root.parse().unwrap();
    let group = read(disk)?.unwrap();
    let chosen = group.choose(Some(&spec), &mut open_disks(&[(VOLUME, disk)]))?;
    Ok(chosen.mapping.name)
}

#[test]
fn root_is_named_by_its_mapping_its_alias_or_its_content_and_by_nothing_else() {
    let mut disk = made("debian-a");
    put_ext4_on(&mut disk, "root", UUID, "debian");
    put_ext4_on(&mut disk, "home-of-all", OTHER, "home");
    for (root, expected) in [
        ("/dev/mapper/debian--vg-root", "debian--vg-root"),
        ("/dev/debian-vg/root", "debian--vg-root"),
        ("/dev/debian-vg/home-of-all", "debian--vg-home--of--all"),
        (&format!("UUID={UUID}"), "debian--vg-root"),
        ("LABEL=home", "debian--vg-home--of--all"),
    ] {
        assert_eq!(choose(&disk, root).unwrap(), expected, "{root}");
    }
    for root in [
        VOLUME,
        "/dev/mapper/other--vg-root",
        "/dev/mapper/debian-vg-root",
        "/dev/other-vg/root",
        "/dev/sda3",
        "PARTUUID=deadbeef-03",
        "UUID=2b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11",
        "LABEL=other",
    ] {
        let refused = choose(&disk, root).unwrap_err();
        assert!(matches!(refused, LvmError::Elsewhere { .. }), "{refused}");
        assert!(refused.to_string().contains("home-of-all, root, swap_1"));
    }
    let group = read(&disk).unwrap().unwrap();
    let unnamed = group
        .choose(None, &mut open_disks(&[(VOLUME, &disk)]))
        .map(drop);
    assert!(matches!(unnamed, Err(LvmError::Unnamed { .. })));
}

/// A group of the same name on another disk is not even asked for.
#[test]
fn the_group_is_the_enrolled_volumes_whatever_other_disks_hold() {
    let [one, other] = ["twin-a", "twin-b"].map(|name| read(&made(name)).unwrap().unwrap());
    assert_eq!(one.metadata().name, other.metadata().name);
    assert_ne!(one.metadata().id, other.metadata().id);
}

#[test]
fn a_group_that_goes_on_on_another_disk_is_refused() {
    for disk in ["server-a", "kinds-a", "wrapped-b"] {
        let refused = read(&made(disk)).map(drop).unwrap_err();
        assert!(
            matches!(&refused, LvmError::Group(GroupError::Missing { .. })),
            "{refused}"
        );
        assert!(refused.to_string().contains("only enrolled volumes"));
    }
}

/// The group `server` of three disks: root is on two of them.
#[test]
fn a_group_on_several_open_volumes_is_used_and_none_of_them_may_be_missing() {
    let [a, b, c] = ["server-a", "server-b", "server-c"].map(made);
    let all: [(&str, &[u8]); 3] = [(VOLUME, &a), ("/dev/mapper/b", &b), ("/dev/mapper/c", &c)];
    let root = "/dev/server/root".parse().unwrap();
    for order in [[0, 1, 2], [0, 2, 1], [2, 1, 0]] {
        let disks = order.map(|place| all[place]);
        let mut disks = open_disks(&disks);
        let group = Enrolled::read(&mut disks).unwrap().unwrap();
        let mapping = group.choose(Some(&root), &mut disks).unwrap().mapping;
        // As lvm2 maps it: 40960 sectors on the first disk, 20480 there, 81920 on the second.
        let number = |disk: usize| u32::try_from(order.iter().position(|at| *at == disk).unwrap());
        let targets = mapping.targets.iter().map(|target| {
            let (node, sector) = target.on[0];
            (target.length, node.minor, sector)
        });
        let (first, second) = (number(0).unwrap(), number(1).unwrap());
        assert!(targets.eq([
            (40960, first, 2048),
            (20480, first, 83968),
            (81920, second, 2048)
        ]));
    }
    for missing in 0..3 {
        let mut disks = all.to_vec();
        disks.remove(missing);
        let refused = Enrolled::read(&mut open_disks(&disks)).map(drop);
        assert!(
            matches!(refused, Err(LvmError::Group(GroupError::Missing { .. }))),
            "{refused:?}"
        );
    }
}

/// What is missing may be what cannot be read, and it is said so.
#[test]
fn a_damaged_label_where_the_group_goes_on_is_named() {
    let [a, b, mut c] = ["server-a", "server-b", "server-c"].map(made);
    c[512 + 40] ^= 1;
    let disks: [(&str, &[u8]); 3] = [(VOLUME, &a), ("/dev/mapper/b", &b), ("/dev/mapper/c", &c)];
    let refused = Enrolled::read(&mut open_disks(&disks)).map(drop);
    let Err(LvmError::Label { volume, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(volume, "/dev/mapper/c");
}

/// A further volume that belongs to no group of root's is not asked, whatever its group is called.
#[test]
fn a_group_on_one_volume_takes_no_notice_of_the_others() {
    let [one, other] = ["twin-a", "twin-b"].map(made);
    let mut disks = open_disks(&[(VOLUME, &one), ("/dev/mapper/b", &other)]);
    let group = Enrolled::read(&mut disks).unwrap().unwrap();
    let alone = read(&one).unwrap().unwrap();
    assert_eq!(group.metadata().id, alone.metadata().id);
    assert!(group.warnings().is_empty(), "{:?}", group.warnings());
}

#[test]
fn a_group_that_was_given_away_or_is_shared_is_refused() {
    let exported = read(&made("exported-a")).map(drop).unwrap_err();
    assert!(matches!(exported, LvmError::Group(GroupError::Exported(_))));
    let text = TEXT.replacen("flags = []", "lock_type = \"sanlock\"\nflags = []", 1);
    let shared = read(&written(&text)).map(drop).unwrap_err();
    assert!(matches!(shared, LvmError::Group(GroupError::Shared(_))));
}

/// A guest that may write to its own disk gives its file system root's UUID or label.
#[test]
fn with_two_volumes_that_match_nothing_is_root() {
    let mut disk = made("debian-a");
    put_ext4_on(&mut disk, "root", UUID, "debian");
    put_ext4_on(&mut disk, "home-of-all", UUID, "debian");
    for root in [format!("UUID={UUID}"), "LABEL=debian".to_owned()] {
        let refused = choose(&disk, &root).unwrap_err();
        assert!(
            matches!(&refused, LvmError::Twice { one, other, .. } if one == "home-of-all" && other == "root"),
            "{refused}"
        );
    }
    choose(&disk, "/dev/debian-vg/root").unwrap();
}

/// The volume that cannot be looked into may be the one that was meant.
#[test]
fn with_a_volume_that_cannot_be_looked_into_nothing_is_root_by_content() {
    let (first, last) = TEXT.rsplit_once("type = \"striped\"").unwrap();
    let text = format!("{first}type = \"thin\"{last}");
    let mut disk = written(&text);
    put_ext4_on(&mut disk, "root", UUID, "debian");
    let refused = choose(&disk, &format!("UUID={UUID}")).unwrap_err();
    assert!(
        matches!(&refused, LvmError::Unseen { source, .. } if matches!(**source, TableError::Kind { .. })),
        "{refused}"
    );
    assert_eq!(choose(&disk, "/dev/vg/root").unwrap(), "vg-root");
    let unmappable = choose(&disk, "/dev/vg/swap").unwrap_err().to_string();
    assert!(
        unmappable.contains("type thin, which needs lvm2"),
        "{unmappable}"
    );
}

#[test]
fn a_file_system_over_an_old_label_is_no_group() {
    let mut disk = made("debian-a");
    put_ext4(&mut disk, 0, UUID, "over it");
    assert!(read(&disk).unwrap().is_none());
    assert!(read(&vec![0; 1 << 20]).unwrap().is_none());
}

#[test]
fn metadata_that_is_damaged_is_refused_and_a_copy_that_is_passed_over_is_told() {
    let mut damaged = written(TEXT);
    damaged[4096 + 600] ^= 1;
    let refused = read(&damaged).map(drop).unwrap_err();
    assert!(matches!(refused, LvmError::Metadata { .. }), "{refused}");
    let warnings = |disk: &[u8]| read(disk).unwrap().unwrap().warnings().to_vec();
    assert!(warnings(&written(TEXT)).is_empty());
    assert!(warnings(&with_copy(TEXT, TEXT)).is_empty());
    let mut damaged = with_copy(TEXT, TEXT);
    damaged[4096 + 600] ^= 1;
    let told = warnings(&damaged);
    assert!(
        told.len() == 1 && told[0].contains("is damaged") && told[0].contains("number 2 is used"),
        "{told:?}"
    );
    let newer = TEXT.replace("seqno = 2", "seqno = 3");
    let disk = with_copy(TEXT, &newer);
    let told = warnings(&disk);
    assert!(
        told.len() == 1 && told[0].contains("with number 2; number 3 is used"),
        "{told:?}"
    );
    assert_eq!(read(&disk).unwrap().unwrap().metadata().seqno, 3);
    // Two truths of one number: the one that is used is told from the other.
    let other = TEXT.replace("\"READ\", \"VISIBLE\"", "\"READ\", \"WRITE\", \"VISIBLE\"");
    assert_eq!(warnings(&with_copy(TEXT, &other)).len(), 1);
}

#[test]
fn a_volume_under_the_name_of_the_one_that_it_is_on_is_refused() {
    let text = TEXT.replacen("vg {", "crypt {", 1);
    let disk = written(&text);
    let mut disks = open_disks(&[("/dev/mapper/crypt-root", &disk)]);
    let group = Enrolled::read(&mut disks).unwrap().unwrap();
    let spec = "/dev/crypt/root".parse().unwrap();
    let taken = group.choose(Some(&spec), &mut disks).map(drop);
    assert!(matches!(taken, Err(LvmError::NameTaken(name)) if name == "crypt-root"));
}
