//! A header without room, keyslots marked to be ignored, ciphers other than AES: volumes made with
//! the real cryptsetup, one sentence each with what to do.

use std::{fs, process::Command};

use agent::unlock::{OpenError, test_passphrase};
use serde_json::json;
use tpm::swtpm::Swtpm;

use crate::enroll_support::*;

fn formatted(more: &[&str]) -> Volume {
    Volume::formatted(&[&["--type", "luks2", "--pbkdf", "pbkdf2"], more].concat())
}

fn cryptsetup(words: &[&str], volume: &Volume, input: &str) {
    let output = piped(
        Command::new("cryptsetup").args(words).arg(&volume.image),
        input,
    );
    assert!(output.status.success(), "{words:?}: {output:?}");
}

/// Runs `taoboot enroll`, which must fail without a changed byte in header and keyslots; the sentence.
fn refused(volume: &Volume, swtpm: &Swtpm, more: &[&str]) -> String {
    let before = fs::read(&volume.image).unwrap();
    let tcti = swtpm.tcti();
    let words = [&["--current", "--tcti", &tcti], more].concat();
    let sentence = refusal(&taoboot("enroll", volume, &words));
    assert!(
        fs::read(&volume.image).unwrap() == before,
        "something was written"
    );
    assert!(!sentence.contains("Invalid argument"), "{sentence}");
    sentence
}

#[test]
fn a_keyslots_area_without_room_is_told_before_anything_is_written() {
    let swtpm = launched("kernel", "initramfs");
    // One keyslot of 512 bits has 258048 bytes.
    let volume = formatted(&["--key-size", "512", "--luks2-keyslots-size", "504k"]);
    enroll_current(&volume, &swtpm);
    let volume = formatted(&["--key-size", "512", "--luks2-keyslots-size", "500k"]);
    let sentence = refused(&volume, &swtpm, &["--no-recovery-key"]);
    for words in [
        "512000 bytes",
        "258048 bytes",
        "luksKillSlot",
        "--luks2-keyslots-size",
    ] {
        assert!(sentence.contains(words), "{sentence}");
    }
    // A hole between two keyslots is room.
    let volume = formatted(&["--key-size", "512", "--luks2-keyslots-size", "768k"]);
    for passphrase in ["two", "three"] {
        let input = format!("{PASSPHRASE}\n{passphrase}");
        let words = [
            "luksAddKey",
            "-q",
            "--pbkdf-force-iterations",
            "1000",
            "--pbkdf",
            "pbkdf2",
        ];
        cryptsetup(&words, &volume, &input);
    }
    let sentence = refused(&volume, &swtpm, &["--no-recovery-key"]);
    assert!(sentence.contains("786432 bytes has no room"), "{sentence}");
    let output = piped(
        Command::new("cryptsetup")
            .args(["luksKillSlot", "-q"])
            .arg(&volume.image)
            .arg("1"),
        PASSPHRASE,
    );
    assert!(output.status.success(), "{output:?}");
    enroll_current(&volume, &swtpm);
}

fn import(volume: &Volume, token: &serde_json::Value) -> bool {
    let output = piped(
        Command::new("cryptsetup")
            .args(["token", "import", "--json-file", "-"])
            .arg(&volume.image),
        &token.to_string(),
    );
    output.status.success()
}

#[test]
fn all_tokens_taken_is_told_before_anything_is_written() {
    let swtpm = launched("kernel", "initramfs");
    let volume = formatted(&[]);
    let token = json!({ "type": "other", "keyslots": [] });
    for _ in 0..32 {
        assert!(import(&volume, &token));
    }
    assert!(!import(&volume, &token), "there was a 33rd token");
    let sentence = refused(&volume, &swtpm, &["--no-recovery-key"]);
    assert!(
        sentence.contains("all 32 tokens") && sentence.contains("cryptsetup token remove"),
        "{sentence}"
    );
    cryptsetup(&["token", "remove", "--token-id", "7"], &volume, "");
    enroll_current(&volume, &swtpm);
}

#[test]
fn a_json_area_without_room_is_told_before_anything_is_written() {
    let swtpm = launched("kernel", "initramfs");
    for size in ["16k", "32k"] {
        let volume = formatted(&["--luks2-metadata-size", size]);
        let fits = |length: usize| {
            import(
                &volume,
                &json!({ "type": "other", "keyslots": [], "filler": "x".repeat(length) }),
            )
        };
        // In smaller and smaller pieces, until the real cryptsetup takes none.
        let mut pieces = 0;
        for length in [3000, 1000, 300, 30] {
            while pieces < 24 && fits(length) {
                pieces += 1;
            }
        }
        let sentence = refused(&volume, &swtpm, &["--no-recovery-key"]);
        assert!(
            sentence.contains("no room for another record")
                && sentence.contains("--luks2-metadata-size"),
            "{size}: {sentence}"
        );
        cryptsetup(&["token", "remove", "--token-id", "0"], &volume, "");
        cryptsetup(&["token", "remove", "--token-id", "1"], &volume, "");
        enroll_current(&volume, &swtpm);
    }
}

/// What is foreseen is what the library finds: records are added until one is refused, and the
/// refused one is never half there.
#[test]
fn the_last_record_that_fits_is_written_and_the_next_one_is_not() {
    let mut swtpm = launched("kernel", "initramfs");
    let volume = formatted(&[]);
    enroll_current(&volume, &swtpm);
    let again = ["--new-secret", "--no-recovery-key"];
    let mut enrolled = 1;
    loop {
        // Each is another launch: a new secret for the same one replaces the old.
        swtpm.reboot().unwrap();
        launch(&swtpm, &format!("kernel {enrolled}"), "initramfs");
        let tcti = swtpm.tcti();
        let words = [&["--current", "--tcti", &tcti][..], &again].concat();
        if !taoboot("enroll", &volume, &words).status.success() {
            break;
        }
        enrolled += 1;
        assert!(enrolled < 20);
    }
    assert!(enrolled >= 4, "{enrolled}");
    let sentence = refused(&volume, &swtpm, &again);
    assert!(sentence.contains("no room for another"), "{sentence}");
    assert!(volume.opens_with(PASSPHRASE.as_bytes()));
}

#[test]
fn keyslots_marked_to_be_ignored_are_told_and_the_tpms_own_opens_all_the_same() {
    let swtpm = launched("kernel", "initramfs");
    let volume = formatted(&[]);
    enroll_current(&volume, &swtpm);
    let ignore = |number: &str, priority: &str| {
        let words = ["config", "--priority", priority, "--key-slot", number];
        cryptsetup(&words, &volume, "");
    };
    ignore("0", "ignore");
    // As the prompt of /init tries it: the TPM's keyslot is left.
    let error = test_passphrase(&volume.header(), PASSPHRASE.as_bytes(), None).unwrap_err();
    assert!(
        matches!(error, OpenError::WrongPassphrase { .. })
            && error
                .to_string()
                .contains("except for 0, of priority \"ignore\""),
        "{error}"
    );
    ignore("1", "ignore");
    let error = test_passphrase(&volume.header(), PASSPHRASE.as_bytes(), None).unwrap_err();
    assert!(matches!(error, OpenError::AllIgnored { .. }), "{error}");
    let sentence = refused(&volume, &swtpm, &["--new-secret", "--no-recovery-key"]);
    for words in ["(0, 1)", "cryptsetup config --priority normal --key-slot"] {
        assert!(sentence.contains(words), "{sentence}");
    }
    // The record names its keyslot.
    let (secret, record) = unsealed(&volume, &swtpm).unwrap();
    let passphrase = secret
        .volume()
        .volume_passphrase(volume.header().identity());
    let slot = Some(record.keyslot());
    assert_eq!(
        test_passphrase(&volume.header(), &passphrase, slot).unwrap(),
        1
    );
    ignore("0", "normal");
    assert_eq!(
        test_passphrase(&volume.header(), PASSPHRASE.as_bytes(), None).unwrap(),
        0
    );
}
