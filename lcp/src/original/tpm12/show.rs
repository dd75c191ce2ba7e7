//! The listings of tboot 1.8's tools, byte for byte where they were recorded; what those tools
//! don't know is listed as the later ones do.

use anyhow::{Result, bail};
use lcp::{
    list::{ListVersion, PolicyList},
    policy_data::PolicyData,
    sign,
};
use txt::{
    element::{Body, Element, HashList, LegacyPconf},
    policy::Policy,
};

use crate::original::{
    listing::{block, line},
    show, show_signature,
};

/// An element; `brief` leaves its data out.
pub fn element(prefix: &str, element: &Element, brief: bool) -> String {
    let mut out = String::new();
    let name = match &element.body {
        Body::LegacyMle(_) => "mle",
        Body::LegacyPconf(_) => "pconf",
        Body::LegacySbios(_) => "sbios",
        Body::LegacyCustom(_) => "custom",
        _ => return show::element(prefix, element, brief),
    };
    let size = element.to_bytes().map_or(0, |bytes| bytes.len());
    let (number, control) = (element.body.number(), element.control);
    line!(out, "{prefix} size: {size:#x} ({size})");
    line!(out, "{prefix} type: '{name}' ({number})");
    line!(out, "{prefix} policy_elt_control: {control:#010x}");
    if brief {
        return out;
    }
    line!(out, "{prefix} data:");
    let inner = format!("{prefix}    ");
    match &element.body {
        Body::LegacyMle(mle) => {
            let minimum = mle.sinit_min_version;
            line!(out, "{inner} sinit_min_version: {minimum:#x}");
            line!(out, "{inner} hash_alg: LCP_POLHALG_SHA1");
            hashes(&mut out, &inner, mle.hashes());
        }
        Body::LegacySbios(sbios) => {
            line!(out, "{inner} hash_alg: LCP_POLHALG_SHA1");
            out.push_str(&block(
                &format!("{inner} fallback_hash: "),
                sbios.fallback().as_bytes(),
            ));
            hashes(&mut out, &inner, sbios.hashes());
        }
        Body::LegacyPconf(infos) => pconf(&mut out, &inner, infos),
        // Its listing hasn't changed since.
        _ => {
            let listed = show::element(prefix, element, false);
            let data = listed.split_once(" data:\n").map_or("", |(_, data)| data);
            out.push_str(data);
        }
    }
    out
}

fn hashes(out: &mut String, prefix: &str, list: &HashList) {
    line!(out, "{prefix} num_hashes: {}", list.hashes().len());
    for (index, hash) in list.hashes().iter().enumerate() {
        out.push_str(&block(
            &format!("{prefix} hashes[{index}]: "),
            hash.as_bytes(),
        ));
    }
}

fn pconf(out: &mut String, prefix: &str, pconf: &LegacyPconf) {
    line!(out, "{prefix} num_pcr_infos: {}", pconf.infos.len());
    for (index, info) in pconf.infos.iter().enumerate() {
        line!(out, "{prefix} pcr_infos[{index}]:");
        let inner = format!("{prefix}    ");
        line!(out, "{inner} pcrSelect: 0x{}", hex::encode(info.select()));
        line!(out, "{inner} localityAtRelease: {:#x}", info.locality);
        out.push_str(&block(
            &format!("{inner} digestAtRelease: "),
            info.digest().as_bytes(),
        ));
    }
}

/// A list, with the outcome of its signature's verification.
pub fn list(prefix: &str, list: &PolicyList, brief: bool) -> String {
    if list.version() != ListVersion::V1_0 {
        return show::list(prefix, list, brief);
    }
    let mut out = String::new();
    let lengths = list
        .elements()
        .iter()
        .map(|e| e.to_bytes().map_or(0, |bytes| bytes.len()));
    let elements: usize = lengths.sum();
    line!(out, "{prefix} version: {:#x}", list.version().number());
    let alg = match list.signature() {
        None => "LCP_POLSALG_NONE",
        Some(_) => "LCP_POLSALG_RSA_PKCS_15",
    };
    line!(out, "{prefix} sig_alg: {alg}");
    line!(
        out,
        "{prefix} policy_elements_size: {elements:#x} ({elements})"
    );
    for (index, item) in list.elements().iter().enumerate() {
        line!(out, "{prefix} policy_element[{index}]:");
        out.push_str(&element(&format!("{prefix}    "), item, brief));
    }
    if let Some(signature) = list.signature() {
        out.push_str(&show_signature::signature(prefix, signature, false, brief));
        let result = match sign::verify(list) {
            Ok(_) => "signature verifies",
            Err(_) => "signature does not verify",
        };
        line!(out, "{prefix} {result}");
    }
    out
}

/// A policy of version 2.x; an error for others, which that tool didn't know.
pub fn policy(prefix: &str, policy: &Policy) -> Result<String> {
    let Policy::Tpm12(policy) = policy else {
        bail!("a policy for TPM 2.0: use lcp2_crtpol");
    };
    let mut out = String::new();
    line!(out, "{prefix} version: {:#x}", policy.version());
    line!(out, "{prefix} hash_alg: LCP_POLHALG_SHA1");
    line!(out, "{prefix} policy_type: {}", policy.policy_type.name());
    line!(
        out,
        "{prefix} sinit_min_version: {:#x}",
        policy.sinit_min_version
    );
    let counters = policy.data_revocation_counters.iter();
    let counters: Vec<String> = counters.map(|counter| format!("{counter}, ")).collect();
    line!(
        out,
        "{prefix} data_revocation_counters: {}",
        counters.concat()
    );
    line!(out, "{prefix} policy_control: {:#x}", policy.control);
    let hash = policy.policy_hash().as_bytes();
    out.push_str(&block(&format!("{prefix} policy_hash: "), hash));
    Ok(out)
}

/// A policy data file.
pub fn data(prefix: &str, data: &PolicyData, brief: bool) -> String {
    let mut out = String::new();
    line!(out, "{prefix} file_signature: Intel(R) TXT LCP_POLICY_DATA");
    line!(out, "{prefix} num_lists: {}", data.lists().len());
    for (index, item) in data.lists().iter().enumerate() {
        line!(out, "{prefix} list {index}:");
        out.push_str(&list(&format!("{prefix}    "), item, brief));
    }
    out
}
