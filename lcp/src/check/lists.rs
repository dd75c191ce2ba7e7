//! Checks of one list: version, signature, revocation counter, hashes.

use std::collections::BTreeSet;

use txt::{
    element::{Body, Element},
    hash::{Digest, HashAlg},
    policy::{Policy, SignMask},
};

use super::{Report, Severity};
use crate::{
    list::{EcScheme, ListVersion, PolicyList, SignatureValue},
    policy_data::PolicyData,
    sign::{Verified, verify},
};

/// Version, signature, revocation counter.
pub(super) fn check_list(policy: &Policy, index: usize, list: &PolicyList, report: &mut Report) {
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
    for (position, element) in list.elements().iter().enumerate() {
        let number = element.body.number();
        if number < 0x20 && (number < 0x10) != (list.version() == ListVersion::V1_0) {
            let (name, version) = (element.body.name(), list.version());
            let text = format!(
                "element {position} is of type {name}, which does not go into a list of version {version}"
            );
            report.add(Refused, Some(index), text);
        }
    }
    let lowest = policy
        .data_revocation_counters()
        .get(index)
        .copied()
        .unwrap_or(0);
    let Some(signature) = list.signature() else {
        if lowest != 0 {
            let text = format!(
                "the policy has revocation counter {lowest} for it, but it is unsigned and has none"
            );
            report.add(Warning, Some(index), text);
        }
        return;
    };
    let verified = match verify(list) {
        Ok(verified) => verified,
        Err(error) => return report.add(Refused, Some(index), error.to_string()),
    };
    let counter = signature.revocation_counter;
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
                format!(
                    "it is signed with {name}, which lcp_sign_alg_mask {mask:#x} does not have"
                ),
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

/// The bits of LcpSignAlgMask for the lists whose signatures verify.
pub fn sign_mask(data: &PolicyData) -> SignMask {
    let bit = |list: &PolicyList| sign_bit(list.signature()?.value(), verify(list).ok()?);
    let bits = data.lists().iter().filter_map(bit);
    SignMask(bits.fold(0, |mask, (_, bit)| mask | bit))
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
    SignMask::named(name).map(|mask| (name, mask.0))
}

/// The hashes of an element, whatever it is; none for data.
pub(crate) fn hashes(element: &Element) -> Vec<&Digest> {
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
pub(super) fn check_hashes(policy: &Policy, index: usize, list: &PolicyList, report: &mut Report) {
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
                "element {position} ({name}) has {alg} hashes, which lcp_hash_alg_mask {mask:#x} does not have: SINIT ignores it"
            );
            report.add(Warning, Some(index), text);
        }
    }
}
