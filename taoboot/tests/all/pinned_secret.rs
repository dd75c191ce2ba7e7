//! The last record of the secret that the images in /boot pin stays: without it they refuse the right
//! passphrase and the recovery key, too.

use std::{fs, path::Path, thread, time::Duration};

use agent::unlock::{TokenId, find_records};
use serde_json::json;
use storage::pins::Pins;

use crate::{
    enroll_support::{PASSPHRASE, enroll_again, refusal, taoboot},
    reseal::common::{Machine, said},
};

const WHAT_TO_DO: [&str; 3] = ["pins.toml and any secret_id", "kernel refresh", "reboot"];

/// The images in /boot were made with this secret.
fn in_place(root: &Path, secret: &str) {
    let file = root.join("var/lib/taoboot/pins.toml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(
        file,
        Pins::text(&format!("000b{}", "11".repeat(32)), secret),
    )
    .unwrap();
}

fn refused(machine: &Machine, secret: &str, verb: &str, words: &[&str]) {
    let root = machine.root.to_str().unwrap();
    let before = fs::read(&machine.volume.image).unwrap();
    let words = [words, &["--root", root]].concat();
    let sentence = refusal(&taoboot(verb, &machine.volume, &words));
    let all = WHAT_TO_DO.iter().all(|said| sentence.contains(said));
    assert!(all && sentence.contains(secret), "{sentence}");
    assert!(
        fs::read(&machine.volume.image).unwrap() == before,
        "{words:?}"
    );
}

fn done(machine: &Machine, verb: &str, words: &[&str]) {
    let root = machine.root.to_str().unwrap();
    let output = taoboot(verb, &machine.volume, &[words, &["--root", root]].concat());
    assert!(output.status.success(), "{words:?}: {output:?}");
}

fn records_of(machine: &Machine, secret: &str) -> usize {
    let records = find_records(&machine.volume.header()).into_iter();
    let of_it = records.filter(|(_, record)| {
        record
            .as_ref()
            .is_ok_and(|record| record.secret_id() == secret)
    });
    of_it.count()
}

#[test]
fn the_last_record_of_the_secret_that_the_images_pin_is_not_wiped() {
    let mut machine = Machine::enrolled(&[]);
    let secret = machine.secret_id();
    in_place(&machine.root, &secret);
    for words in [
        &["--all"][..],
        &["--record", "0"],
        &["--kind", "record"],
        &["--kind", "record", "--kind", "further"],
    ] {
        refused(&machine, &secret, "wipe", words);
    }
    // A copy that cannot be read might pin it.
    let kept = machine.root.join("var/lib/taoboot/pins.toml");
    fs::write(&kept, "nonsense").unwrap();
    let words = ["--all", "--root", machine.root.to_str().unwrap()];
    let sentence = refusal(&taoboot("wipe", &machine.volume, &words));
    assert!(
        sentence.contains("images in /boot pin is unknown"),
        "{sentence}"
    );
    // With another one, each of the two may go, but not both.
    in_place(&machine.root, &secret);
    machine.reboot("other");
    enroll_again(&machine.volume, &machine.swtpm);
    assert_eq!(records_of(&machine, &secret), 2);
    refused(&machine, &secret, "wipe", &["--all"]);
    done(&machine, "wipe", &["--record", "0"]);
    let left = find_records(&machine.volume.header()).remove(0).0;
    refused(
        &machine,
        &secret,
        "wipe",
        &["--record", &left.0.to_string()],
    );
    // The administrator may have pinned it himself.
    in_place(&machine.root, "00ff");
    let config = machine.root.join("etc/taoboot/image.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(&config, format!("secret_id = \"{secret}\"\n")).unwrap();
    refused(&machine, &secret, "wipe", &["--all"]);
    fs::remove_file(config).unwrap();
    done(&machine, "wipe", &["--all"]);
}

#[test]
fn who_says_force_wipes_the_last_record_that_is_pinned() {
    let machine = Machine::enrolled(&[]);
    in_place(&machine.root, &machine.secret_id());
    done(&machine, "wipe", &["--all", "--force"]);
}

#[test]
fn a_new_secret_does_not_replace_the_last_record_of_the_one_that_the_images_pin() {
    let machine = Machine::enrolled(&[]);
    let (secret, tcti) = (machine.secret_id(), machine.swtpm.tcti());
    let dry = ["--current", "--new-secret", "--tcti", &tcti, "--dry-run"];
    let words = [&dry[..4], &["--no-recovery-key"]].concat();
    in_place(&machine.root, &secret);
    refused(&machine, &secret, "enroll", &dry);
    // A record that only says that it is of this secret does not stand in for the genuine one.
    let mut forged = machine.volume.token(TokenId(0));
    forged["pcrs"]["18"] = json!("aa".repeat(32));
    machine.volume.add_token(TokenId(9), &forged);
    assert_eq!(records_of(&machine, &secret), 2, "{forged}");
    refused(&machine, &secret, "enroll", &words);
    done(&machine, "enroll", &[&words[..], &["--force"]].concat());
    assert_eq!(records_of(&machine, &secret), 1, "the forged one");
}

#[test]
fn a_new_secret_may_be_made_where_a_record_for_another_launch_has_the_pinned_one() {
    let mut machine = Machine::enrolled(&[]);
    let secret = machine.secret_id();
    in_place(&machine.root, &secret);
    machine.reboot("other");
    // The secret of the newest record is sealed, by the second.
    thread::sleep(Duration::from_millis(1100));
    let tcti = machine.swtpm.tcti();
    let words = ["--current", "--new-secret", "--tcti", &tcti];
    done(
        &machine,
        "enroll",
        &[&words[..], &["--no-recovery-key"]].concat(),
    );
    assert_eq!(records_of(&machine, &secret), 1);
    // Nothing boots that launch any more, and still its record is not removed.
    let key = machine.root.join("key");
    fs::write(&key, PASSPHRASE).unwrap();
    let file = key.to_str().unwrap();
    let words = [
        "--keep",
        "0",
        "--new-host-secret",
        "--passphrase-file",
        file,
    ];
    let menu = json!([machine.entry("0", "newer", true)]);
    let output = machine.reseal(&menu, &words);
    assert!(said(&output).contains("no record is removed"), "{output:?}");
    assert_eq!(records_of(&machine, &secret), 1);
    in_place(&machine.root, "00ff");
    let output = machine.reseal(&menu, &words);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(records_of(&machine, &secret), 0);
}
