//! Root on LVM: what is forecast is what /init does, because the same code decides.
//! The volumes are files, with what lvm2 wrote (storage/tests/vectors).

use std::io::Write as _;

use super::*;
use crate::boot::lvm::test_disks::{TEXT, made, put_ext4, put_ext4_on, with_copy, written};

const UUID: &str = "0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";
const ROOT: &str = "1b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";
const HOME: &str = "2b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";

fn opened(disk: &[u8]) -> Opened {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(disk).unwrap();
    Opened::Readable(file)
}

/// The volume is /dev/sda3 and is opened as sda3_crypt.
fn forecast(words: &str, opened: &Opened) -> Forecast {
    forecast_with(words, opened, &|_| Opened::Closed)
}

/// With a further volume.
fn forecast_with(
    words: &str,
    opened: &Opened,
    further_opened: &dyn Fn(&DeviceSpec) -> Opened,
) -> Forecast {
    let is_volume = |node: &str| Some(node == "/dev/sda3");
    let config = Config::parse("", "image.toml");
    let crypttab = format!("sda3_crypt UUID={UUID} none luks,discard\n");
    let fstab = "/dev/mapper/debian--vg-root / ext4 errors=remount-ro 0 1\n\
        /dev/mapper/debian--vg-swap_1 none swap sw 0 0\n";
    Forecast::of(
        &format!("rd.luks.name={UUID}=sda3_crypt ro {words}"),
        &System {
            uuid: UUID,
            config: Some(&config),
            crypttab: &storage::crypttab::read(&crypttab).unwrap(),
            fstab: &storage::fstab::read(fstab).unwrap(),
            swap: false,
            is_volume: &is_volume,
            opened,
            further_opened,
            is_further: &|_| IsFurther::Unknown,
        },
    )
}

/// Debian's guided, encrypted LVM, with file systems on two of its volumes.
fn debian() -> Vec<u8> {
    let mut disk = made("debian-a");
    put_ext4_on(&mut disk, "root", ROOT, "debian");
    put_ext4_on(&mut disk, "home-of-all", HOME, "home");
    disk
}

fn stops(words: &str, disk: &[u8]) -> String {
    let found = forecast(words, &opened(disk));
    let [reason] = &found.stops[..] else {
        panic!("{words}: {found:?}");
    };
    assert!(reason.starts_with("/init "), "{reason}");
    reason.clone()
}

#[test]
fn root_on_a_volume_of_the_enrolled_volumes_group_gets_no_word() {
    let disk = opened(&debian());
    for root in [
        "/dev/mapper/debian--vg-root",
        "/dev/debian-vg/root",
        &format!("UUID={ROOT}"),
        "LABEL=debian",
    ] {
        let found = forecast(&format!("root={root}"), &disk);
        assert_eq!(found, Forecast::default(), "{root}");
    }
}

#[test]
fn a_root_that_init_does_not_find_in_the_group_stops_the_boot() {
    let disk = debian();
    for words in [
        "root=/dev/mapper/sda3_crypt",
        "root=/dev/sda3",
        &format!("root=UUID={UUID}"),
        "root=PARTUUID=deadbeef-03",
        "root=/dev/mapper/other--vg-root",
        "root=/dev/other-vg/root",
        "root=UUID=3b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11",
        "root=LABEL=other",
    ] {
        let reason = stops(words, &disk);
        assert!(
            reason.contains("debian-vg on /dev/mapper/sda3_crypt has home-of-all, root, swap_1"),
            "{reason}"
        );
    }
    assert!(stops("quiet", &disk).contains("root= does not say which logical volume"));
    // A volume without a file system, in any case without one that root can have.
    assert!(stops("root=/dev/debian-vg/swap_1", &disk).contains("not a file system"));
}

#[test]
fn a_group_that_init_refuses_stops_the_boot() {
    for (disk, words) in [
        ("server-a", "lacks its physical volume"),
        ("exported-a", "is exported"),
    ] {
        let reason = stops("root=/dev/mapper/x-root", &made(disk));
        assert!(reason.contains(words), "{reason}");
    }
    let text = TEXT.replacen("flags = []", "lock_type = \"sanlock\"\nflags = []", 1);
    assert!(stops("root=/dev/vg/root", &written(&text)).contains("is shared"));
    let mut damaged = written(TEXT);
    damaged[4096 + 600] ^= 1;
    assert!(stops("root=/dev/vg/root", &damaged).contains("metadata is damaged"));
}

/// The group `server` is on three disks.
#[test]
fn a_group_that_goes_on_on_further_volumes_is_found_where_they_can_be_looked_into() {
    let mut disks = ["server-a", "server-b", "server-c"].map(made);
    // Where root begins.
    put_ext4(&mut disks[0], 2048 * 512, ROOT, "server");
    let spec = |disk: usize| DeviceSpec::Uuid(format!("{disk}c5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11"));
    let words = format!(
        "root=/dev/server/root rd.luks.name={}=b rd.luks.name={}=c",
        spec(1),
        spec(2)
    )
    .replace("=UUID=", "=");
    let found = |seen: usize| {
        forecast_with(&words, &opened(&disks[0]), &|device| match (1..=2)
            .find(|disk| *device == spec(*disk))
        {
            Some(disk) if disk <= seen => opened(&disks[disk]),
            _ => Opened::Closed,
        })
    };
    let whole = found(2);
    assert!(
        whole.stops.is_empty() && whole.unknown.is_empty(),
        "{whole:?}"
    );
    let in_part = found(1);
    assert!(
        in_part.stops.is_empty() && in_part.unknown[0].contains("c cannot be looked into here"),
        "{in_part:?}"
    );
}

#[test]
fn a_uuid_or_label_on_two_volumes_and_a_type_that_init_cannot_map_stop_the_boot() {
    let mut disk = debian();
    put_ext4_on(&mut disk, "home-of-all", ROOT, "debian");
    for root in [&format!("UUID={ROOT}"), "LABEL=debian"] {
        let reason = stops(&format!("root={root}"), &disk);
        assert!(reason.contains("on two logical volumes"), "{reason}");
    }
    let (first, last) = TEXT.rsplit_once("type = \"striped\"").unwrap();
    let thin = written(&format!("{first}type = \"thin\"{last}"));
    assert!(stops("root=/dev/vg/swap", &thin).contains("type thin, which needs lvm2"));
    assert!(stops(&format!("root=UUID={ROOT}"), &thin).contains("cannot be looked into"));
}

#[test]
fn what_is_worth_knowing_of_a_group_is_told() {
    let mut disk = with_copy(TEXT, &TEXT.replace("seqno = 2", "seqno = 3"));
    put_ext4_on(&mut disk, "root", ROOT, "");
    let found = forecast("root=/dev/vg/root", &opened(&disk));
    let told = found
        .notes
        .iter()
        .any(|note| note.contains("number 3 is used"));
    assert!(found.stops.is_empty() && told, "{found:?}");
    let text = TEXT.replacen("flags = []", "system_id = \"host\u{5f}1\"\nflags = []", 1);
    let mut disk = written(&text);
    put_ext4_on(&mut disk, "root", ROOT, "");
    let found = forecast("root=/dev/vg/root", &opened(&disk));
    let told = found
        .notes
        .iter()
        .any(|note| note.contains("system ID host_1"));
    assert!(found.stops.is_empty() && told, "{found:?}");
}

#[test]
fn a_volume_without_lvm_is_root_by_its_own_names_only() {
    let mut disk = vec![0; 1 << 20];
    put_ext4(&mut disk, 0, ROOT, "debian");
    for words in [
        "root=/dev/mapper/sda3_crypt",
        "root=/dev/sda3",
        "root=LABEL=debian",
        &format!("root=UUID={ROOT}"),
        &format!("root=UUID={UUID}"),
        "quiet",
    ] {
        let found = forecast(words, &opened(&disk));
        assert!(found.stops.is_empty(), "{words}: {found:?}");
    }
    for words in [
        "root=/dev/mapper/debian--vg-root",
        "root=/dev/debian-vg/root",
        "root=LABEL=other",
        &format!("root=UUID={HOME}"),
    ] {
        stops(words, &disk);
    }
    assert!(stops("quiet", &vec![0; 1 << 20]).contains("not a file system"));
}

#[test]
fn what_cannot_be_read_is_not_told() {
    let closed = Opened::Closed;
    let unreadable = Opened::Unreadable("Permission denied\n\u{1b}[2J".into());
    for root in [
        "/dev/mapper/debian--vg-root",
        "/dev/debian-vg/root",
        "/dev/mapper/other-root",
    ] {
        for opened in [&closed, &unreadable] {
            let found = forecast(&format!("root={root}"), opened);
            assert!(found.stops.is_empty(), "{root}: {found:?}");
            assert_eq!(found.unknown.len(), 1, "{root}: {found:?}");
            assert!(found.unknown[0].chars().all(printable::is_printable));
        }
    }
    // What needs no look stays as sure as it was.
    let found = forecast("root=/dev/mapper/sda3_crypt", &closed);
    assert!(
        found.unknown.is_empty() && !found.notes.is_empty(),
        "{found:?}"
    );
    assert_eq!(
        forecast("root=/dev/mapper/sda4_crypt", &closed).stops.len(),
        1
    );
    let found = forecast("root=/dev/mapper/sda3_crypt", &unreadable);
    assert_eq!(found.unknown.len(), 1, "{found:?}");
    // A disk that ends in an error: /init may have better luck.
    let directory = std::fs::File::open("/").unwrap();
    let found = forecast("root=/dev/debian-vg/root", &Opened::Readable(directory));
    assert_eq!(found.unknown.len(), 1, "{found:?}");
}
