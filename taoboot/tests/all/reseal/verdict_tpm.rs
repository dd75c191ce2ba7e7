//! What this TPM will do with the next boot's record: another TPM, a cleared one, a counter that was raised.

use serde_json::json;
use tpm::Tpm2;

use crate::reseal::{
    common::{Machine, said},
    verdict::check,
};

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
    assert_eq!(code, Some(1), "{answer:#?}");
    let why = &answer.entries[0].why;
    assert!(why.contains("retired"), "{why}");
    machine.reboot("old");
    assert!(!machine.opens());
}

/// That the running launch has booted well, as `taoboot booted` notes it.
fn note_booted(machine: &Machine, kernel: &str) {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let values = crate::reseal::common::pcrs(kernel);
    let pcrs = [17, 18, 19].map(|pcr| json!([pcr, values[pcr.to_string()]]));
    let note = json!({ "boot_id": boot_id.trim(), "time": 1, "pcrs": pcrs });
    std::fs::write(
        machine.root.join("var/lib/taoboot/booted.json"),
        note.to_string(),
    )
    .unwrap();
}

#[test]
fn a_forged_record_does_not_keep_the_running_launch_from_outliving_a_raise() {
    let mut machine = Machine::enrolled(&["--rollback-counter"]);
    machine.serve(nix::unistd::getuid().as_raw());
    note_booted(&machine, "old");
    let menu = json!([machine.entry("0", "old", true)]);
    // It says that it is for the running launch, and for long.
    let mut forged = machine.volume.token(agent::unlock::TokenId(0));
    let limit = forged["counter"]["limit"].as_u64().unwrap();
    forged["counter"]["limit"] = json!(limit + 1000);
    machine.volume.add_token(agent::unlock::TokenId(7), &forged);
    let root = machine.root.to_str().unwrap();
    let options = ["--socket", machine.socket.to_str().unwrap(), "--root", root];
    let output = machine.run("retire", &menu, &options);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    machine.reboot("old");
    assert!(machine.opens(), "{output:?}");
}

#[test]
fn a_forged_record_with_a_limit_makes_no_counter() {
    let machine = Machine::up();
    let mut forged = machine.volume.token(agent::unlock::TokenId(0));
    let index = agent::unlock::ROLLBACK_COUNTER;
    forged["counter"] = json!({ "index": index, "limit": 7 });
    machine.volume.add_token(agent::unlock::TokenId(7), &forged);
    let menu = json!([machine.entry("0", "new", true)]);
    let output = machine.reseal(&menu, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut tpm = Tpm2::open(&machine.swtpm.tcti()).unwrap();
    let counter = tpm.rollback_counter_value(index).unwrap();
    assert_eq!(counter, None, "{output:?}");
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

/// TPM2_Clear with the empty password of the lockout hierarchy.
fn clear(machine: &Machine) {
    let command = [
        &[0x80, 2, 0, 0, 0, 27, 0, 0, 1, 0x26, 0x40, 0, 0, 0x0a][..],
        &[0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0],
    ];
    let answer = machine.swtpm.command(&command.concat()).unwrap();
    assert_eq!(answer[6..10], [0; 4], "the TPM was not cleared");
}

#[test]
fn a_cleared_tpm_is_told_by_status_and_check_next_boot() {
    for persistent in [false, true] {
        let mut machine = Machine::enrolled(&[]);
        if persistent {
            Tpm2::open(&machine.swtpm.tcti())
                .unwrap()
                .persist_srk()
                .unwrap();
        }
        let menu = json!([machine.entry("0", "old", true)]);
        assert_eq!(machine.run("status", &menu, &[]).status.code(), Some(0));
        assert_eq!(check(&machine, &menu).0, Some(0));
        clear(&machine);
        let status = machine.run("status", &menu, &[]);
        assert_eq!(status.status.code(), Some(1), "{status:?}");
        let text = said(&status);
        assert!(
            text.contains("another TPM, or one that was cleared"),
            "{text}"
        );
        assert!(text.contains("this launch does not open"), "{text}");
        let (code, answer) = check(&machine, &menu);
        assert_eq!(code, Some(1), "{answer:#?}");
        machine.reboot("old");
        assert!(!machine.opens(), "what was said is what happens");
    }
}

#[test]
fn what_the_tpm_would_refuse_is_told_before_the_boot() {
    let machine = Machine::enrolled(&["--rollback-counter"]);
    let menu = json!([machine.entry("0", "old", true)]);
    let says = |words: &str| {
        let status = machine.run("status", &menu, &[]);
        let text = said(&status);
        assert_eq!(status.status.code(), Some(1), "{text}");
        assert!(text.contains(words), "{text}");
        let (code, answer) = check(&machine, &menu);
        assert_eq!(code, Some(1), "{answer:#?}");
        let why = &answer.entries[0].why;
        assert!(why.contains(words), "{why}");
    };
    // Another blob, well formed.
    let token = agent::unlock::TokenId(0);
    let original = machine.volume.token(token);
    let mut damaged = original.clone();
    let private = damaged["private"].as_str().unwrap();
    let middle = private.len() / 2;
    let other = if private.as_bytes()[middle] == b'A' {
        "B"
    } else {
        "A"
    };
    damaged["private"] = [&private[..middle], other, &private[middle + 1..]]
        .concat()
        .into();
    machine.volume.replace_token(token, &damaged);
    says("does not accept the sealed record");
    // Values that it is not sealed to.
    let mut damaged = original.clone();
    damaged["counter"]["limit"] = json!(1_u64 << 40);
    machine.volume.replace_token(token, &damaged);
    says("sealed to another policy than the record says");
    // The counter is gone.
    machine.volume.replace_token(token, &original);
    let counter = agent::unlock::ROLLBACK_COUNTER;
    let mut tpm = Tpm2::open(&machine.swtpm.tcti()).unwrap();
    tpm.nv_undefine(counter, b"").unwrap();
    drop(tpm);
    says("does not exist");
}
