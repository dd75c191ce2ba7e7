//! Machines on which Linux finds no TPM: a TPM that is hidden is none that is absent, and without
//! one only a measured word opens the way to a passphrase.

use std::time::Duration;

use crate::common::assert_stopped;
use agent::boot::{phase::Phase, report::Outcome};
use harness::machine::{Ending, Machine};
use harness::world::{PASSPHRASE, Plan, Userland, World};
use tao::attestation::Opened;

const QUESTION: &str = "Passphrase or recovery key for";
const PATIENCE: Duration = Duration::from_secs(120);
/// Everything that an owner may allow; the machine waits two seconds for a TPM.
const ALLOWED: &str = "taoboot.on_failure=prompt taoboot.no_tpm=prompt taoboot.device_timeout=2";

fn world(name: &str, words: &str) -> World {
    World::make(name, &Plan::new(Userland::Small).cmdline(words)).unwrap()
}

/// Nobody was asked for anything, nothing was opened, and the sentence holds `words`.
fn assert_not_asked(machine: Machine, words: &[&str]) {
    let outcome = machine.run().unwrap();
    let report = assert_stopped(&outcome, Phase::Tpm, words);
    assert!(!report.latched);
    assert!(
        !outcome.console.contains(QUESTION),
        "a passphrase was asked for"
    );
    assert!(!outcome.console.contains("latch is closed"));
    assert_eq!(outcome.ending, Ending::Reset);
}

#[test]
fn a_tpm_that_grub_hides_from_linux_is_found_by_its_registers() {
    let world = world("tpm-hidden", ALLOWED);
    let machine = world
        .machine_with_grub_lines("acpi --exclude=TPM2\n", Some(world.launch.clone()))
        .unwrap();
    let words = ["there is a TPM", "0xfed40", "acpi", "nothing is opened"];
    assert_not_asked(machine, &words);
}

#[test]
fn a_tpm_whose_driver_is_blocked_is_found_by_its_registers() {
    let world = world("tpm-blocked", ALLOWED);
    let machine = world.direct(Some(world.launch.clone()), "initcall_blacklist=init_tis");
    let words = ["there is a TPM", "0xfed40", "nothing is opened"];
    assert_not_asked(machine, &words);
}

#[test]
fn without_a_tpm_the_failure_policy_alone_asks_for_nothing() {
    let words = "taoboot.on_failure=prompt taoboot.device_timeout=2";
    let world = world("no-tpm-no-word", words);
    let machine = world.direct(None, "").without_tpm();
    let words = ["no TPM", "firmware set-up", "taoboot.no_tpm=prompt"];
    assert_not_asked(machine, &words);
}

#[test]
fn without_a_tpm_the_measured_word_opens_by_passphrase_and_the_prompt_says_so() {
    let world = world("no-tpm-word", ALLOWED);
    let machine = world.direct(None, "").without_tpm();
    let mut running = machine.start().unwrap();
    running.console.wait_for(QUESTION, PATIENCE).unwrap();
    running.console.type_line(PASSPHRASE).unwrap();
    let outcome = running.wait().unwrap();
    assert!(outcome.console.contains("taoboot: there is no TPM"));
    assert!(!outcome.console.contains("latch is closed"));
    let reports = outcome.boot_reports().unwrap();
    let booted = reports.last().unwrap();
    assert_eq!(booted.outcome, Outcome::Booted, "{booted:#?}");
    assert_eq!(booted.unlocked_by, Some(Opened::Passphrase));
    assert!(!booted.latched);
    assert_eq!(outcome.ending, Ending::PowerOff);
}
