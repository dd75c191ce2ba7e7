//! Would SINIT accept this data file under this policy? And what in it is suspicious before it is
//! written anywhere.
//!
//! The rules are those of the TXT Software Development Guide as far as they can be seen in the
//! files: hash of the lists, signatures, revocation counters, masks, SINIT version, MLE hash. What
//! depends on the platform (PCONF, SBIOS, STM elements) is named as a condition, not decided.

use std::{collections::BTreeSet, fmt};

use crate::{
    codec::FormatError,
    element::{Body, Element},
    hash::{Digest, HashAlg},
    list::{EcScheme, ListVersion, PolicyList, SignatureValue},
    policy::{Policy, PolicyData, PolicyType},
    sign::{Verified, verify},
};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Holds only on a platform that fulfils it.
    Condition,
    /// Works, but is hardly meant so.
    Warning,
    /// SINIT refuses.
    Refused,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// The list it is about, from 0.
    pub list: Option<usize>,
    /// One sentence.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Condition => "condition",
            Severity::Warning => "warning",
            Severity::Refused => "refused",
        };
        match self.list {
            Some(list) => write!(f, "{severity}: list {list}: {}", self.text),
            None => write!(f, "{severity}: {}", self.text),
        }
    }
}

/// What is to be launched, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The MLE's hash, in as many algorithms as are known.
    pub mle_hashes: Vec<Digest>,
    /// Version of the SINIT module.
    pub sinit_version: Option<u8>,
}

/// The element that allows the launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The list, from 0.
    pub list: usize,
    /// The element in it, from 0.
    pub element: usize,
    /// The hash in it, from 0.
    pub hash: usize,
}

/// The outcome.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Everything that was found.
    pub findings: Vec<Finding>,
    /// What allows the MLE; `None` when nothing does or when its hash wasn't given.
    pub allowed_by: Option<Match>,
}

impl Report {
    /// Does nothing speak against the launch?
    pub fn accepted(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity != Severity::Refused)
    }

    fn add(&mut self, severity: Severity, list: Option<usize>, text: impl Into<String>) {
        self.findings.push(Finding {
            severity,
            list,
            text: text.into(),
        });
    }
}

/// Checks a policy, its data file and what is to be launched against each other.
pub fn check(
    policy: &Policy,
    data: Option<&PolicyData>,
    target: &Target,
) -> Result<Report, FormatError> {
    use Severity::{Condition, Refused, Warning};
    let mut report = Report::default();
    let minimum = match policy {
        Policy::Tpm12(policy) => policy.sinit_min_version,
        Policy::Tpm20(policy) => policy.sinit_min_version,
    };
    if target
        .sinit_version
        .is_some_and(|version| version < minimum)
    {
        report.add(
            Refused,
            None,
            format!("the policy wants SINIT version {minimum} or later"),
        );
    }
    let data = match (policy.policy_type(), data) {
        (PolicyType::Any, None) => {
            report.add(
                Warning,
                None,
                "type any: every MLE is launched on every platform",
            );
            return Ok(report);
        }
        (PolicyType::Any, Some(data)) => {
            report.add(Warning, None, "type any: the data file has no effect");
            data
        }
        (PolicyType::List, None) => {
            report.add(
                Refused,
                None,
                "the policy is of type list, but there is no data file",
            );
            return Ok(report);
        }
        (PolicyType::List, Some(data)) => {
            let hash = data.hash(policy.policy_hash().alg())?;
            if &hash != policy.policy_hash() {
                let expected = policy.policy_hash();
                report.add(
                    Refused,
                    None,
                    format!("the policy names the lists {expected}, but these hash to {hash}"),
                );
            }
            data
        }
    };
    for (index, list) in data.lists().iter().enumerate() {
        check_list(policy, index, list, &mut report);
        check_hashes(policy, index, list, &mut report);
    }
    find_mle(policy, data, target, &mut report);
    for (index, list) in data.lists().iter().enumerate() {
        for element in list.elements() {
            if let Body::LegacyPconf(_) | Body::Pconf2(_) | Body::LegacySbios(_) | Body::Sbios(_) =
                element.body
            {
                let name = element.body.name();
                report.add(
                    Condition,
                    Some(index),
                    format!("the platform must match its {name}"),
                );
            }
        }
    }
    Ok(report)
}

/// Version, signature, revocation counter.
fn check_list(policy: &Policy, index: usize, list: &PolicyList, report: &mut Report) {
    use Severity::{Refused, Warning};
    let tpm12 = matches!(policy, Policy::Tpm12(_));
    if tpm12 != (list.version() == ListVersion::V1_0) {
        let (version, tpm) = (list.version(), if tpm12 { "1.2" } else { "2.0" });
        report.add(
            Refused,
            Some(index),
            format!("a list of version {version} in a policy for TPM {tpm}"),
        );
    }
    let Some(signature) = list.signature() else {
        return;
    };
    let verified = match verify(list) {
        Ok(verified) => verified,
        Err(error) => return report.add(Refused, Some(index), error.to_string()),
    };
    let counter = signature.revocation_counter;
    let lowest = policy
        .data_revocation_counters()
        .get(index)
        .copied()
        .unwrap_or(0);
    if counter < lowest {
        report.add(
            Refused,
            Some(index),
            format!("its revocation counter is {counter}, the policy wants {lowest} or more"),
        );
    }
    if verified.key_bits == 1024 {
        report.add(
            Warning,
            Some(index),
            "its RSA key has 1024 bits: use 2048 or 3072",
        );
    }
    let Policy::Tpm20(policy) = policy else {
        return;
    };
    match sign_bit(signature.value(), verified) {
        Some((name, bit)) if policy.sign_mask.0 & bit == 0 => {
            let mask = policy.sign_mask.0;
            report.add(
                Refused,
                Some(index),
                format!("it is signed with {name}, which lcp_sign_alg_mask {mask:#x} doesn't have"),
            );
        }
        Some(_) => {}
        None => report.add(
            Refused,
            Some(index),
            "its combination of key length and hash has no bit in lcp_sign_alg_mask",
        ),
    }
}

/// The bit of LcpSignAlgMask for a signature, with its name.
fn sign_bit(value: &SignatureValue, verified: Verified) -> Option<(&'static str, u32)> {
    let name = match (value, verified.key_bits, verified.hash) {
        (SignatureValue::Rsa { .. }, 2048, HashAlg::Sha1) => "rsa-2048-sha1",
        (SignatureValue::Rsa { .. }, 2048, HashAlg::Sha256) => "rsa-2048-sha256",
        (SignatureValue::Rsa { .. }, 3072, HashAlg::Sha256) => "rsa-3072-sha256",
        (SignatureValue::Rsa { .. }, 3072, HashAlg::Sha384) => "rsa-3072-sha384",
        (
            SignatureValue::Ec {
                scheme: EcScheme::Ecdsa,
                ..
            },
            256,
            _,
        ) => "ecdsa-p256",
        (
            SignatureValue::Ec {
                scheme: EcScheme::Ecdsa,
                ..
            },
            384,
            _,
        ) => "ecdsa-p384",
        (
            SignatureValue::Ec {
                scheme: EcScheme::Sm2,
                ..
            },
            256,
            _,
        ) => "sm2",
        _ => return None,
    };
    crate::policy::SignMask::named(name).map(|mask| (name, mask.0))
}

/// The hashes of an element, whatever it is; none for data.
fn hashes(element: &Element) -> Vec<&Digest> {
    match &element.body {
        Body::LegacyMle(mle) => mle.hashes().hashes().iter().collect(),
        Body::Mle2(mle) => mle.hashes.hashes().iter().collect(),
        Body::Stm(list) => list.hashes().iter().collect(),
        Body::LegacySbios(sbios) => sbios
            .hashes()
            .hashes()
            .iter()
            .chain([sbios.fallback()])
            .collect(),
        Body::Sbios(sbios) => sbios
            .hashes()
            .hashes()
            .iter()
            .chain([sbios.fallback()])
            .collect(),
        Body::LegacyPconf(pconf) => pconf.infos.iter().map(|info| info.digest()).collect(),
        Body::Pconf2(pconf) => vec![pconf.digest()],
        Body::LegacyCustom(_) | Body::Custom(_) | Body::Unknown { .. } => Vec::new(),
    }
}

/// Zeros, duplicates, algorithms outside of the policy's mask.
fn check_hashes(policy: &Policy, index: usize, list: &PolicyList, report: &mut Report) {
    use Severity::Warning;
    for (position, element) in list.elements().iter().enumerate() {
        let name = element.body.name();
        let hashes = hashes(element);
        let mut seen = BTreeSet::new();
        for hash in &hashes {
            if hash.is_zero() {
                let text = format!("element {position} ({name}) has a hash of all zeros");
                report.add(Warning, Some(index), text);
            } else if !seen.insert(*hash) {
                let text = format!("element {position} ({name}) has the hash {hash} twice");
                report.add(Warning, Some(index), text);
            }
        }
        let alg = hashes.first().map(|hash| hash.alg());
        if let (Policy::Tpm20(policy), Some(alg)) = (policy, alg)
            && policy.hash_mask & alg.mask() == 0
        {
            let mask = policy.hash_mask;
            let text = format!(
                "element {position} ({name}) has {alg} hashes, which lcp_hash_alg_mask {mask:#x} doesn't have: SINIT ignores it"
            );
            report.add(Warning, Some(index), text);
        }
    }
}

/// Is the MLE in one of the lists, in an element that counts?
fn find_mle(policy: &Policy, data: &PolicyData, target: &Target, report: &mut Report) {
    use Severity::{Condition, Refused};
    let mut elements = 0;
    let mut too_new = None;
    for (list_index, list) in data.lists().iter().enumerate() {
        for (element_index, element) in list.elements().iter().enumerate() {
            let (minimum, alg) = match &element.body {
                Body::LegacyMle(mle) => (mle.sinit_min_version, HashAlg::Sha1),
                Body::Mle2(mle) => (mle.sinit_min_version, mle.hashes.alg()),
                _ => continue,
            };
            elements += 1;
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
            "no list has an MLE element: the lists don't restrict the MLE",
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
