//! Keyslots by kind: what `taoboot list` says of volumes that cryptsetup, systemd-cryptenroll and taoboot
//! have enrolled, what `wipe --kind` removes, and that it never removes the last way in. Other programs'
//! tokens come through every change of ours as they were.

use std::{fs, process::Command};

use agent::unlock::TokenId;
use serde_json::{Value, json};
use test_support::required;

use crate::enroll_support::*;

/// Adds a passphrase with the real cryptsetup.
fn add_passphrase(volume: &Volume, new: &str, more: &[&str]) {
    let output = piped(
        Command::new("cryptsetup")
            .args([
                "luksAddKey",
                "-q",
                "--pbkdf",
                "pbkdf2",
                "--pbkdf-force-iterations",
                "1000",
            ])
            .args(more)
            .arg(&volume.image),
        &format!("{PASSPHRASE}\n{new}\n{new}\n"),
    );
    assert!(output.status.success(), "{output:?}");
}

/// `keyslot -> kind`, and the kinds of tokens without a keyslot.
fn listed(volume: &Volume) -> Vec<(Option<u64>, String)> {
    let output = taoboot("list", volume, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let enrolled = list[0]["enrolled"].as_array().unwrap().iter();
    enrolled
        .map(|held| {
            (
                held["keyslot"].as_u64(),
                held["kind"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

/// With everything that libcryptsetup's plugins for these tokens ask for.
fn token(kind: &str, keyslots: &[&str]) -> Value {
    json!({
        "type": kind,
        "keyslots": keyslots,
        "tpm2-blob": "AAEC",
        "tpm2-pcrs": [7],
        "tpm2-pcr-bank": "sha256",
        "tpm2-policy-hash": "00".repeat(32),
        "fido2-credential": "AAEC",
        "fido2-salt": "AAEC",
        "fido2-rp": "io.systemd.cryptsetup",
        "pkcs11-uri": "pkcs11:token=card",
        "pkcs11-key": "AAEC",
    })
}

/// Password, one keyslot for each token of other programs, and a record of ours.
fn crowded() -> (Volume, Vec<(TokenId, Value)>) {
    let volume = Volume::new();
    let kinds = [
        "systemd-tpm2",
        "systemd-fido2",
        "systemd-pkcs11",
        "systemd-recovery",
        "clevis",
        "acme",
    ];
    let mut foreign = Vec::new();
    for (number, kind) in (1_u32..).zip(kinds) {
        add_passphrase(&volume, &format!("of {kind}"), &[]);
        let (id, json) = (TokenId(number + 10), token(kind, &[&number.to_string()]));
        volume.add_token(id, &json);
        foreign.push((id, volume.token(id)));
    }
    enroll_current(&volume, &launched("kernel", "initramfs"));
    (volume, foreign)
}

#[test]
fn every_kind_is_listed_and_other_programs_tokens_outlive_enrolment_and_wipe() {
    let (volume, foreign) = crowded();
    let expected = [
        "password",
        "systemd-tpm2",
        "systemd-fido2",
        "systemd-pkcs11",
        "systemd-recovery",
        "clevis",
        "other",
        "record",
    ];
    let found = listed(&volume);
    let expected: Vec<_> = (0..).map(Some).zip(expected.map(str::to_owned)).collect();
    assert_eq!(found, expected);
    let output = taoboot("list", &volume, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("keyslot 2   systemd-fido2     token 12"),
        "{text}"
    );
    let unchanged = |what: &str| {
        for (id, json) in &foreign {
            assert_eq!(&volume.token(*id), json, "{what}");
        }
        assert!(volume.opens_with(b"of clevis"), "{what}");
    };
    unchanged("enrolled");
    assert!(
        taoboot("wipe", &volume, &["--kind", "record"])
            .status
            .success()
    );
    unchanged("wiped by kind");
    assert_eq!(listed(&volume), expected[..7]);
    enroll_current(&volume, &launched("kernel", "initramfs"));
    assert!(taoboot("wipe", &volume, &["--all"]).status.success());
    unchanged("wiped");
}

/// The real one: what it enrols is told by its kind and stays what it was.
#[test]
fn what_systemd_cryptenroll_enrolled_is_told_and_survives() {
    let volume = Volume::new();
    let enrolled = Command::new("systemd-cryptenroll")
        .arg("--recovery-key")
        .arg(&volume.image)
        .env("PASSWORD", PASSPHRASE)
        .output();
    // Without it the tokens of the test above stand in.
    let Some(enrolled) = required(
        enrolled.ok(),
        "systemd-cryptenroll (Debian package systemd)",
    ) else {
        return;
    };
    assert!(enrolled.status.success(), "{enrolled:?}");
    let key = String::from_utf8(enrolled.stdout).unwrap();
    let before = volume.token(TokenId(0));
    enroll_current(&volume, &launched("kernel", "initramfs"));
    let kinds: Vec<String> = listed(&volume).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, ["password", "systemd-recovery", "record"]);
    assert!(
        taoboot("wipe", &volume, &["--kind", "record"])
            .status
            .success()
    );
    assert_eq!(volume.token(TokenId(0)), before);
    assert!(volume.opens_with(key.trim().as_bytes()), "{key}");
    // And it reads what we leave.
    let list = Command::new("systemd-cryptenroll")
        .arg(&volume.image)
        .output()
        .unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.contains("recovery"), "{list}");
    // Its recovery key is a way in: the password can go, and then nothing more.
    assert!(
        taoboot("wipe", &volume, &["--kind", "password"])
            .status
            .success()
    );
    let last = refusal(&taoboot("wipe", &volume, &["--kind", "systemd-recovery"]));
    assert!(
        last.contains("would not open the volume without this machine"),
        "{last}"
    );
    assert!(volume.opens_with(key.trim().as_bytes()));
}

#[test]
fn the_last_way_in_that_a_person_has_is_never_removed_by_kind() {
    let (volume, _) = crowded();
    let refused = |kinds: &[&str]| {
        let before = fs::read(&volume.image).unwrap();
        let words: Vec<&str> = kinds.iter().flat_map(|kind| ["--kind", kind]).collect();
        let sentence = refusal(&taoboot("wipe", &volume, &words));
        assert!(fs::read(&volume.image).unwrap() == before, "{kinds:?}");
        sentence
    };
    // Neither the record nor a TPM of systemd counts, and nor does a keyslot that opens nothing, whatever a
    // token says of it.
    add_passphrase(&volume, "of nothing", &["--unbound", "--key-size", "512"]);
    let mut kinds = listed(&volume).into_iter();
    let (unbound, _) = kinds.find(|(_, kind)| kind == "unbound").unwrap();
    let unbound = unbound.unwrap().to_string();
    volume.add_token(TokenId(20), &token("systemd-recovery", &[&unbound]));
    let both = refused(&["password", "systemd-recovery"]);
    assert!(both.contains("without this machine"), "{both}");
    // A keyslot that is used by its number only is nobody's way in either.
    let ignored = Command::new("cryptsetup")
        .args(["config", "--key-slot", "4", "--priority", "ignore"])
        .arg(&volume.image)
        .output()
        .unwrap();
    assert!(ignored.status.success(), "{ignored:?}");
    refused(&["password"]);
    assert!(
        taoboot("wipe", &volume, &["--kind", "systemd-recovery"])
            .status
            .success()
    );
    refused(&["password"]);
    for words in [
        &["--kind", "record", "--force"][..],
        &["--kind", "record", "--all"],
        &["--kind", "passwords"],
        &["--kind", "further"],
    ] {
        let sentence = refusal_of(&volume, words);
        assert!(
            [
                "--force does nothing",
                "either --record",
                "not a kind of keyslot",
                "nothing of the kind"
            ]
            .iter()
            .any(|said| sentence.contains(said)),
            "{sentence}"
        );
    }
}

fn refusal_of(volume: &Volume, words: &[&str]) -> String {
    let output = taoboot("wipe", volume, words);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Whoever writes to the disk adds a token that names the owner's keyslot.
#[test]
fn a_keyslot_that_two_kinds_of_tokens_name_is_not_removed_by_kind() {
    // With a person's iteration count.
    let volume = Volume::formatted(&[
        "--type",
        "luks2",
        "--pbkdf",
        "pbkdf2",
        "--pbkdf-force-iterations",
        "5000",
    ]);
    add_passphrase(&volume, "second", &[]);
    volume.add_token(TokenId(1), &token("clevis", &["1"]));
    volume.add_token(TokenId(2), &token("systemd-tpm2", &["1"]));
    // One of ours does not make a person's keyslot ours.
    volume.add_token(TokenId(3), &token("taoboot", &["0"]));
    let kinds: Vec<String> = listed(&volume).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, ["password", "other"]);
    let sentence = refusal_of(&volume, &["--kind", "clevis"]);
    assert!(
        sentence.contains("nothing of the kind clevis"),
        "{sentence}"
    );
    assert!(volume.opens_with(b"second") && volume.opens_with(PASSPHRASE.as_bytes()));
}

/// The only keyslot of a person, under another program's token or two of them.
#[test]
fn a_token_of_another_program_does_not_give_the_last_password_away() {
    for kinds in [
        &["systemd-tpm2"][..],
        &["clevis"],
        &["acme", "systemd-fido2"],
    ] {
        let volume = Volume::new();
        enroll_current(&volume, &launched("kernel", "initramfs"));
        for (id, kind) in (10..).zip(kinds) {
            volume.add_token(TokenId(id), &token(kind, &["0"]));
        }
        let listed = listed(&volume);
        let (_, seen) = &listed[0];
        assert_ne!(seen, "password");
        let before = fs::read(&volume.image).unwrap();
        let sentence = refusal(&taoboot("wipe", &volume, &["--kind", seen]));
        assert!(sentence.contains("without this machine"), "{sentence}");
        assert!(fs::read(&volume.image).unwrap() == before, "{seen}");
        assert!(volume.opens_with(PASSPHRASE.as_bytes()));
        // With a password beside it, it may go.
        add_passphrase(&volume, "second", &[]);
        let output = taoboot("wipe", &volume, &["--kind", seen]);
        assert!(output.status.success(), "{output:?}");
        assert!(volume.opens_with(b"second"));
    }
}

#[test]
fn a_luks1_volume_is_enrolled_after_the_command_that_the_refusal_names() {
    let volume = Volume::luks1();
    let swtpm = launched("kernel", "initramfs");
    let sentence = refusal(&taoboot(
        "enroll",
        &volume,
        &["--current", "--tcti", &swtpm.tcti()],
    ));
    let command = format!("cryptsetup convert --type luks2 {}", volume.image.display());
    assert!(sentence.contains(&command), "{sentence}");
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let converted = piped(Command::new("cryptsetup").arg("-q").args(words), "");
    assert!(converted.status.success(), "{converted:?}");
    enroll_current(&volume, &swtpm);
    assert!(unsealed(&volume, &swtpm).is_ok());
    let kinds: Vec<String> = listed(&volume).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, ["password", "record"]);
}
