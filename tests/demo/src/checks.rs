//! What is expected of the boots. The demo fails when one of these does.

use agent::boot::report::{Launch, Outcome};
use agent::config::OnFailure;
use serde::Serialize;
use serde_json::Value;
use tao::attestation::Opened;

use super::facts::{Agent, Boot, Check, Facts, Userland};

/// Collects checks.
#[derive(Default)]
struct Checks {
    done: Vec<Check>,
}

impl Checks {
    /// `found` is what a person wants to know when it failed.
    fn that(&mut self, name: &'static str, passed: bool, found: impl Into<String>) {
        let found = (!passed).then(|| found.into());
        self.done.push(Check {
            name,
            passed,
            found,
        });
    }
}

/// Looks at all of it. What was never reported counts as failed.
pub fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks = Checks::default();
    approved_boot(&mut checks, facts);
    booted_system(&mut checks, facts);
    refused_boot(&mut checks, facts);
    boot_again(&mut checks, facts);
    checks.done
}

/// A boot that did not report reads as an empty report, which fulfills none of the checks.
fn agent(boot: &Boot) -> Agent {
    boot.agent.clone().unwrap_or_default()
}

/// What was reported, as it is in the report.
fn word<T: Serialize>(reported: Option<T>) -> String {
    match serde_json::to_value(reported) {
        Ok(Value::String(word)) => word,
        _ => "no report of taoboot".to_owned(),
    }
}

fn approved_boot(checks: &mut Checks, facts: &Facts) {
    let agent = agent(&facts.boot);
    let why = agent.reason.clone().unwrap_or_else(|| word(agent.outcome));
    checks.that(
        "GRUB and tboot start the kernel",
        facts.boot.through_tboot,
        "no sign of tboot on the console",
    );
    checks.that(
        "taoboot sees a measured launch",
        agent.launch == Some(Launch::Measured),
        word(agent.launch),
    );
    let predicted = &facts.enrolment.predicted;
    let equal = !predicted.is_empty()
        && predicted
            .iter()
            .all(|(pcr, value)| agent.pcrs.get(pcr) == Some(value));
    checks.that(
        "PCR 17, 18 and 19 are as predicted",
        equal,
        format!("{:?}", agent.pcrs),
    );
    let by_tpm = agent.outcome == Some(Outcome::Booted) && agent.unlocked_by == Some(Opened::Tpm);
    checks.that(
        "the TPM's key opens the encrypted root, nobody types",
        by_tpm,
        why,
    );
    checks.that(
        "the TPM is latched: no key until the next reset",
        latched(&agent, &facts.boot),
        "PCR 15 is zero",
    );
    checks.that(
        "the boot has nothing to warn about",
        agent.warnings.is_empty(),
        agent.warnings.join("; "),
    );
}

/// By the agent's word, and by the register in the booted system.
fn latched(agent: &Agent, boot: &Boot) -> bool {
    let userland = boot.userland.as_ref();
    agent.latched
        && userland.is_some_and(|userland| userland.latch_pcr.bytes().any(|digit| digit != b'0'))
}

fn booted_system(checks: &mut Checks, facts: &Facts) {
    let nothing = Userland::default();
    let userland = facts.boot.userland.as_ref().unwrap_or(&nothing);
    let state = format!("{} {:?}", userland.systemd, userland.failed_units);
    let up = userland.multi_user == "active" && userland.systemd == "running";
    checks.that("Debian reaches multi-user, no unit failed", up, state);
    checks.that(
        "its root is the encrypted volume",
        userland.root == "/dev/mapper/root",
        userland.root.clone(),
    );
    let swap = !userland.swap.is_empty() && userland.ciphers.len() == 2 && !userland.swap_readable;
    let found = format!("{:?}, mappings {:?}", userland.swap, userland.ciphers);
    checks.that("swap is on, and encrypted", swap, found);
    let hosts = userland.tao_hosts.len();
    checks.that(
        "the Tao host lives on beside Debian",
        hosts == 1,
        format!("{hosts} such processes"),
    );
    let hosted = &userland.hosted;
    let error = hosted
        .error
        .clone()
        .unwrap_or_else(|| format!("{hosted:?}"));
    let name = hosted.name.clone().unwrap_or_default();
    let by_pcrs = facts
        .enrolment
        .predicted
        .values()
        .all(|value| name.contains(value.as_str()));
    let named = name.starts_with("tpm2(") && by_pcrs && !facts.enrolment.predicted.is_empty();
    let found = if name.is_empty() { error.clone() } else { name };
    checks.that(
        "a hosted program's name holds the TPM and the three PCRs",
        named,
        found,
    );
    checks.that(
        "it seals a secret, and its attestation verifies",
        hosted.sealed && hosted.attested,
        error,
    );
    attested_hello(checks, facts, userland);
    checks.that(
        "the machine switches off when told to",
        facts.boot.ending == "PowerOff",
        facts.boot.ending.clone(),
    );
}

/// Its client has verified name and quote; the name must be of this launch.
fn attested_hello(checks: &mut Checks, facts: &Facts, userland: &Userland) {
    let examples = &userland.examples;
    let predicted = facts.enrolment.predicted.values();
    let greeted = match examples.hello.as_slice() {
        [greeting, proof] => {
            let by_pcrs = predicted
                .clone()
                .all(|value| greeting.contains(value.as_str()));
            greeting.starts_with("hello from tpm2([") && by_pcrs && proof.contains("tpm2([")
        }
        _ => false,
    };
    checks.that(
        "a client believes the attested hello: name, quote and PCRs",
        greeted,
        format!("{examples:?}"),
    );
}

/// After the attack: the machine boots as before, and counts on.
fn boot_again(checks: &mut Checks, facts: &Facts) {
    let examples = |boot: &Boot| boot.userland.clone().unwrap_or_default().examples;
    let (first, again) = (examples(&facts.boot), examples(&facts.again));
    checks.that(
        "the approved machine boots again, and its sealed counter counts on",
        first.count == Some(1) && again.count == Some(2),
        format!("{first:?}, then {again:?}"),
    );
}

fn refused_boot(checks: &mut Checks, facts: &Facts) {
    let attack = &facts.attack;
    let agent = agent(&attack.boot);
    let reason = agent.reason.clone().unwrap_or_else(|| word(agent.outcome));
    let runs = attack.boot.through_tboot && agent.launch == Some(Launch::Measured);
    checks.that(
        "attack: the changed kernel runs, and is measured",
        runs,
        word(agent.launch),
    );
    let (seen, approved) = (agent.pcrs.get(&18), facts.enrolment.predicted.get(&18));
    let other = seen == Some(&attack.pcr_18) && seen != approved;
    checks.that("attack: PCR 18 is another", other, format!("{seen:?}"));
    let refused = agent.outcome == Some(Outcome::Failed)
        && agent.unlocked_by.is_none()
        && attack.boot.userland.is_none();
    checks.that(
        "attack: no key, nothing opened, no Debian",
        refused,
        reason.clone(),
    );
    let named = reason.contains("PCR 18") && reason.contains("kernel");
    checks.that("attack: the reason names the kernel", named, reason);
    checks.that(
        "attack: the TPM is latched all the same",
        agent.latched,
        "PCR 15 is zero",
    );
    let reboot = agent.action == Some(OnFailure::Reboot) && attack.boot.ending == "Reset";
    checks.that(
        "attack: the machine reboots, as its policy says",
        reboot,
        attack.boot.ending.clone(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_that_report_nothing_fail_every_check_that_needs_a_report() {
        let failed = checks(&Facts::default())
            .into_iter()
            .filter(|check| !check.passed)
            .count();
        // "Nothing to warn about" is all that an empty report has.
        assert_eq!(failed, checks(&Facts::default()).len() - 1);
    }

    #[test]
    fn a_boot_of_the_attacked_machine_is_a_failure_of_the_demo() {
        let mut facts = Facts::default();
        facts.attack.boot.agent = Some(Agent {
            outcome: Some(Outcome::Booted),
            unlocked_by: Some(Opened::Tpm),
            ..Agent::default()
        });
        let refused = checks(&facts)
            .into_iter()
            .find(|check| check.name.contains("no key"))
            .unwrap();
        assert!(!refused.passed);
    }
}
