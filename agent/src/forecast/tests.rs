use std::io::Write as _;

use proptest::prelude::*;

use super::*;
use crate::boot::lvm::test_disks::put_ext4;

const UUID: &str = "0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";
const OTHER: &str = "1b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11";

struct Files {
    config: Option<&'static str>,
    crypttab: String,
    fstab: String,
    swap: bool,
    opened: fn() -> Opened,
    is_further: IsFurther,
}

/// Without LVM, and with the file system OTHER.
fn whole() -> Opened {
    let mut disk = vec![0; 1 << 20];
    put_ext4(&mut disk, 0, OTHER, "");
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&disk).unwrap();
    Opened::Readable(file)
}

const BARE: Files = Files {
    config: Some(""),
    crypttab: String::new(),
    fstab: String::new(),
    swap: false,
    opened: whole,
    is_further: IsFurther::Enrolled,
};

/// The enrolled volume is /dev/sda3, other nodes are other devices.
fn forecast(line: &str, files: &Files) -> Forecast {
    let is_volume = |node: &str| Some(node == "/dev/sda3");
    let config = files.config.map(|text| Config::parse(text, "image.toml"));
    Forecast::of(
        line,
        &System {
            uuid: UUID,
            config: config.as_ref(),
            crypttab: &storage::crypttab::read(&files.crypttab).unwrap(),
            fstab: &storage::fstab::read(&files.fstab).unwrap(),
            swap: files.swap,
            is_volume: &is_volume,
            opened: &(files.opened)(),
            further_opened: &|_| Opened::Closed,
            is_further: &|_| files.is_further,
        },
    )
}

#[test]
fn a_good_system_gets_no_word() {
    let files = Files {
        crypttab: format!(
            "root UUID={} none luks\ndata UUID={OTHER} none luks\nspare UUID={UUID} none noauto\n",
            UUID.to_uppercase()
        ),
        fstab: "/dev/mapper/root / ext4 defaults\n/dev/mapper/data /data ext4 defaults\n\
            /dev/mapper/vg-home /home ext4 defaults\n/dev/mapper/swap none swap sw\n"
            .into(),
        swap: true,
        ..BARE
    };
    for line in [
        format!("/vmlinuz root=/dev/mapper/root ro rd.luks.uuid={UUID} taoboot.on_failure=prompt"),
        format!("root=UUID={OTHER} rd.luks.uuid=luks-{UUID} rd.luks.name={UUID}=root"),
        "root=/dev/sda3 ro quiet".into(),
        format!("root=UUID={UUID} -- taoboot.nonsense"),
    ] {
        assert_eq!(forecast(&line, &files), Forecast::default(), "{line}");
    }
}

#[test]
fn a_line_at_which_init_stops_is_told_with_what_to_do() {
    let good = format!("root=/dev/mapper/root rd.luks.uuid={UUID}");
    for (line, words) in [
        (
            format!("{good} taoboot.on_failur=prompt"),
            "is not an option of taoboot",
        ),
        (
            format!("{good} taoboot.failure_delay=soon"),
            "not a number of seconds",
        ),
        (
            format!("root=/dev/mapper/root rd.luks.uuid={OTHER} rd.luks.uuid={UUID}"),
            "name the enrolled one first",
        ),
        (
            format!("root=/dev/mapper/root rd.luks.uuid={OTHER}"),
            "not the enrolled one",
        ),
        // What 10_linux writes: the file system in the volume, which nothing opens.
        (format!("root=UUID={OTHER} ro"), "not the enrolled one"),
        ("root=/dev/sda9 ro".into(), "not the enrolled one"),
        (
            "root=/dev/mapper/root ro".into(),
            "no encrypted volume is named",
        ),
        (
            format!("root=/dev/mapper/sda3_crypt rd.luks.uuid={UUID}"),
            "rd.luks.name=0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11=sda3_crypt",
        ),
        (
            format!("root=PARTUUID=deadbeef-09 rd.luks.uuid={UUID}"),
            "neither the enrolled volume nor in it",
        ),
        (
            format!("rd.luks.name={UUID}=../x"),
            "not usable below /dev/mapper",
        ),
    ] {
        let found = forecast(&line, &BARE);
        assert_eq!(found.stops.len(), 1, "{line}: {found:?}");
        assert!(found.stops[0].contains(words), "{line}: {found:?}");
        assert!(found.asks.is_empty());
    }
}

#[test]
fn the_configuration_counts_as_in_init() {
    let named = Files {
        config: Some(
            "[volume]\ndevice = \"UUID=0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11\"\nname = \"disk\"\n",
        ),
        ..BARE
    };
    assert_eq!(
        forecast("root=/dev/mapper/disk", &named),
        Forecast::default()
    );
    assert_eq!(forecast("root=/dev/mapper/root", &named).stops.len(), 1);
    let bad = Files {
        config: Some("on_failur = \"reboot\""),
        ..BARE
    };
    assert!(forecast("root=/dev/sda3", &bad).stops[0].contains("unknown field"));
    // An image whose configuration is not known may name the volume.
    let unknown = Files {
        config: None,
        ..BARE
    };
    let found = forecast("root=/dev/mapper/root", &unknown);
    assert!(
        found.stops.is_empty() && found.notes.len() == 1,
        "{found:?}"
    );
}

/// The kernel would look for an image there before /init has closed the latch.
#[test]
fn a_resume_that_the_kernel_obeys_before_init_is_a_stop_and_any_other_is_told() {
    let of = |resume: &str, config| {
        let files = Files { config, ..BARE };
        forecast(&format!("root=/dev/sda3 {resume}"), &files)
    };
    let allowed = Some("[swap]\nresume = true\n");
    for config in [None, Some(""), allowed] {
        for resume in ["resume=/dev/sda5", "resume=PARTUUID=deadbeef-05"] {
            let found = of(resume, config);
            let [stop] = found.stops.as_slice() else {
                panic!("{found:?}");
            };
            assert!(
                stop.contains("before /init runs") && stop.contains("GRUB_CMDLINE_LINUX"),
                "{stop}"
            );
        }
        let found = of("resume=/dev/mapper/vg-swap", config);
        assert!(found.stops.is_empty(), "{found:?}");
        assert_eq!(found.notes.is_empty(), config == allowed, "{found:?}");
    }
    assert!(of("", allowed).stops[0].contains("names the swap"));
    let file = of("resume=/dev/mapper/root resume_offset=7", allowed);
    assert!(file.stops[0].contains("swap file"), "{file:?}");
}

#[test]
fn another_name_in_crypttab_is_a_second_question() {
    let files = Files {
        crypttab: format!("sda3_crypt UUID={UUID} none luks\n"),
        fstab: "/dev/mapper/sda3_crypt / btrfs subvol=@\n\
            /dev/mapper/sda3_crypt /home btrfs subvol=@home\n\
            /dev/mapper/sda3_crypt /srv btrfs nofail,subvol=@srv\n"
            .into(),
        ..BARE
    };
    let line = format!("root=UUID={OTHER} rd.luks.uuid={UUID}");
    let found = forecast(&line, &files);
    assert_eq!(found.asks.len(), 1, "{found:?}");
    assert!(found.asks[0].contains("a second time"), "{found:?}");
    assert!(found.asks[0].contains(&format!("rd.luks.name={UUID}=sda3_crypt")));
    assert!(
        found.stops.len() == 1 && found.stops[0].contains("/home"),
        "{found:?}"
    );
    assert!(
        found.notes.len() == 1 && found.notes[0].contains("has / on"),
        "{found:?}"
    );
    // What the sentence says helps.
    let line = format!("root=UUID={OTHER} rd.luks.name={UUID}=sda3_crypt");
    assert_eq!(forecast(&line, &files), Forecast::default());
    // By its node; and systemd does not read crypttab where it is told so.
    let files = Files {
        crypttab: "x /dev/sda3\n".into(),
        ..BARE
    };
    assert_eq!(forecast("root=/dev/sda3", &files).asks.len(), 1);
    assert!(
        forecast("root=/dev/sda3 luks.crypttab=no", &files)
            .asks
            .is_empty()
    );
    let line = format!("root=/dev/sda3 luks.uuid={UUID}");
    assert_eq!(forecast(&line, &BARE).asks.len(), 1);
}

#[test]
fn swap_on_a_mapping_that_nothing_makes_is_noted() {
    let fstab = "/dev/mapper/cryptswap1 none swap sw\n";
    for (swap, words) in [
        (true, "opens swap as /dev/mapper/swap"),
        (false, "take it out"),
    ] {
        let files = Files {
            fstab: fstab.into(),
            swap,
            ..BARE
        };
        let found = forecast("root=/dev/sda3", &files);
        assert!(
            found.notes.len() == 1 && found.notes[0].contains(words),
            "{found:?}"
        );
    }
}

#[test]
fn further_volumes_that_stay_closed_or_have_another_name_are_told() {
    let line = format!("root=/dev/mapper/root rd.luks.uuid={UUID} rd.luks.name={OTHER}=data_crypt");
    let with = |crypttab: String, is_further| {
        let files = Files {
            crypttab,
            is_further,
            ..BARE
        };
        forecast(&line, &files)
    };
    let good = format!("data_crypt UUID={OTHER} none luks,x-initrd.attach\n");
    assert_eq!(with(good.clone(), IsFurther::Enrolled), Forecast::default());
    let closed = with(good, IsFurther::NotEnrolled);
    assert!(closed.notes[0].contains("add-volume"), "{closed:?}");
    let renamed = with(
        format!("backup UUID={OTHER} none luks\n"),
        IsFurther::Unknown,
    );
    assert!(
        renamed.asks[0].contains("calls it backup") && renamed.asks[0].contains("data_crypt"),
        "{renamed:?}"
    );
    // crypttab wants it early, and nobody tells /init.
    let files = Files {
        crypttab: format!("data_crypt UUID={OTHER} none luks,x-initrd.attach\n"),
        ..BARE
    };
    let alone = forecast(
        &format!("root=/dev/mapper/root rd.luks.uuid={UUID}"),
        &files,
    );
    assert!(alone.notes[0].contains("wants data_crypt"), "{alone:?}");
    assert!(alone.asks.is_empty() && alone.stops.is_empty());
}

proptest! {
    #[test]
    fn nobody_writes_on_the_terminal_and_nothing_panics(
        line in "(root=|rd.luks.name=|luks.name=|taoboot\\.|taoboot.failure_delay=|/dev/mapper/|[ =\"a-z]|\\PC|[\u{1b}\u{202e}]){0,60}",
        crypttab in "(x|\u{1b}|UUID=|/dev/sda3|[ \n]|\\PC){0,60}",
        fstab in "(/dev/mapper/|\u{1b}|swap|/|[ \n]|\\PC){0,60}",
    ) {
        let found = forecast(&line, &Files { crypttab, fstab, ..BARE });
        for sentence in [found.stops, found.asks, found.notes].concat() {
            prop_assert!(sentence.chars().all(printable::is_printable), "{:?}", sentence);
        }
    }
}
