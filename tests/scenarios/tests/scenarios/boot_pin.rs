//! `[unlock] require = "tpm+pin"`: the TPM asks for a PIN beside the launch, and counts the wrong ones.

use std::time::Duration;

use agent::boot::report;
use harness::machine::{Ending, Machine, Outcome};
use harness::swtpm::HostTpm;
use harness::tpm_log;
use harness::world::{PASSPHRASE, Plan, Userland, World};
use tao::attestation::Opened;
use tpm::{Lockout, Tpm as _, Tpm2};

use crate::common::assert_latched;

const PIN: &str = "correct horse";
const PATIENCE: Duration = Duration::from_secs(120);
/// TPM_RC_AUTH_FAIL of the first session, TPM_RC_LOCKOUT, and TPM_RC_RETRY: the first use of a value after a start
/// has the TPM write to its memory, and is repeated.
const AUTH_FAIL: u32 = 0x98e;
const LOCKOUT: u32 = 0x921;
const RETRY: u32 = 0x922;

/// A machine whose image requires the PIN, and whose record is sealed with it.
fn world() -> World {
    let mut plan = Plan::new(Userland::Small);
    plan.config = "[unlock]\nrequire = \"tpm+pin\"\n".into();
    plan.unenrolled = true;
    let mut world = World::make("pin", &plan).unwrap();
    let file = world.directory.join("pin");
    std::fs::write(&file, PIN).unwrap();
    world
        .enroll_files(&["--pin-file", file.to_str().unwrap()])
        .unwrap();
    assert_eq!(world.enrolled["pin"], true);
    world
}

/// Boots, and types each of these at its question.
fn typed(machine: Machine, answers: &[(&str, &str)]) -> Outcome {
    let mut running = machine.start().unwrap();
    for (question, answer) in answers {
        running.console.wait_for(question, PATIENCE).unwrap();
        running.console.type_line(answer).unwrap();
    }
    running.wait().unwrap()
}

/// What came of each TPM2_Unseal.
fn unseals(outcome: &Outcome) -> Vec<u32> {
    let commands = tpm_log::read(&outcome.tpm_log).unwrap();
    commands
        .iter()
        .filter(|command| command.code == tpm_log::TPM2_UNSEAL)
        .map(|command| command.result)
        .filter(|result| *result != RETRY)
        .collect()
}

fn lockout(world: &World) -> Lockout {
    let host_tpm = HostTpm::start(&world.tpm).unwrap();
    let lockout = Tpm2::open(&host_tpm.tcti()).unwrap().lockout().unwrap();
    host_tpm.stop().unwrap();
    lockout
}

#[test]
fn a_wrong_pin_counts_the_right_one_boots_and_when_the_tpm_is_locked_a_passphrase_opens() {
    let world = world();
    let machine = world.direct(Some(world.launch.clone()), "");
    let outcome = typed(
        machine,
        &[("(1 of 3): ", "wrong horse"), ("(2 of 3): ", PIN)],
    );
    let boot = outcome.boot_report().unwrap();
    assert_eq!(boot.outcome, report::Outcome::Booted, "{boot:#?}");
    assert_eq!(boot.unlocked_by, Some(Opened::Tpm));
    assert_latched(&outcome, &boot);
    assert_eq!(outcome.ending, Ending::PowerOff);
    assert_eq!(unseals(&outcome), [AUTH_FAIL, 0]);
    assert!(
        outcome
            .console
            .contains("has counted 1, and locks itself at 3")
    );
    for secret in [PIN, "wrong horse"] {
        assert!(!outcome.console.contains(secret), "no echo");
    }
    // Linux told the TPM that it goes off, so that only the wrong one is counted.
    assert_eq!(lockout(&world).failed, 1);

    // Two more, and the third is not even looked at; a person has a passphrase still.
    let words = "taoboot.on_failure=prompt";
    let machine = world.direct(Some(world.launch.clone()), words);
    let outcome = typed(
        machine,
        &[
            ("PIN for UUID=", "wrong 1"),
            ("(2 of 3): ", "wrong 2"),
            ("(3 of 3): ", PIN),
            ("Passphrase or recovery key for", PASSPHRASE),
        ],
    );
    let reports = outcome.boot_reports().unwrap();
    let [asked, booted] = reports.as_slice() else {
        panic!("expected the reports of the question and of the boot: {reports:#?}");
    };
    let reason = asked.reason.as_deref().unwrap();
    assert!(reason.contains("3 of 3 are counted"), "{reason}");
    assert!(reason.contains("16 min 40 s"), "{reason}");
    // Before anybody was asked for a passphrase.
    assert_latched(&outcome, asked);
    assert_eq!(unseals(&outcome), [AUTH_FAIL, AUTH_FAIL, LOCKOUT]);
    assert_eq!(outcome.secrets_released().unwrap(), 0);
    assert_eq!(booted.unlocked_by, Some(Opened::Passphrase));
    assert!(lockout(&world).locked);
}
