//! The failure policy `prompt`: a person may open the disk, the TPM stays closed.

use std::time::Duration;

use crate::common::{assert_latched, assert_stopped};
use agent::boot::{
    phase::Phase,
    report::{Outcome, Report},
};
use agent::config::OnFailure;
use harness::machine::Ending;
use harness::{
    workplace::workspace_root,
    world::{PASSPHRASE, Plan, Userland, World},
};
use serde::Deserialize;
use tao::attestation::Opened;

const QUESTION: &str = "Passphrase or recovery key for";
const PATIENCE: Duration = Duration::from_secs(120);

fn world(name: &str) -> World {
    let plan = Plan::new(Userland::Small).cmdline("taoboot.on_failure=prompt");
    World::make(name, &plan).unwrap()
}

#[test]
fn a_passphrase_opens_the_disk_with_the_latch_closed_and_without_a_tao_host() {
    let world = world("prompt");
    let mut running = world.machine(None).unwrap().start().unwrap();
    let question = |number: u8| {
        format!(
            "{QUESTION} {} ({number} of 3): ",
            harness::world::VOLUME_UUID
        )
    };
    running.console.wait_for(&question(1), PATIENCE).unwrap();
    // Sent before the question: what stood in the report then is what the latch was then.
    running
        .report
        .wait_for("\"action\":\"prompt\"", PATIENCE)
        .unwrap();
    running.console.type_line("not the passphrase").unwrap();
    running.console.wait_for(&question(2), PATIENCE).unwrap();
    running.console.type_line(PASSPHRASE).unwrap();
    let outcome = running.wait().unwrap();

    let reports = outcome.boot_reports().unwrap();
    let [asked, booted] = reports.as_slice() else {
        panic!("expected the report of the question and of the boot: {reports:#?}");
    };
    assert_eq!(asked.action, Some(OnFailure::Prompt));
    assert!(
        asked
            .reason
            .as_deref()
            .unwrap()
            .contains("not a measured launch")
    );
    assert_latched(&outcome, asked);
    assert_eq!(booted.outcome, Outcome::Booted);
    assert_eq!(booted.unlocked_by, Some(Opened::Passphrase));
    assert!(
        booted.phases.iter().all(|phase| phase.name != Phase::Host),
        "{booted:#?}"
    );
    let kept = Report::deserialize(&outcome.report_of("small").unwrap()["boot"]).unwrap();
    assert_eq!(kept.unlocked_by, Some(Opened::Passphrase));
    assert_eq!(outcome.ending, Ending::PowerOff);
    assert_eq!(outcome.secrets_released().unwrap(), 0);
    assert!(outcome.console.contains("the TPM's latch is closed"));
    // What to do stands below the reason, above the question.
    let asked = outcome.console.split("(1 of 3): ").next().unwrap();
    let next = asked.find("if no entry with tboot was chosen, restart and choose one");
    assert!(asked.find("not a measured launch") < next, "{asked}");
    // No echo: what was typed is nowhere on the console.
    assert!(!outcome.console.contains(PASSPHRASE));
    assert!(!outcome.console.contains("not the passphrase"));
}

/// The letters are where they are on a German keyboard: what its y is, is an American z.
#[test]
fn the_screen_has_the_keymap_of_the_image_when_it_asks() {
    let world = world("prompt-keymap");
    let german = workspace_root().join("storage/tests/vectors/keymap/de-nodeadkeys");
    world
        .add_to_image(&[("etc/taoboot.keymap", &german)])
        .unwrap();
    let mut running = world.direct(None, "console=tty0").start().unwrap();
    let pressed = PASSPHRASE.replace('y', "z");
    assert_ne!(pressed, PASSPHRASE);
    running.console.wait_for("(1 of 3): ", PATIENCE).unwrap();
    running.press(&format!("{pressed}\n")).unwrap();
    // A busy host may lose a key; with the wrong keymap it is wrong each time. Without another question the
    // machine has gone on.
    for number in 2..=3 {
        let question = format!("({number} of 3): ");
        if running.console.wait_for(&question, PATIENCE).is_err() {
            break;
        }
        running.press(&format!("{pressed}\n")).unwrap();
    }
    let outcome = running.wait().unwrap();
    let booted = outcome.boot_reports().unwrap().pop().unwrap();
    assert_eq!(booted.unlocked_by, Some(Opened::Passphrase), "{booted:#?}");
    assert_eq!(outcome.ending, Ending::PowerOff);
    assert!(!outcome.console.contains("the keys mean"));
}

#[test]
fn three_wrong_passphrases_end_in_a_reboot() {
    let world = world("prompt-wrong");
    // No keymap: that is said, and the question stands all the same.
    let no_keymap = world.directory.join("taoboot.toml");
    world
        .add_to_image(&[("etc/taoboot.keymap", &no_keymap)])
        .unwrap();
    let mut running = world.direct(None, "").start().unwrap();
    for number in 1..=3 {
        let question = format!("({number} of 3): ");
        running.console.wait_for(&question, PATIENCE).unwrap();
        running.console.type_line("not the passphrase").unwrap();
    }
    let mut outcome = running.wait().unwrap();
    assert_eq!(outcome.ending, Ending::Reset);
    let said = "it is not a binary keymap: it does not begin with";
    assert!(outcome.console.contains(said), "{}", outcome.console);
    // The first report is that of the question.
    let asked = outcome.boot_reports().unwrap().remove(0);
    assert_eq!(asked.action, Some(OnFailure::Prompt));
    outcome.reports.remove(0);
    let report = assert_stopped(&outcome, Phase::Prompt, &["3 wrong passphrases"]);
    assert_latched(&outcome, &report);
}
