//! Records that make room for new ones, and records that do not count.

use serde_json::{Value, json};

use crate::reseal::common::{Machine, said};

#[test]
fn a_forged_newest_record_is_no_pattern_and_blocks_nothing() {
    let mut machine = Machine::up();
    let id = machine.secret_id();
    let menu = json!([machine.entry("1", "new", true)]);
    assert!(machine.reseal(&menu, &[]).status.success());
    let mut forged = machine.volume.token(agent::unlock::TokenId(1));
    forged["label"] = json!("changed");
    forged["created"] = json!(4_000_000_000u64);
    machine
        .volume
        .replace_token(agent::unlock::TokenId(1), &forged);
    let output = machine.reseal(&menu, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(said(&output).contains("sealed, record 2"), "{output:?}");
    machine.reboot("new");
    assert_eq!(machine.secret_id(), id);
}

#[test]
fn what_a_failed_run_sealed_for_is_taken_back() {
    let mut machine = Machine::up();
    let menu = json!([machine.entry("1", "new", true)]);
    assert!(machine.reseal(&menu, &["--pending"]).status.success());
    assert_eq!(machine.volume.header().metadata().tokens.len(), 2);
    // The menu that stayed in place has the old kernel only.
    let stayed = json!([machine.entry("1", "old", true)]);
    for _ in 0..2 {
        let output = machine.reseal(&stayed, &["--take-back"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(machine.volume.header().metadata().tokens.len(), 1);
    }
    assert!(machine.opens());
    machine.reboot("new");
    assert!(!machine.opens());
    machine.reboot("old");
    // What was put into place before the run was killed is kept, and so is what others made.
    assert!(machine.reseal(&menu, &["--pending"]).status.success());
    let other = json!([machine.entry("1", "other", true)]);
    assert!(machine.reseal(&other, &[]).status.success());
    assert!(machine.reseal(&menu, &["--take-back"]).status.success());
    assert_eq!(machine.volume.header().metadata().tokens.len(), 3);
}

#[test]
fn stale_records_are_pruned_but_never_the_running_or_a_bootable_one() {
    let mut machine = Machine::up();
    for kernel in ["a", "b", "c"] {
        let menu = json!([machine.entry("1", kernel, true)]);
        assert!(machine.reseal(&menu, &[]).status.success());
    }
    // "old" runs, "c" is in the menu; of "a" and "b" one is kept.
    let menu = json!([machine.entry("1", "c", true)]);
    let output = machine.reseal(&menu, &["--keep", "1", "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["pruned"].as_array().unwrap().len(), 1, "{answer}");
    for (kernel, opens) in [("c", true), ("old", true)] {
        machine.reboot(kernel);
        assert_eq!(machine.opens(), opens, "{kernel}");
    }
    let output = machine.reseal(&menu, &["--keep", "0"]);
    assert!(output.status.success(), "{output:?}");
    for (kernel, opens) in [("a", false), ("b", false), ("c", true), ("old", true)] {
        machine.reboot(kernel);
        assert_eq!(machine.opens(), opens, "{kernel}");
    }
}

#[test]
fn a_full_header_is_pruned_before_sealing_and_what_fits_is_said() {
    let machine = Machine::up();
    // Far more than fit, of which the menu has one at a time: each gets its record.
    for number in 0..12 {
        let menu = json!([machine.entry("1", &format!("kernel {number}"), true)]);
        let output = machine.reseal(&menu, &[]);
        assert!(output.status.success(), "{output:?}");
    }
    // Two tboots with six kernels: the default entry comes first, and what fits is said.
    let mut menu: Vec<Value> = (0..12)
        .map(|n| machine.entry("1", &format!("other {n}"), n == 11))
        .collect();
    let output = machine.reseal(&json!(menu), &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let entries = answer["entries"].as_array().unwrap();
    let with_record = entries.iter().filter(|e| !e["record"].is_null()).count();
    assert_eq!(entries[0]["id"], "taoboot-other 11");
    assert_eq!(entries[0]["result"], "sealed");
    assert!(with_record >= 5, "{answer}");
    let why = entries.last().unwrap()["why"].as_str().unwrap();
    // One is the running launch's.
    let said = format!(
        "has room for {} records and all are needed",
        with_record + 1
    );
    assert!(why.contains(&said) && why.contains("12 launches"), "{why}");
    // A smaller menu fits.
    menu.truncate(3);
    assert!(machine.reseal(&json!(menu), &[]).status.success());
    assert!(
        machine.opens(),
        "the running launch's record is never pruned"
    );
}

#[test]
fn nothing_is_pruned_while_an_entry_cannot_be_predicted() {
    let machine = Machine::up();
    let menu = json!([machine.entry("1", "a", true)]);
    assert!(machine.reseal(&menu, &[]).status.success());
    let unknown = json!([
        machine.entry("1", "b", true),
        { "entry": "2: x", "title": "x", "id": "taoboot-x", "script": "/etc/grub.d/20_linux_taoboot", "default": false, "tboot": true, "error": "the file is missing", "files": [] },
    ]);
    let output = machine.reseal(&unknown, &["--keep", "0"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = said(&output);
    assert!(text.contains("no record is removed"), "{text}");
    assert!(text.contains("the file is missing"), "{text}");
    assert_eq!(machine.volume.header().metadata().tokens.len(), 3);
}
