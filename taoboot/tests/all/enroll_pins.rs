//! What enrolment pins for the images to come: written whole and only for its owner, taken by every verdict
//! on the next boot, and never another machine's by accident.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use serde_json::{Value, json};
use storage::pins::Pins;

use crate::{
    enroll_support::{PASSPHRASE, Volume, launched, refusal, taoboot},
    reseal::common::{Machine, said},
};

/// A configuration beside the volume, and where its pins go.
fn configured(volume: &Volume) -> (String, PathBuf) {
    let config = volume.directory.path().join("image.toml");
    fs::write(&config, "[volume]\ndevice = \"/dev/sda3\"\n").unwrap();
    let pins = config.with_file_name("pins.toml");
    (config.to_str().unwrap().to_owned(), pins)
}

fn enroll(volume: &Volume, tcti: &str, more: &[&str]) -> (Value, String) {
    let words = ["--current", "--json", "--tcti", tcti, "--no-recovery-key"];
    let output = taoboot("enroll", volume, &[&words, more].concat());
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    (serde_json::from_slice(&output.stdout).unwrap(), told)
}

#[test]
fn an_enrolment_pins_this_tpm_and_the_secret_and_another_one_replaces_both() {
    let (volume, swtpm) = (Volume::new(), launched("kernel", "initramfs"));
    let (config, pins) = configured(&volume);
    let words = ["--config", &config, "--pins"];
    let (enrolled, told) = enroll(&volume, &swtpm.tcti(), &words);
    assert_eq!(enrolled["pins"], json!(pins));
    assert!(told.contains("kernel refresh"), "{told}");
    assert!(!told.contains("does not pin"), "{told}");
    let of = |enrolled: &Value| {
        let srk = volume.record().sealed().parent.to_string();
        Pins::text(&srk, enrolled["secret_id"].as_str().unwrap())
    };
    let first = of(&enrolled);
    assert_eq!(fs::read_to_string(&pins).unwrap(), first);
    let mode = fs::metadata(&pins).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Once more the same: nothing to say.
    let again = [&words[..], &["--new-host-secret"]].concat();
    let (_, told) = enroll(&volume, &swtpm.tcti(), &again);
    assert!(!told.contains("refresh"), "{told}");
    // A new secret, and whatever stood there: others may have written it.
    fs::write(&pins, "nonsense").unwrap();
    fs::set_permissions(&pins, fs::Permissions::from_mode(0o666)).unwrap();
    let again = [&words[..], &["--new-secret"]].concat();
    let (enrolled, told) = enroll(&volume, &swtpm.tcti(), &again);
    assert!(told.contains("refresh"), "{told}");
    let second = fs::read_to_string(&pins).unwrap();
    assert_eq!(second, of(&enrolled));
    assert_ne!(second, first);
    assert!(Pins::read(&pins).unwrap().is_some());
}

#[test]
fn a_volume_that_is_not_under_root_pins_nothing_unless_that_is_said() {
    let (volume, swtpm) = (Volume::new(), launched("kernel", "initramfs"));
    let (config, pins) = configured(&volume);
    let (enrolled, told) = enroll(&volume, &swtpm.tcti(), &["--config", &config]);
    assert_eq!(enrolled["pins"], Value::Null);
    assert!(
        told.contains("not the volume under this machine's root"),
        "{told}"
    );
    assert!(!pins.exists());
    let none = ["--config", &config, "--no-pins", "--new-host-secret"];
    let (_, told) = enroll(&volume, &swtpm.tcti(), &none);
    assert!(!told.contains("under this machine's root"), "{told}");
    assert!(!pins.exists());
    // No image is built here.
    let absent = volume.directory.path().join("absent/image.toml");
    let elsewhere = [
        "--config",
        absent.to_str().unwrap(),
        "--pins",
        "--new-host-secret",
    ];
    enroll(&volume, &swtpm.tcti(), &elsewhere);
    assert!(!absent.parent().unwrap().exists());
}

#[test]
fn the_next_boot_is_judged_with_the_pins_and_it_is_said_whether_the_images_have_them() {
    let machine = Machine::enrolled(&[]);
    let menu = json!([machine.entry("0", "old", true)]);
    let directory = machine.root.join("etc/taoboot");
    fs::create_dir_all(&directory).unwrap();
    let (config, pins) = (directory.join("image.toml"), directory.join("pins.toml"));
    let volume = format!(
        "[volume]\ndevice = \"UUID={}\"\n",
        machine.volume.header().uuid()
    );
    let root = machine.root.to_str().unwrap();
    let srk = machine.volume.record().sealed().parent.to_string();
    let own = Pins::text(&srk, &machine.secret_id());
    let other_secret = Pins::text(&srk, &"ab".repeat(16));
    let other_tpm = Pins::text(&format!("000b{}", "ab".repeat(32)), &machine.secret_id());
    let kept = machine.root.join("var/lib/taoboot/pins.toml");
    for (given, pinned, in_place, code, said_of_it) in [
        (
            "",
            None,
            None,
            0,
            "pin neither the TPM (srk_name) nor the secret",
        ),
        (
            "",
            Some(&own),
            None,
            0,
            "those in /boot were made before that",
        ),
        (
            "",
            Some(&own),
            Some(&other_tpm),
            1,
            "srk_name in the images' configuration pins another",
        ),
        (
            "",
            Some(&own),
            Some(&own),
            0,
            "the images pin this machine's TPM and its secret",
        ),
        (
            "",
            Some(&other_secret),
            None,
            1,
            "secret_id in the images' configuration pins another",
        ),
        (
            "",
            Some(&other_tpm),
            None,
            1,
            "srk_name in the images' configuration pins another",
        ),
        // Images cannot be made with these two.
        (
            "secret_id = \"00112233445566778899aabbccddeeff\"\n",
            Some(&own),
            None,
            3,
            "image.toml, line 1: secret_id",
        ),
    ] {
        fs::write(&config, format!("{given}{volume}")).unwrap();
        for (file, text) in [(&pins, pinned), (&kept, in_place)] {
            match text {
                Some(text) => fs::write(file, text).unwrap(),
                None => drop(fs::remove_file(file)),
            }
        }
        let output = machine.run("check-next-boot", &menu, &["--root", root]);
        assert_eq!(output.status.code(), Some(code), "{said_of_it}: {output:?}");
        assert!(
            said(&output).contains(said_of_it),
            "{said_of_it}: {output:?}"
        );
    }
    // What the images in /boot pin: others may have written it, it is none, or it contradicts.
    fs::write(&config, &volume).unwrap();
    fs::write(&pins, &own).unwrap();
    let machine_status = ["--config", config.to_str().unwrap(), "--root", root];
    for (text, mode) in [(own.as_str(), 0o666), ("nonsense", 0o600), (&own, 0o600)] {
        fs::write(&kept, text).unwrap();
        fs::set_permissions(&kept, fs::Permissions::from_mode(mode)).unwrap();
        let output = machine.run("check-next-boot", &menu, &["--root", root]);
        if mode == 0o600 && text == own {
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            continue;
        }
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(said(&output).contains("cannot be told"), "{output:?}");
        let output = machine.run("status", &menu, &machine_status);
        assert!(said(&output).contains("cannot be told"), "{output:?}");
    }
    fs::remove_file(&kept).unwrap();
    let output = machine.run("check-next-boot", &menu, &["--root", root, "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let state = json!({ "srk_name": true, "secret_id": true, "in_place": false });
    assert_eq!(answer["pins"], state);
    let output = machine.run(
        "status",
        &menu,
        &["--config", config.to_str().unwrap(), "--json"],
    );
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["pins"], state);
    assert_eq!(answer["pin_warning"], Value::Null);
}

#[test]
fn what_is_sealed_anew_under_another_key_is_pinned_where_something_was_pinned() {
    let machine = Machine::up();
    let menu = json!([machine.entry("0", "new", true)]);
    let pins = machine.root.join("etc/taoboot/pins.toml");
    let sealed = |kernel: &str| {
        let output = machine.reseal(&json!([machine.entry("0", kernel, true)]), &[]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    };
    let output = machine.reseal(&menu, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!pins.exists(), "nothing was pinned");
    fs::create_dir_all(pins.parent().unwrap()).unwrap();
    let (tpm, secret) = (format!("000b{}", "ab".repeat(32)), machine.secret_id());
    fs::write(&pins, Pins::text(&tpm, &secret)).unwrap();
    sealed("newer");
    let srk = machine.volume.record().sealed().parent.to_string();
    let text = fs::read_to_string(&pins).unwrap();
    assert_eq!(text, Pins::text(&srk, &secret));
}

/// `enroll --new-secret` pinned it; the launch that runs, and its resident agent, have the old one.
#[test]
fn another_secret_than_the_pinned_one_is_not_sealed_and_the_pins_stay() {
    let machine = Machine::up();
    let pins = machine.root.join("etc/taoboot/pins.toml");
    fs::create_dir_all(pins.parent().unwrap()).unwrap();
    let srk = machine.volume.record().sealed().parent.to_string();
    let (new, old) = ("cd".repeat(16), machine.secret_id());
    let pinned = Pins::text(&srk, &new);
    fs::write(&pins, &pinned).unwrap();
    let menu = json!([machine.entry("0", "newer", true)]);
    let key = machine.root.join("key");
    fs::write(&key, PASSPHRASE).unwrap();
    let file = ["--passphrase-file", key.to_str().unwrap()];
    let with_key = [&file[..], &["--new-host-secret"]].concat();
    for words in [&[][..], &with_key] {
        let before = fs::read(&machine.volume.image).unwrap();
        let sentence = refusal(&machine.reseal(&menu, words));
        let said = [&new[..], &old, "pins.toml", "remove"];
        assert!(
            said.iter().all(|said| sentence.contains(said)),
            "{sentence}"
        );
        assert!(fs::read(&machine.volume.image).unwrap() == before);
        assert_eq!(fs::read_to_string(&pins).unwrap(), pinned);
    }
    // What is there already needs no sealing. Where no record is genuine, a new secret would be sealed.
    let present = json!([machine.entry("0", "old", true)]);
    assert!(machine.reseal(&present, &[]).status.success());
    assert!(
        taoboot("wipe", &machine.volume, &["--all"])
            .status
            .success()
    );
    let sentence = refusal(&machine.reseal(&menu, &file));
    assert!(sentence.contains("proves no record of it"), "{sentence}");
    assert_eq!(fs::read_to_string(&pins).unwrap(), pinned);
}
