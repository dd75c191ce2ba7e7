//! The PIN and the resident agent: what it seals for the next launch asks for the same PIN, and the PIN can
//! be changed while the machine runs.

use std::{fs, process::Output};

use serde_json::json;

use crate::{
    enroll_pin::{PIN, pin_file, with_pin},
    enroll_support::{PASSPHRASE, piped, refusal},
    reseal::common::{Machine, said},
};

pub const OTHER: &str = "battery staple";

/// Of the launch with kernel "old" and the PIN.
pub fn enrolled() -> Machine {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pin");
    fs::write(&file, PIN).unwrap();
    Machine::enrolled(&["--pin-file", file.to_str().unwrap()])
}

/// Booted with kernel "old" and the PIN.
fn up() -> Machine {
    let machine = enrolled();
    let secret = with_pin(&machine.volume, &machine.swtpm, &[PIN]).unwrap();
    machine.serve_with(secret, nix::unistd::getuid().as_raw());
    machine
}

fn pin(machine: &Machine, verb: &[&str], input: &str) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_taoboot"));
    command.arg("pin").args(verb);
    command.arg("--socket").arg(&machine.socket);
    piped(&mut command, input)
}

/// From one to the other, by files.
pub fn change(machine: &Machine, from: &[&str], to: &str) -> Output {
    let new = machine.root.join("new-pin");
    fs::write(&new, to).unwrap();
    let volume = machine.volume.image.to_str().unwrap();
    let words = [
        "change",
        "--volume",
        volume,
        "--new-pin-file",
        new.to_str().unwrap(),
    ];
    pin(machine, &[&words[..], from].concat(), PASSPHRASE)
}

fn opens(machine: &Machine, pin: &str) -> bool {
    with_pin(&machine.volume, &machine.swtpm, &[pin]).is_ok()
}

#[test]
fn a_new_kernel_asks_for_the_pin_that_was_typed_at_boot() {
    let mut machine = up();
    let id = with_pin(&machine.volume, &machine.swtpm, &[PIN])
        .unwrap()
        .id();
    let menu = json!([
        machine.entry("1", "new", true),
        machine.entry("2", "old", false)
    ]);
    let output = machine.reseal(&menu, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    machine.reboot("new");
    assert!(!opens(&machine, OTHER));
    let secret = with_pin(&machine.volume, &machine.swtpm, &[PIN]).unwrap();
    assert_eq!(secret.id(), id, "the Tao host keeps its keys");
    let output = machine.run(
        "check-next-boot",
        &menu,
        &["--root", machine.root.to_str().unwrap()],
    );
    assert!(
        said(&output).contains("will ask for the PIN, then unlock"),
        "{output:?}"
    );
    // Images that require none do not use the record, and it is said.
    let config = machine.root.join("etc/taoboot");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("image.toml"), "on_failure = \"prompt\"\n").unwrap();
    let output = machine.run(
        "check-next-boot",
        &menu,
        &["--root", machine.root.to_str().unwrap()],
    );
    let text = said(&output);
    assert!(text.contains("it asks for a PIN, and"), "{text}");
    assert!(!text.contains("will ask for the PIN"), "{text}");
}

/// A genuine record from before the PIN, put back into the header, is the newest there and the pattern.
#[test]
fn a_record_from_before_the_pin_leads_to_none_without() {
    let mut machine = Machine::enrolled(&[]);
    let before = machine.volume.record().record().to_token().unwrap();
    let file = pin_file(&machine.volume, PIN);
    let tcti = machine.swtpm.tcti();
    let words = [
        "--current",
        "--tcti",
        &tcti,
        "--no-recovery-key",
        "--new-host-secret",
    ];
    let words = [&words[..], &["--pin-file", &file]].concat();
    let output = crate::enroll_support::taoboot("enroll", &machine.volume, &words);
    assert!(output.status.success(), "{output:?}");
    let secret = with_pin(&machine.volume, &machine.swtpm, &[PIN]).unwrap();
    machine.serve_with(secret, nix::unistd::getuid().as_raw());
    machine
        .volume
        .replace_token(agent::unlock::TokenId(0), &before);
    let menu = json!([machine.entry("1", "new", true)]);
    let output = machine.reseal(&menu, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    machine.reboot("new");
    assert!(!machine.opens(), "the new record asks for the PIN");
    assert!(opens(&machine, PIN));
}

#[test]
fn the_pin_is_changed_in_all_records_with_the_old_one_and_the_agent_goes_on_with_the_new_one() {
    let mut machine = up();
    let menu = json!([machine.entry("1", "second", true)]);
    assert!(machine.reseal(&menu, &[]).status.success());
    let keyslots = machine.keyslots();
    let old = pin_file(&machine.volume, PIN);
    let output = change(&machine, &["--pin-file", &old], OTHER);
    assert!(
        output.status.success() && said(&output).contains("records 2, 3"),
        "{output:?}"
    );
    assert!(said(&output).contains("`taoboot retire`"), "{output:?}");
    assert_eq!(machine.keyslots(), keyslots);
    let menu = json!([machine.entry("1", "third", true)]);
    assert!(machine.reseal(&menu, &[]).status.success());
    for kernel in ["old", "second", "third"] {
        machine.reboot(kernel);
        assert!(opens(&machine, OTHER), "{kernel}");
    }
    assert!(!opens(&machine, PIN));
    // The one that was typed at boot is the present one no more.
    assert!(refusal(&change(&machine, &["--pin-file", &old], PIN)).contains("is wrong"));
    let new = pin_file(&machine.volume, OTHER);
    assert!(
        change(&machine, &["--pin-file", &new], PIN)
            .status
            .success()
    );
    assert!(opens(&machine, PIN));
}

#[test]
fn without_the_old_pin_a_passphrase_does_and_guesses_come_to_an_end() {
    let machine = up();
    let guess = pin_file(&machine.volume, "wrong horse");
    for _ in 0..5 {
        let sentence = refusal(&change(&machine, &["--pin-file", &guess], OTHER));
        assert!(sentence.contains("the present PIN is wrong"), "{sentence}");
    }
    let right = pin_file(&machine.volume, PIN);
    let sentence = refusal(&change(&machine, &["--pin-file", &right], OTHER));
    assert!(sentence.contains("5 wrong PINs"), "{sentence}");
    assert!(opens(&machine, PIN));
    let output = change(&machine, &["--recovery-key"], OTHER);
    assert!(output.status.success(), "{output:?}");
    assert!(opens(&machine, OTHER));
    for (pin, words) in [("", "has 0"), ("9".repeat(300).as_str(), "has 300")] {
        let sentence = refusal(&change(&machine, &["--recovery-key"], pin));
        assert!(sentence.contains(words), "{sentence}");
    }
    assert!(opens(&machine, OTHER));
}

#[test]
fn the_first_pin_is_for_launches_to_come_and_the_present_record_stays() {
    let mut machine = Machine::up();
    let id = machine.secret_id();
    let none = pin_file(&machine.volume, PIN);
    let sentence = refusal(&change(&machine, &["--pin-file", &none], OTHER));
    assert!(
        sentence.contains("pin set") || sentence.contains("enroll --pin"),
        "{sentence}"
    );
    let set = ["set", "--new-pin-file", &none];
    assert!(pin(&machine, &set, "").status.success());
    let sentence = refusal(&pin(&machine, &set, ""));
    assert!(sentence.contains("there is a PIN already"), "{sentence}");
    let menu = json!([machine.entry("1", "new", true)]);
    assert!(machine.reseal(&menu, &[]).status.success());
    assert!(machine.opens());
    machine.reboot("new");
    assert!(!machine.opens());
    assert_eq!(
        with_pin(&machine.volume, &machine.swtpm, &[PIN])
            .unwrap()
            .id(),
        id
    );
}

#[test]
fn with_a_passphrase_a_record_asks_for_a_pin_as_the_others_do() {
    let mut machine = up();
    let passphrase = machine.root.join("passphrase");
    fs::write(&passphrase, PASSPHRASE).unwrap();
    let by = [
        "--passphrase-file",
        passphrase.to_str().unwrap(),
        "--new-host-secret",
    ];
    let menu = json!([machine.entry("1", "new", true)]);
    let output = machine.reseal(&menu, &by);
    assert!(said(&output).contains("ask for a PIN"), "{output:?}");
    let file = pin_file(&machine.volume, OTHER);
    let sentence = refusal(&machine.reseal(&menu, &["--pin-file", &file]));
    assert!(
        sentence.contains("the resident agent takes the PIN"),
        "{sentence}"
    );
    let output = machine.reseal(&menu, &[&by[..], &["--pin-file", &file]].concat());
    assert!(output.status.success(), "{output:?}");
    machine.reboot("new");
    assert!(opens(&machine, OTHER));
}

/// The pattern asks for a PIN, and the agent knows none.
#[test]
fn an_agent_without_a_pin_makes_no_record_after_one_that_has_one() {
    let machine = Machine::up();
    let tcti = machine.swtpm.tcti();
    let file = pin_file(&machine.volume, PIN);
    let words = [
        "--current",
        "--tcti",
        &tcti,
        "--no-recovery-key",
        "--new-host-secret",
    ];
    let words = [&words[..], &["--pin-file", &file]].concat();
    let output = crate::enroll_support::taoboot("enroll", &machine.volume, &words);
    assert!(output.status.success(), "{output:?}");
    let menu = json!([machine.entry("1", "new", true)]);
    let output = machine.reseal(&menu, &[]);
    assert!(
        said(&output).contains("none was typed in this boot"),
        "{output:?}"
    );
    assert_eq!(output.status.code(), Some(1));
}
