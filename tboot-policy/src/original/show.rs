//! `tb_polgen`'s listing of a policy.

use tboot_policy::vlp::{Check, Object, Policy, PolicyType};
use txt::hash::{Digest, HashAlg};

/// The listing.
pub fn listing(policy: &Policy) -> String {
    let kind = match policy.policy_type() {
        PolicyType::NonFatal => "TB_POLTYPE_CONT_NON_FATAL",
        PolicyType::Continue => "TB_POLTYPE_CONT_VERIFY_FAIL",
        PolicyType::Halt => "TB_POLTYPE_HALT",
    };
    let alg = match policy.alg() {
        HashAlg::Sha1 => "TB_HALG_SHA1",
        HashAlg::Sha256 => "TB_HALG_SHA256",
        HashAlg::Sha384 => "TB_HALG_SHA384",
        HashAlg::Sha512 => "TB_HALG_SHA512",
        HashAlg::Sm3 => "TB_HALG_SM3",
    };
    let extend = policy.control() & Policy::EXTEND_PCR17 != 0;
    let flags = if extend { "EXTEND_PCR17" } else { "" };
    let mut text = format!(
        "policy:\n\t version: 2\n\t policy_type: {kind}\n\t hash_alg: {alg}\n\t policy_control: {:08x} ({flags})\n\t num_entries: {}\n",
        policy.control(),
        policy.entries().len()
    );
    for (position, entry) in policy.entries().iter().enumerate() {
        let object = match entry.object {
            Object::Module(number) => number.get().to_string(),
            Object::AnyModule => "any".to_owned(),
            Object::NvHashed => format!("nv\n\t\t nv_index: {:08x}", entry.nv_index),
            Object::NvRaw => format!("nv_raw\n\t\t nv_index: {:08x}", entry.nv_index),
        };
        let pcr = entry.pcr.map_or("none".to_owned(), |pcr| pcr.to_string());
        let check = match entry.check {
            Check::Any => "TB_HTYPE_ANY",
            Check::Image => "TB_HTYPE_IMAGE",
        };
        text.push_str(&format!(
            "\t policy entry[{position}]:\n\t\t mod_num: {object}\n\t\t pcr: {pcr}\n\t\t hash_type: {check}\n\t\t num_hashes: {}\n",
            entry.hashes.len()
        ));
        for (number, hash) in entry.hashes.iter().enumerate() {
            text.push_str(&format!("\t\t hashes[{number}]: {}\n", bytes(hash)));
        }
    }
    text
}

/// A hash's bytes, each with a blank behind it.
pub fn bytes(hash: &Digest) -> String {
    hash.as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x} "))
        .collect()
}
