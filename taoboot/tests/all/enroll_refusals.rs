//! What `taoboot` refuses: one sentence, exit code 2, and not a byte written.

use std::{fs, process::Command};

use agent::unlock::{UnsealError, VolumeHeader};
use tpm::{Bank, PcrSet, Tpm as _, Tpm2};

use crate::enroll_support::*;

/// Runs and asserts that the image is the same afterwards; the sentence.
fn refused(volume: &Volume, verb: &str, arguments: &[&str]) -> String {
    let before = fs::read(&volume.image).unwrap();
    let sentence = refusal(&taoboot(verb, volume, arguments));
    assert_eq!(
        fs::read(&volume.image).unwrap(),
        before,
        "something was written"
    );
    sentence
}

#[test]
fn a_luks1_volume_is_told_how_to_become_luks2() {
    let sentence = refused(&Volume::luks1(), "enroll", &["--current"]);
    assert!(
        sentence.contains("cryptsetup convert --type luks2"),
        "{sentence}"
    );
}

#[test]
fn what_is_no_volume_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let zeros = directory.path().join("zeros");
    fs::write(&zeros, vec![0; 1 << 20]).unwrap();
    let empty = directory.path().join("empty");
    fs::write(&empty, b"").unwrap();
    for (image, words) in [
        (zeros.as_path(), "not a LUKS2 volume"),
        (&empty, "not a LUKS2 volume"),
        (&directory.path().join("missing"), "No such file"),
        (directory.path(), "neither a block device nor an image file"),
    ] {
        for verb in ["enroll", "status", "wipe"] {
            let arguments: &[&str] = match verb {
                "enroll" => &["--current"],
                "wipe" => &["--all"],
                _ => &[],
            };
            let sentence = refusal(&taoboot_on(verb, image, arguments));
            assert!(sentence.contains(words), "{sentence}");
        }
    }
}

#[test]
fn a_machine_without_launch_tpm_or_choice_enrols_nothing() {
    let volume = Volume::new();
    let swtpm = tpm::swtpm::Swtpm::start().unwrap();
    let tcti = swtpm.tcti();
    let sentence = refused(&volume, "enroll", &["--current", "--tcti", &tcti]);
    assert!(
        sentence.contains("not booted by a measured launch"),
        "{sentence}"
    );
    let sentence = refused(&volume, "enroll", &["--tcti", &tcti]);
    assert!(
        sentence.contains("--expect FILE, --current or --policy-key"),
        "{sentence}"
    );
    let sentence = refused(
        &volume,
        "enroll",
        &["--current", "--tcti", "device:/dev/no-such-tpm"],
    );
    assert!(sentence.contains("no TPM"), "{sentence}");
    let sentence = refused(&volume, "enroll", &["--current", "--swap", "UUID=1"]);
    assert!(sentence.contains("PARTUUID"), "{sentence}");
    let sentence = refused(&volume, "enroll", &["--current", "--pcrs", "17,99"]);
    assert!(sentence.contains("99"), "{sentence}");
    for part in ["17,18", "18,19", "7", "15"] {
        let sentence = refused(&volume, "enroll", &["--current", "--pcrs", part]);
        assert!(sentence.contains("--pcrs leaves out PCR 1"), "{sentence}");
    }
}

/// With extpol=sha1 tboot leaves the SHA-256 bank alone: PCR 17 and 18 are as SINIT left them,
/// PCR 19 is as the launch reset it, whatever kernel was booted.
#[test]
fn a_launch_that_left_the_bank_alone_is_neither_enrolled_nor_opened() {
    let volume = Volume::new();
    let mut swtpm = launched("kernel", "initramfs");
    enroll_current(&volume, &swtpm);
    swtpm.reboot().unwrap();
    launch_by_sinit_alone(&swtpm);
    let error = unsealed(&volume, &swtpm).map(drop).unwrap_err();
    assert!(matches!(error, UnsealError::Unmeasured(_)), "{error}");
    assert!(error.to_string().contains("extpol=sha256"), "{error}");
    let tcti = swtpm.tcti();
    let arguments = ["--current", "--tcti", &tcti, "--no-recovery-key"];
    let sentence = refused(&volume, "enroll", &arguments);
    assert!(sentence.contains("nothing into PCR 19"), "{sentence}");
    // Nor when it is written down first.
    let mut tpm = Tpm2::open(&tcti).unwrap();
    let values = tpm.pcr_read(Bank::Sha256, PcrSet::LAUNCH).unwrap();
    drop(tpm);
    let lines: String = values
        .iter()
        .map(|(pcr, value)| format!("{pcr}: {}\n", hex::encode(value)))
        .collect();
    let file = volume.directory.path().join("pcrs");
    fs::write(&file, lines).unwrap();
    let arguments = ["--expect", file.to_str().unwrap(), "--tcti", &tcti];
    let sentence = refused(&volume, "enroll", &arguments);
    assert!(sentence.contains("nothing into PCR 19"), "{sentence}");
    let status = taoboot("status", &volume, &["--tcti", &tcti]);
    assert_eq!(status.status.code(), Some(1), "{status:?}");
    let text = String::from_utf8_lossy(&status.stdout);
    assert!(text.contains("nothing into PCR 19"), "{text}");
}

#[test]
fn a_wrong_passphrase_is_named_and_nothing_is_written() {
    let volume = Volume::new();
    let swtpm = launched("kernel", "initramfs");
    let before = fs::read(&volume.image).unwrap();
    let tcti = swtpm.tcti();
    let output = piped(
        command(
            "enroll",
            &volume.image,
            &["--current", "--tcti", &tcti, "--no-recovery-key"],
        ),
        "wrong",
    );
    assert!(
        refusal(&output).contains("passphrase does not open"),
        "{output:?}"
    );
    assert_eq!(fs::read(&volume.image).unwrap(), before);
}

#[test]
fn a_volume_that_another_program_holds_is_busy() {
    let volume = Volume::new();
    let swtpm = launched("kernel", "initramfs");
    // flock(2), as cryptsetup takes it while it writes to an image file.
    let ready = volume.directory.path().join("ready");
    let mut holder = Command::new("flock")
        .arg(&volume.image)
        .args(["sh", "-c", "touch \"$0\"; exec sleep 60"])
        .arg(&ready)
        .spawn()
        .unwrap();
    while !ready.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let tcti = swtpm.tcti();
    let sentence = refused(
        &volume,
        "enroll",
        &["--current", "--tcti", &tcti, "--no-recovery-key"],
    );
    assert!(sentence.contains("is busy"), "{sentence}");
    assert!(refused(&volume, "wipe", &["--all"]).contains("is busy"));
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn a_volume_that_is_held_for_a_moment_is_waited_for() {
    let volume = Volume::new();
    // As systemd-udevd does after each write to a block device.
    let ready = volume.directory.path().join("ready");
    let mut holder = Command::new("flock")
        .arg("--shared")
        .arg(&volume.image)
        .args(["sh", "-c", "touch \"$0\"; exec sleep 1"])
        .arg(&ready)
        .spawn()
        .unwrap();
    while !ready.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let wiped = taoboot("wipe", &volume, &["--all"]);
    assert!(wiped.status.success(), "{wiped:?}");
    holder.wait().unwrap();
}

#[test]
fn the_last_keyslot_is_wiped_only_by_force() {
    let volume = Volume::new();
    let swtpm = launched("kernel", "initramfs");
    enroll_current(&volume, &swtpm);
    let killed = piped(
        Command::new("cryptsetup")
            .args(["luksKillSlot", "-q"])
            .arg(&volume.image)
            .arg("0"),
        "",
    );
    assert!(killed.status.success(), "{killed:?}");
    let sentence = refused(&volume, "wipe", &["--all"]);
    assert!(sentence.contains("--force"), "{sentence}");
    assert!(refused(&volume, "wipe", &["--record", "5"]).contains("no taoboot record 5"));
    assert!(
        taoboot("wipe", &volume, &["--all", "--force"])
            .status
            .success()
    );
    let left = VolumeHeader::read(&volume.image).unwrap();
    assert!(left.metadata().keyslots.is_empty());
}

#[test]
fn each_verb_has_its_help() {
    for verb in [
        "enroll",
        "status",
        "wipe",
        "srk",
        "reseal",
        "check-next-boot",
        "approve",
        "retire",
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_taoboot"))
            .args([verb, "--help"])
            .output();
        let output = output.unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("--json"));
    }
    let unknown = Command::new(env!("CARGO_BIN_EXE_taoboot"))
        .arg("frobnicate")
        .output()
        .unwrap();
    assert!(refusal(&unknown).contains("frobnicate"));
}
