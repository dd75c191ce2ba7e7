//! What the boot scenarios share: how a refusal looks.

use agent::boot::{
    phase::Phase,
    report::{self, Report},
};
use agent::config::OnFailure;
use harness::machine::{Ending, Outcome};
use harness::tpm_log;
use harness::world::{Plan, Userland, World};

/// A machine with the small userland: enough for whoever should not get that far.
pub fn small(name: &str) -> World {
    World::make(name, &Plan::new(Userland::Small)).unwrap()
}

/// The agent's report of a boot that stopped in `phase` with a sentence that holds `words`:
/// no key left the TPM, nothing was opened, no userland ran, and the machine restarted.
pub fn assert_refused(outcome: &Outcome, phase: Phase, words: &[&str]) -> Report {
    assert_eq!(outcome.secrets_released().unwrap(), 0);
    let report = assert_stopped(outcome, phase, words);
    assert_eq!(report.action, Some(OnFailure::Reboot));
    assert_eq!(outcome.ending, Ending::Reset);
    report
}

/// The same without a word on how the machine ended, or what the TPM released before.
pub fn assert_stopped(outcome: &Outcome, phase: Phase, words: &[&str]) -> Report {
    let report = assert_stopped_open(outcome, phase, words);
    assert_eq!(report.unlocked_by, None, "{report:#?}");
    report
}

/// A boot that stopped after the volume was opened: no userland ran.
pub fn assert_stopped_open(outcome: &Outcome, phase: Phase, words: &[&str]) -> Report {
    let report = outcome.boot_report().unwrap();
    assert_eq!(report.outcome, report::Outcome::Failed, "{report:#?}");
    assert_eq!(report.phase, Some(phase), "{report:#?}");
    let reason = report.reason.as_deref().unwrap();
    for word in words {
        assert!(reason.contains(word), "{word:?} is not in {reason:?}");
    }
    assert!(!reason.contains('\n'), "one sentence: {reason:?}");
    for userland in ["small", "probe"] {
        assert!(outcome.reports_of(userland).is_empty(), "{userland} ran");
    }
    // Whoever stands before the machine reads it too, `quiet` or not.
    let shown = format!("boot stopped in phase {phase}");
    assert!(
        outcome.console.contains(&shown),
        "{}",
        outcome.console_end()
    );
    report
}

/// The latch was closed with the TPM, not only in the report.
pub fn assert_latched(outcome: &Outcome, report: &Report) {
    assert!(report.latched, "{report:#?}");
    let commands = tpm_log::read(&outcome.tpm_log).unwrap();
    assert!(
        tpm_log::closes_latch(&commands),
        "Linux did not extend PCR 15, or a secret was released afterwards: {commands:#x?}"
    );
}
