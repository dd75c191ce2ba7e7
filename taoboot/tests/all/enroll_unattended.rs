//! Enrolment without a person: a rehearsal that writes nothing, passphrases under the names that
//! systemd-cryptenroll has for them, and the whole machine in one report.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use serde_json::{Value, json};
use tpm::Tpm2;

use crate::enroll_support::*;

/// Runs `enroll --dry-run`; nothing of the volumes may change.
fn rehearsed(volumes: &[&Volume], tcti: &str, more: &[&str]) -> std::process::Output {
    let read = || -> Vec<_> {
        volumes
            .iter()
            .map(|v| fs::read(&v.image).unwrap())
            .collect()
    };
    let before = read();
    let mut words = vec!["--dry-run", "--current", "--tcti", tcti];
    for other in &volumes[1..] {
        words.extend(["--volume", other.image.to_str().unwrap()]);
    }
    words.extend(more);
    let output = taoboot("enroll", volumes[0], &words);
    assert!(read() == before, "something was written: {output:?}");
    output
}

fn json_of(output: &std::process::Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_dry_run_says_what_would_be_written_and_writes_nothing() {
    let (first, other) = (Volume::new(), Volume::new());
    let swtpm = launched("kernel", "initramfs");
    let tcti = swtpm.tcti();
    let config = first.directory.path().join("image.toml");
    fs::write(&config, "").unwrap();
    let pins = ["--pins", "--config", config.to_str().unwrap()];
    let with_counter = [&pins[..], &["--json", "--rollback-counter"]].concat();
    let told = json_of(&rehearsed(&[&first, &other], &tcti, &with_counter));
    assert_eq!(told["dry_run"], true);
    assert_eq!(told["makes_counter"], true);
    assert_eq!(told["pins"], json!(config.with_file_name("pins.toml")));
    for volume in 0..2 {
        assert_eq!(told["volumes"][volume]["new_keyslot"], true, "{told}");
    }
    assert!(!config.with_file_name("pins.toml").exists());
    let counter = agent::unlock::ROLLBACK_COUNTER;
    let mut tpm = Tpm2::open(&tcti).unwrap();
    assert_eq!(tpm.rollback_counter_value(counter).unwrap(), None);
    drop(tpm);
    let text = rehearsed(&[&first, &other], &tcti, &pins);
    let text = String::from_utf8(text.stdout).unwrap();
    for words in [
        "nothing is written",
        "a new keyslot and a record",
        "(further volume)",
        "sealed to PCR 17",
        "pins.toml",
    ] {
        assert!(text.contains(words), "{text}");
    }
    // As it then comes.
    let enrolled = ["--current", "--json", "--no-recovery-key", "--tcti", &tcti];
    assert!(taoboot("enroll", &first, &enrolled).status.success());
    let again = json_of(&rehearsed(
        &[&first],
        &tcti,
        &["--json", "--new-host-secret"],
    ));
    assert_eq!(again["volumes"][0]["keyslot"], 1, "{again}");
}

#[test]
fn a_dry_run_refuses_what_enrolling_refuses() {
    let swtpm = launched("kernel", "initramfs");
    let tcti = swtpm.tcti();
    let volume = Volume::new();
    enroll_current(&volume, &swtpm);
    let sentence = refusal(&rehearsed(&[&volume], &tcti, &[]));
    assert!(sentence.contains("--new-host-secret"), "{sentence}");
    let full = Volume::formatted(&[
        "--type",
        "luks2",
        "--pbkdf",
        "pbkdf2",
        "--key-size",
        "512",
        "--luks2-keyslots-size",
        "500k",
    ]);
    let sentence = refusal(&rehearsed(&[&full], &tcti, &[]));
    assert!(
        sentence.contains("no room for another keyslot"),
        "{sentence}"
    );
    let sentence = refusal(&rehearsed(&[&Volume::new(), &volume], &tcti, &[]));
    assert!(sentence.contains("records of its own"), "{sentence}");
    let sentence = refusal(&rehearsed(&[&Volume::luks1()], &tcti, &[]));
    assert!(sentence.contains("cryptsetup convert"), "{sentence}");
    let wrong = volume.directory.path().join("wrong");
    let right = volume.directory.path().join("right");
    fs::write(&wrong, "not it").unwrap();
    fs::write(&right, format!("{PASSPHRASE}\n")).unwrap();
    let with = |file: &Path| {
        let words = [
            "--new-host-secret",
            "--unlock-key-file",
            file.to_str().unwrap(),
        ];
        rehearsed(&[&volume], &tcti, &words)
    };
    assert!(refusal(&with(&wrong)).contains("passphrase"));
    assert_eq!(with(&right).status.code(), Some(0));
    for (more, said) in [
        (
            &["--recovery-key"][..],
            "--recovery-key does nothing with --dry-run",
        ),
        (
            &["--passphrase-file", "/a", "--unlock-key-file", "/a"],
            "give only one of",
        ),
    ] {
        let output = rehearsed(&[&volume], &tcti, more);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(said), "{told}");
    }
}

#[test]
fn a_service_gives_the_passphrase_as_a_file_or_a_credential() {
    let swtpm = launched("kernel", "initramfs");
    let tcti = swtpm.tcti();
    let credentials = tempfile::tempdir().unwrap();
    fs::write(
        credentials.path().join("cryptenroll.passphrase"),
        PASSPHRASE,
    )
    .unwrap();
    let enroll = |volume: &Volume, words: &[&str]| {
        let fixed = ["--current", "--no-recovery-key", "--tcti", &tcti];
        let command = command("enroll", &volume.image, &[&fixed, words].concat());
        piped(command.env("CREDENTIALS_DIRECTORY", credentials.path()), "")
    };
    let volume = Volume::new();
    let output = enroll(&volume, &[]);
    assert!(output.status.success(), "{output:?}");
    assert!(unsealed(&volume, &swtpm).is_ok());
    // Ours comes first, and a file before both.
    fs::write(credentials.path().join("taoboot.passphrase"), "not it").unwrap();
    let volume = Volume::new();
    assert!(refusal(&enroll(&volume, &[])).contains("passphrase"));
    let file = credentials.path().join("file");
    fs::write(&file, PASSPHRASE).unwrap();
    let output = enroll(&volume, &["--unlock-key-file", file.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
}

/// A machine that is a directory: root on the first volume, /usr on the second, and a third that only the
/// images' configuration names.
pub fn machine(volumes: &[&Volume; 3]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for made in [
        "etc",
        "proc/self",
        "dev",
        "sys/dev/block",
        "sys/class/block",
    ] {
        fs::create_dir_all(root.join(made)).unwrap();
    }
    let mounts = "22 1 254:0 / / rw - ext4 /dev/mapper/root rw\n23 22 254:1 / /usr rw - ext4 /dev/mapper/usr rw\n";
    fs::write(root.join("proc/self/mountinfo"), mounts).unwrap();
    fs::write(
        root.join("proc/swaps"),
        "Filename Type Size Used Priority\n",
    )
    .unwrap();
    fs::write(root.join("etc/crypttab"), "").unwrap();
    let block = |name: &str, number: &str, files: &[(&str, String)], below: Option<&str>| {
        let place = root.join("sys/devices").join(name);
        fs::create_dir_all(place.join("slaves")).unwrap();
        let all = [("dev", number.to_owned()), ("size", "2048".into())];
        for (file, text) in all.iter().chain(files) {
            let file = place.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("{text}\n")).unwrap();
        }
        if let Some(below) = below {
            let device = root.join("sys/devices").join(below);
            symlink(device, place.join("slaves").join(below)).unwrap();
        }
        for (directory, link) in [("dev/block", number), ("class/block", name)] {
            let link = root.join("sys").join(directory).join(link);
            symlink(&place, link).unwrap();
        }
    };
    for (number, volume) in volumes.iter().enumerate() {
        let disk = format!("sd{}", ["a", "b", "c"][number]);
        symlink(&volume.image, root.join("dev").join(&disk)).unwrap();
        block(&disk, &format!("8:{}", 16 * number), &[], None);
        if number < 2 {
            // A LUKS1 volume has none that this reads; the machine's stack names it all the same.
            let header = agent::unlock::CheckedHeader::read(&volume.image);
            let uuid =
                header.map_or_else(|_| "0".repeat(32), |header| header.uuid().replace('-', ""));
            let name = ["root", "usr"][number];
            let files = [
                ("dm/name", name.to_owned()),
                ("dm/uuid", format!("CRYPT-LUKS2-{uuid}-{name}")),
            ];
            block(
                &format!("dm-{number}"),
                &format!("254:{number}"),
                &files,
                Some(&disk),
            );
        }
    }
    directory
}

#[test]
fn status_and_list_show_every_volume_that_the_machine_and_its_configuration_need() {
    let volumes = [Volume::new(), Volume::new(), Volume::new()];
    let swtpm = launched("kernel", "initramfs");
    let tcti = swtpm.tcti();
    let other = volumes[1].image.to_str().unwrap();
    let enrol = [
        "--current",
        "--tcti",
        &tcti,
        "--no-recovery-key",
        "--volume",
        other,
    ];
    assert!(taoboot("enroll", &volumes[0], &enrol).status.success());
    let machine = machine(&[&volumes[0], &volumes[1], &volumes[2]]);
    let root = machine.path().to_str().unwrap();
    let config = machine.path().join("image.toml");
    fs::write(&config, "[[volume]]\ndevice = \"/dev/sda\"\n[[volume]]\ndevice = \"/dev/sdc\"\nname = \"c\"\n[[volume]]\ndevice = \"/dev/sdd\"\nname = \"d\"\n").unwrap();
    let run = |verb: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taoboot"));
        command.args([verb, "--root", root]).args(more);
        let output = piped(&mut command, "");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let status = ["--tcti", &tcti, "--config", config.to_str().unwrap()];
    let text = run("status", &status);
    for words in [
        "opened with the same secret (keyslot 1)",
        "NOT ENROLLED",
        "taoboot add-volume",
        "sdd: cannot be read",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let json: Value =
        serde_json::from_str(&run("status", &[&status[..], &["--json"]].concat())).unwrap();
    let states: Vec<&str> = json["machine"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["enrolled"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["further", "no", "unreadable"]);
    let list: Value = serde_json::from_str(&run("list", &["--json"])).unwrap();
    let kinds: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["enrolled"][1]["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["record", "further"]);
}
