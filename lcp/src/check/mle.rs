//! Is the MLE allowed, and by what?

use txt::{
    element::Body,
    hash::HashAlg,
    policy::{Policy, PolicyType},
};

use super::{Match, Report, Severity, Target, lists::hashes};
use crate::policy_data::PolicyData;

/// Is the MLE in one of the lists, in an element that counts?
pub(super) fn find_mle(policy: &Policy, data: &PolicyData, target: &Target, report: &mut Report) {
    use Severity::{Condition, Refused};
    let mut elements = 0_usize;
    let mut too_new = None;
    for (list_index, list) in data.lists().iter().enumerate() {
        for (element_index, element) in list.elements().iter().enumerate() {
            let (minimum, alg) = match &element.body {
                Body::LegacyMle(mle) => (mle.sinit_min_version, HashAlg::Sha1),
                Body::Mle2(mle) => (mle.sinit_min_version, mle.hashes.alg()),
                _ => continue,
            };
            elements = elements.saturating_add(1);
            let masked = match policy {
                Policy::Tpm20(policy) => policy.hash_mask & alg.mask() == 0,
                Policy::Tpm12(_) => false,
            };
            let found = hashes(element)
                .iter()
                .position(|hash| target.mle_hashes.contains(hash));
            let (Some(hash), false) = (found, masked) else {
                continue;
            };
            if target
                .sinit_version
                .is_some_and(|version| version < minimum)
            {
                too_new = Some((list_index, minimum));
            } else if report.allowed_by.is_none() {
                let place = Match {
                    list: list_index,
                    element: element_index,
                    hash,
                };
                report.allowed_by = Some(place);
            }
        }
    }
    if elements == 0 {
        report.add(
            Condition,
            None,
            "no list has an MLE element: the lists do not restrict the MLE",
        );
    } else if let (None, Some((list, minimum))) = (&report.allowed_by, too_new) {
        let text = format!("the MLE is allowed with SINIT version {minimum} or later only");
        report.add(Refused, Some(list), text);
    } else if report.allowed_by.is_none() && !target.mle_hashes.is_empty() {
        let known: Vec<String> = target
            .mle_hashes
            .iter()
            .map(|hash| format!("{} {hash}", hash.alg()))
            .collect();
        let text = format!(
            "no list allows this MLE ({}): add its hash",
            known.join(", ")
        );
        report.add(
            if policy.policy_type() == PolicyType::Any {
                Condition
            } else {
                Refused
            },
            None,
            text,
        );
    }
}
