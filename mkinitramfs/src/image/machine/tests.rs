//! Machines that are directories.

use std::os::unix::fs::symlink;

use super::*;

const UUID: &str = "0b5bbd4a-6d7a-4c3b-9a1e-1234567890ab";

/// A block device: its directory in /sys/devices, number, and files.
fn block(root: &Path, name: &str, number: &str, files: &[(&str, &str)], below: &[&str]) {
    let place = root.join("sys/devices").join(name);
    fs::create_dir_all(place.join("slaves")).unwrap();
    for (file, text) in [("dev", number), ("size", "2048")].iter().chain(files) {
        let file = place.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, format!("{text}\n")).unwrap();
    }
    for other in below {
        symlink(format!("../../{other}"), place.join("slaves").join(other)).unwrap();
    }
    for (directory, link) in [("dev/block", number), ("class/block", name)] {
        let directory = root.join("sys").join(directory);
        fs::create_dir_all(&directory).unwrap();
        symlink(format!("../../devices/{name}"), directory.join(link)).unwrap();
    }
}

/// Root on a logical volume, on a LUKS2 volume, on an array of two disks.
fn server(crypttab: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for directory in ["etc", "proc/self"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::write(root.join("etc/crypttab"), crypttab).unwrap();
    let mountinfo = "22 1 254:1 / / rw - ext4 /dev/mapper/vg-root rw\n";
    fs::write(root.join("proc/self/mountinfo"), mountinfo).unwrap();
    fs::write(
        root.join("proc/swaps"),
        "Filename Type Size Used Priority\n",
    )
    .unwrap();
    block(root, "sda", "8:0", &[], &[]);
    block(root, "sdb", "8:16", &[], &[]);
    block(
        root,
        "md1",
        "9:1",
        &[
            ("md/level", "raid1"),
            ("md/raid_disks", "2"),
            ("md/metadata_version", "1.2"),
            ("md/uuid", "00112233-44556677-8899aabb-ccddeeff"),
        ],
        &["sda", "sdb"],
    );
    let crypt = format!("CRYPT-LUKS2-{}-md1_crypt", UUID.replace('-', ""));
    block(
        root,
        "dm-0",
        "254:0",
        &[("dm/name", "md1_crypt"), ("dm/uuid", &crypt)],
        &["md1"],
    );
    block(
        root,
        "dm-1",
        "254:1",
        &[("dm/name", "vg-root"), ("dm/uuid", "LVM-ab")],
        &["dm-0"],
    );
    directory
}

fn effective(given: &str, crypttab: &str) -> Result<Effective> {
    let machine = server(crypttab);
    let config = machine.path().join("image.toml");
    fs::write(&config, given).unwrap();
    Effective::of_file(&config)?.with_machine(machine.path())
}

#[test]
fn volumes_and_arrays_are_taken_over_with_their_names_and_options() {
    let crypttab = format!(
        "# a comment\nserver_crypt UUID={UUID} none luks,discard\n\
         backup UUID=1b5bbd4a-6d7a-4c3b-9a1e-1234567890ab none luks,x-initrd.attach\nhome UUID=1-2 none luks\n"
    );
    let found = effective("on_failure = \"prompt\"", &crypttab).unwrap();
    let image = String::from_utf8(found.to_image()).unwrap();
    assert_eq!(
        image,
        format!(
            "on_failure = \"prompt\"\n[[volume]]\ndevice = \"UUID={UUID}\"\nname = \"server_crypt\"\n\
             options = [\"discard\"]\n[[volume]]\ndevice = \"UUID=1b5bbd4a-6d7a-4c3b-9a1e-1234567890ab\"\nname = \"backup\"\n\
             [[array]]\nuuid = \"00112233-44556677-8899aabb-ccddeeff\"\nname = \"md1\"\nmembers = 2\n"
        )
    );
    assert_eq!(found.modules, ["raid1"]);
    let explained = found.to_string();
    for reason in [
        "# / is on it",
        "# line 2 of /etc/crypttab",
        "# line 3 of /etc/crypttab wants it in the initramfs",
        "# the volume md1_crypt is on it",
    ] {
        assert!(explained.contains(reason), "{explained}");
    }
    // The reasons are comments: what is explained is what is built.
    let parsed = |text: &str| text.parse::<toml::Table>().unwrap();
    assert_eq!(parsed(&explained), parsed(&image));
}

#[test]
fn what_the_administrator_says_of_volumes_is_not_added_to() {
    let given = "[volume]\ndevice = \"/dev/sda3\"\n";
    let found = effective(given, "x /dev/sda3 none header=/h\n").unwrap();
    assert_eq!(found.to_image(), given.as_bytes());
    // The driver is needed all the same.
    assert_eq!(found.modules, ["raid1"]);
    assert_eq!(found.to_string(), given);
}

/// btrfs on two volumes: /init takes the first that the command line names for the one with the records.
#[test]
fn several_volumes_below_root_are_taken_over_in_the_order_of_the_command_line() {
    let machine = server("");
    let root = machine.path();
    let other = "1b5bbd4a-6d7a-4c3b-9a1e-1234567890ab";
    let crypt = format!("CRYPT-LUKS2-{}-luks-{other}", other.replace('-', ""));
    block(root, "sdc", "8:32", &[], &[]);
    block(
        root,
        "dm-2",
        "254:2",
        &[("dm/name", &format!("luks-{other}")), ("dm/uuid", &crypt)],
        &["sdc"],
    );
    symlink("../../dm-2", root.join("sys/devices/dm-1/slaves/dm-2")).unwrap();
    fs::write(root.join("image.toml"), "").unwrap();
    let taken = |line: &str| {
        fs::write(root.join("proc/cmdline"), line).unwrap();
        let effective = Effective::of_file(&root.join("image.toml"))?.with_machine(root)?;
        Ok::<_, anyhow::Error>(String::from_utf8(effective.to_image()).unwrap())
    };
    for line in ["quiet", &format!("rd.luks.uuid=luks-{other}")] {
        let error = format!("{:#}", taken(line).unwrap_err());
        assert!(error.contains("does not name all of them"), "{error}");
    }
    for [first, second] in [[UUID, other], [other, UUID]] {
        let line = format!("quiet rd.luks.uuid=luks-{first} rd.luks.name={second}=x\n");
        let image = taken(&line).unwrap();
        let places = [first, second].map(|uuid| image.find(uuid).unwrap());
        assert!(places.is_sorted(), "{image}");
        // The system is not whole without the second.
        assert!(image.contains("required = true"), "{image}");
    }
}

#[test]
fn what_cannot_be_taken_over_is_named_with_its_line() {
    for (crypttab, said) in [
        (
            format!("md1_crypt UUID={UUID} none luks,header=/h\n"),
            "/etc/crypttab, line 1: a detached header",
        ),
        (
            format!("\nmd1_crypt UUID={UUID} none luks,discrad\n"),
            "\"discrad\" is not known",
        ),
        (
            "x nonsense none luks,x-initrd.attach\n".into(),
            "line 1: \"nonsense\" does not name a device",
        ),
        (
            format!(
                "md1_crypt UUID={UUID} none luks\nx PARTUUID=0a1b-02 none luks,x-initrd.attach\n"
            ),
            "line 2 of /etc/crypttab wants it in the initramfs: /init opens a further volume by the UUID",
        ),
        (
            format!("a\u{1b}b UUID={UUID} none luks\n"),
            "has characters that",
        ),
    ] {
        let error = effective("", &crypttab).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains(said), "{text}");
    }
}

/// Nobody's memory is kept on a disk for having had an installer's `resume=`.
#[test]
fn hibernation_is_named_and_not_taken_over() {
    let machine = server("");
    let cmdline = machine.path().join("proc/cmdline");
    let explained = |line: &str, config: &str| {
        fs::write(&cmdline, line).unwrap();
        let given = machine.path().join("given.toml");
        fs::write(&given, config).unwrap();
        let effective = Effective::of_file(&given).unwrap();
        effective.with_machine(machine.path()).unwrap()
    };
    let resume = "root=x resume=/dev/sda9 resume=/dev/mapper/vg-swap\u{9b} -- resume=/dev/other\n";
    let effective = explained(resume, "");
    let hint = effective.to_string().lines().last().unwrap().to_owned();
    assert!(
        hint.contains("device = \"/dev/mapper/vg-swap\\u009b\"") && hint.contains("running system"),
        "{hint}"
    );
    assert!(
        !String::from_utf8(effective.to_image())
            .unwrap()
            .contains("resume")
    );
    for (line, config) in [("root=x\n", ""), (resume, "[swap]\nresume = true\n")] {
        let explained = explained(line, config).to_string();
        assert!(!explained.contains("/init does not"), "{explained}");
    }
    // Debian's installer writes it here, and not on the command line.
    let debian = machine.path().join("etc/initramfs-tools/conf.d");
    fs::create_dir_all(&debian).unwrap();
    for (value, named) in [
        ("UUID=0b5b", true),
        ("\"/dev/mapper/vg-swap\"", true),
        ("none", false),
        ("auto", false),
    ] {
        let text = format!("# by the installer\nRESUME={value}\n");
        fs::write(debian.join("resume"), text).unwrap();
        let explained = explained("root=x\n", "").to_string();
        let last = explained.lines().last().unwrap();
        assert_eq!(last.contains("conf.d/resume"), named, "{explained}");
    }
}

#[test]
fn what_enrolment_pinned_comes_first_and_a_contradiction_names_both_lines() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("image.toml");
    let given = "on_failure = \"prompt\"\n[volume]\ndevice = \"/dev/sda3\"\n";
    fs::write(&config, given).unwrap();
    let effective = || Effective::of_file(&config).unwrap().with_pins(&config);
    assert!(!effective().unwrap().has_more(), "nothing was enrolled");
    let pins = directory.path().join("pins.toml");
    fs::write(&pins, Pins::text("000bab", "00ff")).unwrap();
    let whole = effective().unwrap();
    assert!(whole.has_more());
    let text = String::from_utf8(whole.to_image()).unwrap();
    let lines = "srk_name = \"000bab\"\nsecret_id = \"00ff\"\n";
    assert_eq!(text, format!("{lines}{given}"));
    let explained = whole.to_string();
    assert!(
        explained.contains("pins.toml, by taoboot enroll"),
        "{explained}"
    );
    assert_eq!(
        explained.parse::<toml::Table>().unwrap(),
        text.parse::<toml::Table>().unwrap()
    );
    fs::write(&config, "# mine\nsrk_name = \"000bcd\"\n").unwrap();
    let error = effective().unwrap_err().to_string();
    assert!(
        error.contains("image.toml, line 2") && error.contains("pins.toml, line 3"),
        "{error}"
    );
}

fn keyboard(vconsole: Option<&str>, default: Option<&str>) -> Result<String> {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir_all(root.join("etc/default")).unwrap();
    for (name, text) in [
        ("etc/vconsole.conf", vconsole),
        ("etc/default/keyboard", default),
    ] {
        if let Some(text) = text {
            fs::write(root.join(name), text).unwrap();
        }
    }
    fs::write(root.join("image.toml"), "").unwrap();
    let effective = Effective::of_file(&root.join("image.toml"))?.with_keyboard(root)?;
    Ok(String::from_utf8(effective.to_image()).unwrap())
}

#[test]
fn the_machines_keyboard_is_taken_over_and_an_american_one_needs_nothing() {
    let german =
        "XKBMODEL=\"pc105\"\nXKBLAYOUT=\"de\"\nXKBVARIANT=\"nodeadkeys\"\nXKBOPTIONS=\"\"\n";
    let xkb =
        "[console]\nxkb_layout = \"de\"\nxkb_model = \"pc105\"\nxkb_variant = \"nodeadkeys\"\n";
    let us = "XKBMODEL=\"pc105\"\nXKBLAYOUT=\"us\"\nXKBVARIANT=\"\"\n";
    for (vconsole, default, expected) in [
        (None, None, ""),
        (None, Some(us), ""),
        (None, Some(german), xkb),
        (Some("FONT=eurlatgr\n"), Some(german), xkb),
        (
            Some("KEYMAP=de-latin1\n"),
            Some(german),
            "[console]\nkeymap = \"de-latin1\"\n",
        ),
        (
            Some("XKBLAYOUT=fr\n"),
            Some(german),
            "[console]\nxkb_layout = \"fr\"\n",
        ),
        (
            None,
            Some("KMAP=/etc/console/boottime.kmap.gz\n"),
            "[console]\nkeymap = \"/etc/console/boottime.kmap.gz\"\n",
        ),
        (
            None,
            Some("XKBLAYOUT=us\nXKBVARIANT=dvorak\n"),
            "[console]\nxkb_layout = \"us\"\nxkb_variant = \"dvorak\"\n",
        ),
    ] {
        assert_eq!(keyboard(vconsole, default).unwrap(), expected);
    }
    let error = format!(
        "{:#}",
        keyboard(None, Some("\nXKBLAYOUT=$X\n")).unwrap_err()
    );
    assert!(
        error.contains("/etc/default/keyboard") && error.contains("line 2"),
        "{error}"
    );
}

#[test]
fn what_the_administrator_says_of_the_console_is_not_added_to() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("image.toml");
    fs::create_dir_all(directory.path().join("etc")).unwrap();
    fs::write(directory.path().join("etc/vconsole.conf"), "KEYMAP=de\n").unwrap();
    fs::write(&config, "[console]\n").unwrap();
    let effective = Effective::of_file(&config).unwrap();
    assert!(
        !effective
            .with_keyboard(directory.path())
            .unwrap()
            .has_more()
    );
}
