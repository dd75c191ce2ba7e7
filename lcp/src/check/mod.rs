//! Would SINIT accept this data file under this policy? And what in it is suspicious before it is
//! written anywhere.
//!
//! The rules are those of the TXT Software Development Guide as far as they can be seen in the
//! files: hash of the lists, signatures, revocation counters, masks, SINIT version, MLE hash. What
//! depends on the platform (PCONF, SBIOS, STM elements) is named as a condition, not decided.

use txt::{
    codec::FormatError,
    element::Body,
    policy::{Policy, PolicyType},
};

use crate::policy_data::PolicyData;

mod lists;
mod masks;
mod mle;
mod previous;
mod report;

pub(crate) use lists::hashes;
pub use lists::sign_mask;
pub use previous::against_previous;
pub use report::{Finding, Match, Report, Severity, Target};

/// Checks a policy, its data file and what is to be launched against each other.
pub fn check(
    policy: &Policy,
    data: Option<&PolicyData>,
    target: &Target,
) -> Result<Report, FormatError> {
    use Severity::{Note, Refused, Warning};
    let mut report = Report::default();
    check_target(policy, target, &mut report);
    masks::check(policy, &mut report);
    let data = match (policy.policy_type(), data) {
        (PolicyType::Any, None) => {
            let text = "type any: every MLE is launched on every platform";
            report.add(Note, None, text);
            return Ok(report);
        }
        (PolicyType::Any, Some(data)) => {
            report.add(Warning, None, "type any: the data file has no effect");
            data
        }
        (PolicyType::List, None) => {
            let text = "the policy is of type list, but there is no data file";
            report.add(Refused, None, text);
            return Ok(report);
        }
        (PolicyType::List, Some(data)) => {
            let hash = data.hash(policy.policy_hash().alg())?;
            if &hash != policy.policy_hash() {
                let expected = policy.policy_hash();
                let text =
                    format!("the policy names the lists {expected}, but these hash to {hash}");
                report.add(Refused, None, text);
            }
            data
        }
    };
    for (index, list) in data.lists().iter().enumerate() {
        lists::check_list(policy, index, list, &mut report);
        lists::check_hashes(policy, index, list, &mut report);
    }
    let first = data.lists().first().map(|list| list.version());
    if data
        .lists()
        .iter()
        .any(|list| Some(list.version()) != first)
    {
        let text = "the lists are of several versions: tboot's tools refuse that";
        report.add(Warning, None, text);
    }
    mle::find_mle(policy, data, target, &mut report);
    conditions(data, &mut report);
    Ok(report)
}

/// The policy against the SINIT module and the NV index.
fn check_target(policy: &Policy, target: &Target, report: &mut Report) {
    use Severity::{Refused, Warning};
    let minimum = policy.sinit_min_version();
    if let Some(version) = target.sinit_version
        && version < minimum
    {
        let text = format!("the policy wants SINIT version {minimum} or later, this is {version}");
        report.add(Refused, None, text);
    }
    let alg = policy.policy_hash().alg();
    if !target.sinit_hashes.is_empty() && !target.sinit_hashes.contains(&alg) {
        let known: Vec<&str> = target.sinit_hashes.iter().map(|alg| alg.name()).collect();
        let known = known.join(", ");
        let text = format!("the policy's hash is {alg}, this SINIT knows only {known}");
        report.add(Refused, None, text);
    }
    let len = policy.to_bytes().len();
    if let Some(size) = target.nv_size {
        let text = format!(
            "the policy has {len} bytes, the NV index {size}: the index must be deleted and defined anew"
        );
        match len.cmp(&size) {
            std::cmp::Ordering::Greater => report.add(Refused, None, text),
            std::cmp::Ordering::Less => report.add(Warning, None, text),
            std::cmp::Ordering::Equal => {}
        }
    }
}

/// What the platform must fulfil.
fn conditions(data: &PolicyData, report: &mut Report) {
    for (index, list) in data.lists().iter().enumerate() {
        for element in list.elements() {
            if let Body::LegacyPconf(_) | Body::Pconf2(_) | Body::LegacySbios(_) | Body::Sbios(_) =
                element.body
            {
                let name = element.body.name();
                let text = format!("the platform must match its {name}");
                report.add(Severity::Condition, Some(index), text);
            }
        }
    }
}
