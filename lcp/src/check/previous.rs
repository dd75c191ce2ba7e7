//! A new policy against the one that it replaces: nothing that was withdrawn may come back.

use txt::policy::Policy;

use super::{Finding, Severity};

/// Revocation counters and SINIT versions that go backwards, and other TPMs.
pub fn against_previous(previous: &Policy, policy: &Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut warn = |list, text| {
        findings.push(Finding {
            severity: Severity::Warning,
            list,
            text,
        });
    };
    if matches!(previous, Policy::Tpm12(_)) != matches!(policy, Policy::Tpm12(_)) {
        warn(
            None,
            "the policy that it replaces is for the other TPM version".to_owned(),
        );
    }
    let counters = previous
        .data_revocation_counters()
        .into_iter()
        .zip(policy.data_revocation_counters());
    for (list, (old, new)) in counters.enumerate() {
        if new < old {
            let text = format!(
                "the revocation counter goes back from {old} to {new}: lists that were withdrawn would count again"
            );
            warn(Some(list), text);
        }
    }
    let (old, new) = (previous.sinit_min_version(), policy.sinit_min_version());
    if new < old {
        let text = format!(
            "the lowest SINIT version goes back from {old} to {new}: modules that were withdrawn would count again"
        );
        warn(None, text);
    }
    findings
}
