//! Through the resident agent.

use std::{fs, process::Stdio};

use agent::reseal::{LaunchEvent, Measure, MeasuredFile, SealRequest};
use serde_json::{Value, json};
use tpm::{Bank, PcrIndex, PcrValues, pcr_text};

use crate::{
    enroll_support::{command, refusal},
    reseal::common::{KERNEL_WORDS, Machine, TBOOT_WORDS, extends, pcrs, said},
};

pub fn sha256_values(text: &str) -> PcrValues {
    pcr_text::of_bank(text, Bank::Sha256).unwrap()
}

#[test]
fn a_new_kernel_is_approved_without_a_passphrase_and_the_old_one_still_opens() {
    let mut machine = Machine::up();
    let (id, keyslots) = (machine.secret_id(), machine.keyslots());
    let menu = json!([
        machine.entry("1", "new", true),
        machine.entry("2", "old", false)
    ]);
    let output = machine.reseal(&menu, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = said(&output);
    assert!(text.contains("1: Linux new: sealed, record 1"), "{text}");
    assert!(text.contains("2: Linux old: record 0 is for it"), "{text}");
    assert_eq!(machine.keyslots(), keyslots, "the keyslot is shared");
    machine.reboot("new");
    assert_eq!(machine.secret_id(), id, "the Tao host keeps its keys");
    machine.reboot("old");
    assert_eq!(machine.secret_id(), id);
    machine.reboot("another");
    assert!(!machine.opens());
}

#[test]
fn an_entry_of_another_script_is_sealed_to_only_when_it_is_named() {
    let machine = Machine::up();
    let mut foreign = machine.entry("1", "foreign", true);
    foreign["id"] = json!("tboot-simple");
    let menu = json!([machine.entry("0", "own", false), foreign]);
    assert!(machine.reseal(&menu, &[]).status.success());
    assert_eq!(machine.volume.header().metadata().tokens.len(), 2);
    let only_foreign = json!([menu[1]]);
    let sentence = refusal(&machine.reseal(&only_foreign, &[]));
    assert!(sentence.contains("--entry"), "{sentence}");
    let output = machine.reseal(&menu, &["--entry", "tboot-simple"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(machine.volume.header().metadata().tokens.len(), 3);
    // An id says nothing of who wrote the entry.
    for script in [json!(null), json!("/etc/grub.d/30_os-prober")] {
        let mut forged = machine.entry("1", "forged", true);
        forged["script"] = script;
        let sentence = refusal(&machine.reseal(&json!([forged]), &[]));
        assert!(sentence.contains("--entry"), "{sentence}");
        // Nor does it keep the script's own entry from being found.
        let mut own = machine.entry("0", "own", false);
        own["id"] = forged["id"].clone();
        let menu = json!([forged, own]);
        let output = machine.reseal(&menu, &["--entry", "taoboot-forged", "--json"]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["entries"][0]["entry"], "0: Linux own", "{answer}");
        let mut twin = forged.clone();
        twin["place"] = json!("2");
        let menu = json!([forged, twin]);
        let sentence = refusal(&machine.reseal(&menu, &["--entry", "taoboot-forged"]));
        assert!(sentence.contains("by its place"), "{sentence}");
    }
    assert_eq!(machine.volume.header().metadata().tokens.len(), 3);
}

/// Whoever writes to /boot writes grubenv, too.
#[test]
fn an_entry_that_takes_words_from_grubenv_is_sealed_to_only_when_it_is_named() {
    let machine = Machine::up();
    let mut entry = machine.entry("1", "new", true);
    entry["environment"] = json!("line 7: $kernelopts depends on GRUB's environment block");
    let menu = json!([entry]);
    let sentence = refusal(&machine.reseal(&menu, &[]));
    assert!(
        sentence.contains("line 7: $kernelopts") && sentence.contains("--entry"),
        "{sentence}"
    );
    assert_eq!(machine.volume.header().metadata().tokens.len(), 1);
    let output = machine.reseal(&menu, &["--entry", "1"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn resealing_twice_adds_nothing() {
    let machine = Machine::up();
    let menu = json!([machine.entry("1", "new", true)]);
    for _ in 0..2 {
        let output = machine.reseal(&menu, &["--json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["entries"][0]["record"], 1, "{answer}");
    }
    assert_eq!(machine.volume.header().metadata().tokens.len(), 2);
}

#[test]
fn the_new_record_has_the_words_of_the_prediction_and_both_secrets() {
    let mut machine = Machine::up();
    let (before, _) = crate::enroll_support::unsealed(&machine.volume, &machine.swtpm).unwrap();
    let menu = json!([machine.entry("1", "new", true)]);
    assert!(machine.reseal(&menu, &[]).status.success());
    machine.reboot("new");
    let (after, record) = crate::enroll_support::unsealed(&machine.volume, &machine.swtpm).unwrap();
    assert_eq!(before.to_bytes(), after.to_bytes());
    assert_eq!(record.label(), "Linux new");
    let words: Vec<_> = record.components().values().collect();
    assert_eq!(words, ["/boot/vmlinuz"]);
}

/// Everything that a request for a launch has.
pub fn request(machine: &Machine, kernel: &str) -> SealRequest {
    let entry = machine.entry("1", kernel, true);
    let files: Vec<MeasuredFile> = entry["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| MeasuredFile {
            path: file["path"].as_str().unwrap().into(),
            sha256: file["sha256"].as_str().unwrap().into(),
            stands_at: None,
        })
        .collect();
    let events = extends(kernel)
        .into_iter()
        .map(|(pcr, name, digest)| LaunchEvent {
            pcr: PcrIndex::try_from(pcr).unwrap(),
            measured: match name {
                "MLE_HASH" => Measure::Tboot {
                    file: 0,
                    cmdline: TBOOT_WORDS.into(),
                },
                "module 0" => Measure::Module {
                    file: 1,
                    cmdline: KERNEL_WORDS.into(),
                },
                "module 1" => Measure::Module {
                    file: 2,
                    cmdline: String::new(),
                },
                other => Measure::Platform {
                    name: other.into(),
                    sha256: hex::encode(digest),
                },
            },
        });
    let text = json!({ "sha256": pcrs(kernel) }).to_string();
    SealRequest {
        pattern: machine.volume.record().record().to_token().unwrap(),
        pcrs: sha256_values(&text),
        limit: None,
        label: String::new(),
        components: Default::default(),
        created: 0,
        files,
        events: events.collect(),
    }
}

#[test]
fn without_a_resident_agent_the_way_out_is_named() {
    let machine = Machine::enrolled(&[]);
    let output = machine.reseal(&json!([machine.entry("1", "new", true)]), &[]);
    let sentence = refusal(&output);
    assert!(sentence.contains("no resident agent"), "{sentence}");
    assert!(sentence.contains("--recovery-key"), "{sentence}");
}

/// `taoboot reseal | head`: the reader of its output is gone, but what was to be sealed is sealed.
#[test]
fn a_closed_pipe_stops_no_sealing() {
    let machine = Machine::up();
    let menu = json!([
        machine.entry("1", "new", true),
        machine.entry("2", "newer", false)
    ]);
    let file = machine.boot.join("closed.json");
    fs::write(&file, menu.to_string()).unwrap();
    let tcti = machine.swtpm.tcti();
    let words = [
        "--predictions",
        file.to_str().unwrap(),
        "--tcti",
        &tcti,
        "--socket",
        machine.socket.to_str().unwrap(),
        "--root",
        machine.root.to_str().unwrap(),
    ];
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = command("reseal", &machine.volume.image, &words)
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    assert_eq!(machine.volume.header().metadata().tokens.len(), 3);
}
