//! With a passphrase of the volume.

use serde_json::json;

use crate::{
    enroll_support::{PASSPHRASE, refusal, unsealed},
    reseal::common::{Machine, said},
};

const NEW_HOST: &str = "--new-host-secret";

#[test]
fn a_passphrase_gives_another_host_secret_and_only_when_that_is_asked_for() {
    let mut machine = Machine::enrolled(&[]);
    let (before, _) = unsealed(&machine.volume, &machine.swtpm).unwrap();
    let menu = json!([
        machine.entry("1", "new", true),
        machine.entry("2", "newer", false)
    ]);
    let output = machine.reseal(&menu, &["--recovery-key"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains(NEW_HOST), "{}", said(&output));
    assert_eq!(machine.volume.header().metadata().tokens.len(), 1);
    let tcti = machine.swtpm.tcti();
    let enroll = ["--current", "--tcti", &tcti, "--no-recovery-key"];
    let output = crate::enroll_support::taoboot("enroll", &machine.volume, &enroll);
    assert!(refusal(&output).contains(NEW_HOST), "{}", said(&output));

    let output = machine.reseal(&menu, &["--recovery-key", NEW_HOST]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let after = ["new", "newer"].map(|kernel| {
        machine.reboot(kernel);
        let (secret, _) = unsealed(&machine.volume, &machine.swtpm).unwrap();
        assert_eq!(secret.id(), before.id(), "the same volume secret");
        secret.host().to_bytes()
    });
    assert_ne!(after[0], before.host().to_bytes());
    // All launches of one run have the same host.
    assert_eq!(after[0], after[1]);
}

#[test]
fn a_new_host_secret_is_not_asked_of_the_resident_agent() {
    let machine = Machine::enrolled(&[]);
    let menu = json!([machine.entry("1", "new", true)]);
    let output = machine.reseal(&menu, &[NEW_HOST]);
    assert!(refusal(&output).contains("--recovery-key"));
}

#[test]
fn a_passphrase_seals_the_same_volume_secret_again() {
    let mut machine = Machine::enrolled(&["--swap", "/dev/disk/by-partuuid/0f3b-02"]);
    let (id, keyslots) = (machine.secret_id(), machine.keyslots());
    // The machine comes up with something unknown: nobody is resident.
    machine.reboot("unknown");
    assert!(!machine.opens());
    let file = machine.volume.directory.path().join("passphrase");
    std::fs::write(&file, PASSPHRASE).unwrap();
    let menu = json!([machine.entry("1", "new", true)]);
    let words = ["--passphrase-file", file.to_str().unwrap(), NEW_HOST];
    let output = machine.reseal(&menu, &words);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    machine.reboot("new");
    let (secret, record) = unsealed(&machine.volume, &machine.swtpm).unwrap();
    assert_eq!(secret.id(), id);
    assert_eq!(machine.keyslots(), keyslots);
    assert!(record.swap().is_some(), "the genuine record's swap is kept");
}

#[test]
fn the_swap_of_a_forged_record_is_not_taken_over() {
    let mut machine = Machine::enrolled(&[]);
    let mut forged = machine.volume.token(agent::unlock::TokenId(0));
    forged["swap"] = json!("/dev/sda1");
    machine
        .volume
        .replace_token(agent::unlock::TokenId(0), &forged);
    let menu = json!([machine.entry("1", "new", true)]);
    let output = machine.reseal(&menu, &["--recovery-key", NEW_HOST]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    machine.reboot("new");
    let (_, record) = unsealed(&machine.volume, &machine.swtpm).unwrap();
    assert!(record.swap().is_none());
}

#[test]
fn a_wrong_passphrase_changes_nothing() {
    let machine = Machine::enrolled(&[]);
    let file = machine.volume.directory.path().join("wrong");
    std::fs::write(&file, "wrong").unwrap();
    let before = std::fs::read(&machine.volume.image).unwrap();
    let menu = json!([machine.entry("1", "new", true)]);
    let output = machine.reseal(&menu, &["--passphrase-file", file.to_str().unwrap()]);
    assert!(refusal(&output).contains("passphrase"), "{}", said(&output));
    assert_eq!(before, std::fs::read(&machine.volume.image).unwrap());
}

#[test]
fn a_new_secret_is_made_only_when_asked_for() {
    let machine = Machine::enrolled(&[]);
    let id = machine.secret_id();
    let tcti = machine.swtpm.tcti();
    let enroll = ["--current", "--tcti", &tcti, "--no-recovery-key"];
    let host = [&enroll[..], &[NEW_HOST]].concat();
    // The same launch four times is one record: the newest replaces the one that was there.
    for _ in 0..3 {
        let output = crate::enroll_support::taoboot("enroll", &machine.volume, &host);
        assert!(output.status.success(), "{output:?}");
    }
    let records = agent::unlock::find_records(&machine.volume.header());
    let ids: Vec<_> = records
        .iter()
        .map(|(_, record)| record.as_ref().unwrap().secret_id().to_owned())
        .collect();
    assert_eq!(ids, [id.as_str()]);
    assert!(machine.opens());
    let fresh = [&enroll[..], &["--new-secret"]].concat();
    let output = crate::enroll_support::taoboot("enroll", &machine.volume, &fresh);
    assert!(output.status.success(), "{output:?}");
    let records = agent::unlock::find_records(&machine.volume.header());
    let ids: Vec<_> = records
        .iter()
        .map(|(_, record)| record.as_ref().unwrap().secret_id().to_owned())
        .collect();
    // The old one, for the same launch, would go on to be released.
    assert_eq!(ids.len(), 1);
    assert_ne!(ids[0], id);
}

#[test]
fn wiping_one_of_two_records_leaves_the_keyslot_they_share() {
    let machine = Machine::enrolled(&[]);
    let menu = json!([machine.entry("1", "new", true)]);
    assert!(
        machine
            .reseal(&menu, &["--recovery-key", NEW_HOST])
            .status
            .success()
    );
    let wipe = |words: &[&str]| {
        let output = crate::enroll_support::taoboot("wipe", &machine.volume, words);
        assert!(output.status.success(), "{output:?}");
    };
    wipe(&["--record", "1"]);
    assert!(machine.opens());
    assert_eq!(machine.keyslots(), 2);
    wipe(&["--all"]);
    assert!(!machine.opens());
    assert_eq!(machine.keyslots(), 1);
}

#[test]
fn a_forged_record_for_the_launch_does_not_keep_it_from_getting_one() {
    let mut machine = Machine::enrolled(&[]);
    let id = machine.secret_id();
    let menu = json!([machine.entry("1", "new", true)]);
    assert!(
        machine
            .reseal(&menu, &["--recovery-key", NEW_HOST])
            .status
            .success()
    );
    // It says that it is for the new launch, and its secret was never sealed.
    let mut forged = machine.volume.token(agent::unlock::TokenId(1));
    forged["label"] = json!("changed");
    machine
        .volume
        .replace_token(agent::unlock::TokenId(1), &forged);
    let output = machine.reseal(&menu, &["--recovery-key", NEW_HOST]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(said(&output).contains("sealed, record 2"), "{output:?}");
    machine.reboot("new");
    assert_eq!(machine.secret_id(), id);
}
