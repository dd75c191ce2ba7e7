//! The masks of a policy for TPM 2.0: do they hold what the policy itself uses, and only known bits?

use txt::{
    hash::HashAlg,
    policy::{Policy, SignMask},
};

use super::{Report, Severity};

/// Bits that are defined although tboot's tools have no name for them: RSA 1024.
const UNNAMED_SIGN_BITS: u32 = 0x3;

pub(super) fn check(policy: &Policy, report: &mut Report) {
    let Policy::Tpm20(policy) = policy else {
        return;
    };
    let alg = policy.policy_hash().alg();
    if policy.hash_mask & alg.mask() == 0 {
        let mask = policy.hash_mask;
        let text = format!(
            "the policy's own hash is {alg}, which lcp_hash_alg_mask {mask:#x} does not have"
        );
        report.add(Severity::Warning, None, text);
    }
    let known = HashAlg::ALL.iter().fold(0, |mask, alg| mask | alg.mask());
    for (name, mask) in [
        ("lcp_hash_alg_mask", policy.hash_mask),
        ("aux_hash_alg_mask", policy.aux_hash_mask),
    ] {
        let unknown = mask & !known;
        if unknown != 0 {
            let text = format!("{name} {mask:#x} has bits of no known hash: {unknown:#x}");
            report.add(Severity::Warning, None, text);
        }
    }
    let known = SignMask::NAMES
        .iter()
        .fold(UNNAMED_SIGN_BITS, |mask, (_, bit)| mask | bit);
    let unknown = policy.sign_mask.0 & !known;
    if unknown != 0 {
        let mask = policy.sign_mask.0;
        let text =
            format!("lcp_sign_alg_mask {mask:#x} has bits of no known signature: {unknown:#x}");
        report.add(Severity::Warning, None, text);
    }
}
