//! `taoboot check-next-boot` and `status` say before the reboot what will happen; and what they
//! say is what happens.

use serde_json::{Value, json};
use tpm::Tpm2;

use crate::common::{Machine, said};

fn check(machine: &Machine, menu: &Value) -> (Option<i32>, Value) {
    let root = machine.root.to_str().unwrap();
    let output = machine.run("check-next-boot", menu, &["--json", "--root", root]);
    let answer = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    (output.status.code(), answer)
}

#[test]
fn the_verdict_for_each_entry_is_what_then_happens() {
    let mut machine = Machine::up();
    let menu = json!([
        machine.entry("0", "old", false),
        machine.entry("1", "new", true),
        { "entry": "2: memtest", "tboot": false },
        { "entry": "3: other", "tboot": true, "error": "its kernel is missing" },
    ]);
    let (code, answer) = check(&machine, &menu);
    assert_eq!(code, Some(1), "the default entry will ask: {answer}");
    let verdicts: Vec<&str> = answer["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts, ["unlock", "ask", "ask", "unknown"]);
    let why = answer["entries"][1]["why"].as_str().unwrap();
    assert!(
        why.contains("no record is for this launch") && why.contains("PCR 18"),
        "{why}"
    );
    machine.reboot("new");
    assert!(!machine.opens());
    machine.reboot("old");
    assert!(machine.reseal(&menu, &["--entry", "1"]).status.success());
    let (code, answer) = check(&machine, &menu);
    assert_eq!(code, Some(0), "{answer}");
    machine.reboot("new");
    assert!(machine.opens());
}

#[test]
fn without_a_default_entry_nothing_is_promised() {
    let machine = Machine::up();
    let (code, _) = check(&machine, &json!([machine.entry("0", "old", false)]));
    assert_eq!(code, Some(2));
}

#[test]
fn an_entry_at_which_tboot_would_halt_is_no_unlock() {
    let machine = Machine::up();
    let mut entry = machine.entry("0", "old", true);
    entry["prediction"]["halts"] = json!(true);
    let (code, answer) = check(&machine, &json!([entry]));
    assert_eq!(code, Some(1), "{answer}");
}

#[test]
fn a_record_that_the_raised_counter_retired_is_told_and_does_not_open() {
    let mut machine = Machine::enrolled(&["--rollback-counter"]);
    let menu = json!([machine.entry("0", "old", true)]);
    assert_eq!(check(&machine, &menu).0, Some(0));
    let mut tpm = Tpm2::open(&machine.swtpm.tcti()).unwrap();
    tpm.rollback_counter_raise(agent::unlock::ROLLBACK_COUNTER, b"")
        .unwrap();
    drop(tpm);
    let (code, answer) = check(&machine, &menu);
    assert_eq!(code, Some(1), "{answer}");
    let why = answer["entries"][0]["why"].as_str().unwrap();
    assert!(why.contains("retired"), "{why}");
    machine.reboot("old");
    assert!(!machine.opens());
}

#[test]
fn new_records_of_a_volume_with_limits_have_limits() {
    let machine = Machine::enrolled(&["--rollback-counter"]);
    machine.serve(nix::unistd::getuid().as_raw());
    let menu = json!([machine.entry("0", "new", true)]);
    assert!(machine.reseal(&menu, &[]).status.success());
    let records = agent::unlock::find_records(&machine.volume.header());
    let limits: Vec<_> = records
        .iter()
        .map(|(_, record)| record.as_ref().unwrap().counter().map(|c| c.limit))
        .collect();
    assert!(limits[0].is_some() && limits[0] == limits[1], "{limits:?}");
}

#[test]
fn another_tpm_is_told() {
    let machine = Machine::enrolled(&[]);
    let other = crate::enroll_support::launched("old", "initramfs");
    let menu = json!([machine.entry("0", "old", true)]);
    let file = machine.boot.join("menu.json");
    std::fs::write(&file, menu.to_string()).unwrap();
    let output = crate::enroll_support::taoboot(
        "check-next-boot",
        &machine.volume,
        &[
            "--predictions",
            file.to_str().unwrap(),
            "--tcti",
            &other.tcti(),
        ],
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains("another TPM"), "{output:?}");
}

#[test]
fn status_shows_the_same_in_one_screen() {
    let machine = Machine::up();
    let menu = json!([
        machine.entry("0", "old", true),
        machine.entry("1", "new", false)
    ]);
    let text = said(&machine.run("status", &menu, &[]));
    assert!(
        text.contains("* 0: Linux old: will unlock (record 0)"),
        "{text}"
    );
    assert!(text.contains("  1: Linux new: WILL ASK"), "{text}");
    assert!(text.lines().count() < 24, "{text}");
}

#[test]
fn predictions_that_are_none_are_refused_in_a_sentence() {
    let machine = Machine::up();
    for menu in [
        json!({}),
        json!([{}]),
        json!([{ "entry": "x" }]),
        json!([{ "entry": "x", "prediction": {} }]),
        json!([{ "entry": "x", "prediction": { "pcrs": { "sha256": { "99": "00" } } } }]),
    ] {
        let output = machine.run("check-next-boot", &menu, &[]);
        let sentence = crate::enroll_support::refusal(&output);
        assert!(sentence.len() > 20, "{sentence}");
    }
}

#[test]
fn files_that_are_not_the_known_ones_are_named_and_are_a_reason() {
    let machine = Machine::up();
    let menu = json!([
        machine.entry("0", "old", true),
        machine.entry_as_it_lies_there("1", "planted", false)
    ]);
    let (code, answer) = check(&machine, &menu);
    assert_eq!(code, Some(0), "{answer}");
    assert_eq!(answer["entries"][0]["unknown_files"], json!([]));
    let unknown = answer["entries"][1]["unknown_files"][0].as_str().unwrap();
    assert!(
        unknown.contains("/boot/vmlinuz-planted is not known"),
        "{answer}"
    );
    let why = answer["entries"][1]["why"].as_str().unwrap();
    assert!(why.contains("vmlinuz-planted is not known"), "{why}");
}
