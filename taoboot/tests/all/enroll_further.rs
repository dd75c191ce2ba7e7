//! Several volumes that one secret opens: all are enrolled or none, and each is the one that was enrolled.

use std::{fs, process::Output};

use agent::unlock::{
    FURTHER_TYPE, FurtherToken, FurtherVolumeError, TokenId, VolumeSecret, check_further_volume,
    enrolment::find_leftovers, find_further, find_records,
};
use serde_json::Value;
use tpm::swtpm::Swtpm;

use crate::{enroll_kill::enroll_killed_at, enroll_support::*};

fn enroll_all(volumes: &[&Volume], swtpm: &Swtpm, more: &[&str]) -> Output {
    let tcti = swtpm.tcti();
    let mut arguments = vec!["--current", "--tcti", &tcti, "--no-recovery-key"];
    for further in &volumes[1..] {
        arguments.extend(["--volume", further.image.to_str().unwrap()]);
    }
    arguments.extend(more);
    taoboot("enroll", volumes[0], &arguments)
}

fn add(volume: &Volume, further: &[&Volume], more: &[&str]) -> Output {
    let mut arguments: Vec<&str> = further.iter().map(|v| v.image.to_str().unwrap()).collect();
    arguments.extend(more);
    taoboot("add-volume", volume, &arguments)
}

/// By the real cryptsetup, with what /init derives after one unseal.
fn opens(volume: &Volume, secret: &VolumeSecret) -> bool {
    let header = volume.header();
    check_further_volume(&header, secret).is_ok()
        && volume.opens_with(&secret.volume_passphrase(header.identity()))
}

fn keyslots(volume: &Volume) -> Vec<u32> {
    volume
        .header()
        .metadata()
        .keyslots
        .keys()
        .copied()
        .collect()
}

#[test]
fn one_unseal_opens_every_volume_that_was_enrolled_together() {
    let (root, home, backup) = (
        Volume::new(),
        Volume::formatted(&[
            "--type",
            "luks2",
            "--pbkdf",
            "pbkdf2",
            "--sector-size",
            "4096",
        ]),
        Volume::new(),
    );
    let swtpm = launched("kernel", "initramfs");
    let output = enroll_all(&[&root, &home, &backup], &swtpm, &["--json"]);
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["further"][1]["uuid"], backup.header().uuid());
    assert_eq!(report["further"][0]["new"], true);
    let (secret, _) = unsealed(&root, &swtpm).unwrap();
    for volume in [&home, &backup] {
        assert!(opens(volume, secret.volume()));
        assert!(find_records(&volume.header()).is_empty());
    }
    // Each has a passphrase of its own.
    let of = |volume: &Volume| {
        secret
            .volume()
            .volume_passphrase(volume.header().identity())
    };
    assert!(!home.opens_with(&of(&backup)) && !root.opens_with(&of(&home)));
    let status = taoboot("status", &home, &["--tcti", &swtpm.tcti()]);
    let text = String::from_utf8(status.stdout).unwrap();
    let root_uuid = root.header().uuid().to_owned();
    assert!(
        text.contains(&format!("opened with the secret of the volume {root_uuid}")),
        "{text}"
    );
    assert!(!text.contains("no taoboot record"), "{text}");
}

#[test]
fn where_one_volume_cannot_be_enrolled_none_is() {
    let swtpm = launched("kernel", "initramfs");
    let (root, good) = (Volume::new(), Volume::new());
    let full = Volume::new();
    // Its tokens are all taken.
    let other = serde_json::json!({ "type": "somebody", "keyslots": [] });
    for number in 0..32 {
        full.add_token(TokenId(number), &other);
    }
    let own_records = Volume::new();
    enroll_current(&own_records, &swtpm);
    let luks1 = Volume::luks1();
    let before: Vec<Vec<u8>> = [&root, &good]
        .map(|volume| fs::read(&volume.image).unwrap())
        .into();
    for (bad, said) in [
        (&full, "all 32 tokens"),
        (&own_records, "has taoboot records of its own"),
        (&luks1, "LUKS1"),
    ] {
        let output = enroll_all(&[&root, &good, bad], &swtpm, &[]);
        let sentence = refusal(&output);
        assert!(sentence.contains(said), "{sentence}");
        assert!(find_records(&root.header()).is_empty(), "{said}");
        assert_eq!(keyslots(&root), [0], "{said}");
        assert_eq!(keyslots(&good), [0], "{said}");
        assert!(find_further(&good.header()).is_empty(), "{said}");
    }
    // Nor where it is the record that does not fit, which comes last.
    let sentence = refusal(&enroll_all(&[&full, &good], &swtpm, &[]));
    assert!(sentence.contains("all 32 tokens"), "{sentence}");
    assert_eq!(keyslots(&good), [0]);
    assert!(find_further(&good.header()).is_empty());
    // Nothing was even begun where the header of one is refused.
    let output = enroll_all(&[&root, &good, &luks1], &swtpm, &[]);
    refusal(&output);
    for (volume, before) in [&root, &good].into_iter().zip(&before) {
        assert_eq!(volume.header().metadata().tokens.len(), 0);
        assert_eq!(fs::read(&volume.image).unwrap().len(), before.len());
    }
    let twice = enroll_all(&[&root, &good, &good], &swtpm, &[]);
    assert!(refusal(&twice).contains("is named twice"));
}

#[test]
fn a_further_volume_with_another_passphrase_takes_it_from_its_own_file() {
    let swtpm = launched("kernel", "initramfs");
    let (root, other) = (Volume::new(), Volume::new());
    let key = other.directory.path().join("key");
    fs::write(&key, "another passphrase").unwrap();
    let changed = piped(
        std::process::Command::new("cryptsetup")
            .args(["luksChangeKey", "-q", "--pbkdf-force-iterations", "1000"])
            .args(["--pbkdf", "pbkdf2"])
            .arg(&other.image)
            .arg(&key),
        PASSPHRASE,
    );
    assert!(changed.status.success(), "{changed:?}");
    let sentence = refusal(&enroll_all(&[&root, &other], &swtpm, &[]));
    assert!(
        sentence.contains("with another --passphrase-file"),
        "{sentence}"
    );
    assert!(find_records(&root.header()).is_empty());
    let first = root.directory.path().join("key");
    fs::write(&first, PASSPHRASE).unwrap();
    let files = [
        "--passphrase-file",
        first.to_str().unwrap(),
        "--passphrase-file",
        key.to_str().unwrap(),
    ];
    let output = enroll_all(&[&root, &other], &swtpm, &files);
    assert!(output.status.success(), "{output:?}");
    let (secret, _) = unsealed(&root, &swtpm).unwrap();
    assert!(opens(&other, secret.volume()));
}

#[test]
fn a_volume_is_added_without_a_tpm_and_an_earlier_secret_is_cleaned_up() {
    let swtpm = launched("kernel", "initramfs");
    let (root, data) = (Volume::new(), Volume::new());
    let sentence = refusal(&add(&root, &[&data], &[]));
    assert!(sentence.contains("enrol it first"), "{sentence}");
    enroll_current(&root, &swtpm);
    let sentence = refusal(&add(&root, &[&root], &[]));
    assert!(sentence.contains("is named twice"), "{sentence}");
    for (new, slots) in [("true", [0, 1]), ("false", [0, 1])] {
        let output = add(&root, &[&data], &["--json"]);
        assert!(output.status.success(), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["further"][0]["new"].to_string(), new);
        assert_eq!(keyslots(&data), slots);
    }
    let (secret, _) = unsealed(&root, &swtpm).unwrap();
    assert!(opens(&data, secret.volume()));
    // Another secret: the old keyslot goes, the new one opens.
    let output = enroll_all(&[&root, &data], &swtpm, &["--new-secret"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(keyslots(&data), [0, 2]);
    assert_eq!(find_further(&data.header()).len(), 1);
    assert!(!opens(&data, secret.volume()));
    // The old record of this very launch would go on to be released.
    let (new, _) = unsealed(&root, &swtpm).unwrap();
    assert_ne!(new.id(), secret.id());
    assert!(opens(&data, new.volume()));
    // And all of it is taken away by hand.
    let wiped = taoboot("wipe", &data, &["--all"]);
    assert!(wiped.status.success(), "{wiped:?}");
    assert_eq!(keyslots(&data), [0]);
}

#[test]
fn a_disk_of_two_machines_is_opened_by_both() {
    let swtpm = launched("kernel", "initramfs");
    let (one, other, data) = (Volume::new(), Volume::new(), Volume::new());
    for root in [&one, &other] {
        enroll_current(root, &swtpm);
        let output = add(root, &[&data], &[]);
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(keyslots(&data), [0, 1, 2]);
    for root in [&one, &other] {
        let (secret, _) = unsealed(root, &swtpm).unwrap();
        assert!(opens(&data, secret.volume()));
    }
}

/// Two launches with a secret each: the further volume opens in both.
#[test]
fn a_new_secret_for_another_launch_leaves_the_older_launch_its_further_volumes() {
    let mut swtpm = launched("kernel 1", "initramfs");
    let (root, data) = (Volume::new(), Volume::new());
    let output = enroll_all(&[&root, &data], &swtpm, &[]);
    assert!(output.status.success(), "{output:?}");
    swtpm.reboot().unwrap();
    launch(&swtpm, "kernel 2", "initramfs");
    let output = enroll_all(&[&root, &data], &swtpm, &["--new-secret"]);
    assert!(output.status.success(), "{output:?}");
    for kernel in ["kernel 2", "kernel 1"] {
        swtpm.reboot().unwrap();
        launch(&swtpm, kernel, "initramfs");
        let (secret, _) = unsealed(&root, &swtpm).unwrap();
        assert!(opens(&data, secret.volume()), "{kernel}");
    }
}

/// The passphrase's own keyslot may look like one of taoboot's.
#[test]
fn a_forged_token_does_not_cost_the_keyslot_whose_passphrase_is_given() {
    let swtpm = launched("kernel", "initramfs");
    let (root, data) = (Volume::new(), Volume::new());
    enroll_current(&root, &swtpm);
    let thief = VolumeSecret::generate().unwrap();
    let identity = data.header().identity().clone();
    let forged = FurtherToken::new(0, identity, root.header().uuid(), &thief).unwrap();
    data.add_token(TokenId(5), &forged.to_token().unwrap());
    let output = add(&root, &[&data], &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(keyslots(&data), [0, 1]);
    assert!(data.opens_with(PASSPHRASE.as_bytes()));
}

/// A token is untrusted: it may name the keyslot of a person.
#[test]
fn a_forged_token_costs_nobody_a_keyslot_and_opens_nothing() {
    let swtpm = launched("kernel", "initramfs");
    let root = Volume::new();
    let person = [
        "--type",
        "luks2",
        "--pbkdf",
        "pbkdf2",
        "--pbkdf-force-iterations",
        "5000",
    ];
    let data = Volume::formatted(&person);
    enroll_current(&root, &swtpm);
    let thief = VolumeSecret::generate().unwrap();
    let identity = data.header().identity().clone();
    let forged = FurtherToken::new(0, identity, root.header().uuid(), &thief).unwrap();
    data.add_token(TokenId(5), &forged.to_token().unwrap());
    let (secret, _) = unsealed(&root, &swtpm).unwrap();
    let refused = check_further_volume(&data.header(), secret.volume()).unwrap_err();
    assert!(
        matches!(refused, FurtherVolumeError::Token { .. }),
        "{refused}"
    );
    let output = add(&root, &[&data], &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(keyslots(&data), [0, 1]);
    assert!(data.opens_with(PASSPHRASE.as_bytes()));
    let tokens = data.header().metadata().tokens.clone();
    let kinds: Vec<_> = tokens.values().map(|token| token.kind.as_str()).collect();
    assert_eq!(kinds, [FURTHER_TYPE]);
    assert!(opens(&data, secret.volume()));
}

/// A disk with the UUID of an enrolled one, and its token copied: the header differs, or the key does.
#[test]
fn a_look_alike_with_the_genuine_token_is_refused_or_does_not_open() {
    let swtpm = launched("kernel", "initramfs");
    let (root, data) = (Volume::new(), Volume::new());
    let output = enroll_all(&[&root, &data], &swtpm, &[]);
    assert!(output.status.success(), "{output:?}");
    let (secret, _) = unsealed(&root, &swtpm).unwrap();
    let token = data.token(TokenId(0));
    let uuid = data.header().uuid().to_owned();
    let same = Volume::in_place_of(&data);
    // Its only keyslot is the thief's.
    let mut token = token;
    token["keyslots"] = serde_json::json!(["0"]);
    same.add_token(TokenId(0), &token);
    let refused = check_further_volume(&same.header(), secret.volume()).unwrap_err();
    assert!(refused.to_string().contains("authentication"), "{refused}");
    let passphrase = secret.volume().volume_passphrase(same.header().identity());
    assert!(!same.opens_with(&passphrase));
    let other_form = Volume::formatted(&[
        "--type",
        "luks2",
        "--pbkdf",
        "pbkdf2",
        "--uuid",
        &uuid,
        "--sector-size",
        "512",
    ]);
    other_form.add_token(TokenId(0), &token);
    let refused = check_further_volume(&other_form.header(), secret.volume()).unwrap_err();
    assert!(refused.to_string().contains("sector size"), "{refused}");
}

#[test]
fn a_kill_at_any_write_enrols_all_volumes_or_none() {
    let swtpm = launched("kernel", "initramfs");
    let tcti = swtpm.tcti();
    let (root, data) = (Volume::new(), Volume::new());
    let passphrase = root.directory.path().join("passphrase");
    fs::write(&passphrase, PASSPHRASE).unwrap();
    let volumes = [&root, &data];
    let pristine = volumes.map(|volume| fs::read(&volume.image).unwrap());
    let (mut enrolled, mut none) = (0, 0);
    for point in 0.. {
        for (volume, bytes) in volumes.iter().zip(&pristine) {
            fs::write(&volume.image, bytes).unwrap();
        }
        let finished = enroll_killed_at(&volumes, &tcti, &passphrase, point);
        for volume in volumes {
            assert!(volume.opens_with(PASSPHRASE.as_bytes()), "{point}");
        }
        if find_records(&root.header()).is_empty() {
            none += 1;
        } else {
            let (secret, _) = unsealed(&root, &swtpm).unwrap();
            assert!(opens(&data, secret.volume()), "half enrolled at {point}");
            enrolled += 1;
        }
        // The next run cleans up and succeeds.
        let output = enroll_all(&volumes, &swtpm, &["--new-host-secret"]);
        assert!(output.status.success(), "{point}: {output:?}");
        for volume in volumes {
            assert!(find_leftovers(&volume.header()).is_empty(), "{point}");
            assert_eq!(keyslots(volume).len(), 2, "an orphan is left at {point}");
        }
        assert_eq!(find_further(&data.header()).len(), 1, "{point}");
        if finished {
            println!("{point} write points; {enrolled} enrolled, {none} not");
            assert!(point >= 20 && enrolled >= 1 && none >= 10);
            return;
        }
    }
}
