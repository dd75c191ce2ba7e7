//! The listings of the originals, byte for byte.

use lcp::{
    list::{ListVersion, PolicyList},
    policy_data::PolicyData,
};
use txt::{
    element::{Body, Element, HashList, LegacyPconf},
    hash::Digest,
    policy::Policy,
};

use super::{
    listing::{alg_name, alg_number, block, hex, line},
    show_signature,
};

/// An element; `brief` leaves its data out.
pub fn element(prefix: &str, element: &Element, brief: bool) -> String {
    let mut out = String::new();
    let size = element.to_bytes().map_or(0, |bytes| bytes.len());
    let number = element.body.number();
    line!(out, "{prefix} size: {size:#x} ({size})");
    line!(
        out,
        "{prefix} type: '{}' ({number})",
        original_name(&element.body)
    );
    line!(
        out,
        "{prefix} policy_elt_control: {:#010x}",
        element.control
    );
    if brief {
        return out;
    }
    line!(out, "{prefix} data:");
    let inner = format!("{prefix}    ");
    match &element.body {
        Body::LegacyMle(mle) => {
            line!(
                out,
                "{inner} sinit_min_version: {:#x}",
                mle.sinit_min_version
            );
            line!(out, "{inner} hash_alg: LCP_POLHALG_SHA1");
            hashes(&mut out, &inner, mle.hashes(), true);
        }
        Body::Mle2(mle) => {
            line!(
                out,
                "{inner} sinit_min_version: {:#x}",
                mle.sinit_min_version
            );
            line!(out, "{inner} hash_alg: {}", alg_name(mle.hashes.alg()));
            hashes(&mut out, &inner, &mle.hashes, false);
        }
        Body::Stm(list) => {
            line!(out, "{inner} hash_alg: {}", alg_name(list.alg()));
            hashes(&mut out, &inner, list, false);
        }
        Body::Sbios(sbios) => {
            line!(out, "{inner} hash_alg: {}", alg_name(sbios.hashes().alg()));
            out.push_str(&one_hash(
                &format!("{inner} fallback_hash: "),
                sbios.fallback(),
            ));
            hashes(&mut out, &inner, sbios.hashes(), false);
        }
        Body::LegacySbios(sbios) => {
            line!(out, "{inner} hash_alg: LCP_POLHALG_SHA1");
            out.push_str(&one_hash(
                &format!("{inner} fallback_hash: "),
                sbios.fallback(),
            ));
            hashes(&mut out, &inner, sbios.hashes(), false);
        }
        Body::LegacyPconf(pconf) => legacy_pconf(&mut out, &inner, pconf),
        Body::Pconf2(pconf) => {
            let alg = pconf.digest().alg().name().to_uppercase();
            line!(out, "{inner}alg: TB_HALG_{alg}");
            let [select, ..] = pconf.select();
            let pcrs: Vec<String> = (0..8)
                .filter(|pcr| select & 1 << pcr != 0)
                .map(|pcr| format!(" {pcr}"))
                .collect();
            line!(out, "{inner}pcrs:{}", pcrs.concat());
            line!(out, "{inner}quote:");
            out.push_str(&block(&format!("{inner}   "), pconf.digest().as_bytes()));
            out.push('\n');
        }
        Body::LegacyCustom(custom) | Body::Custom(custom) => {
            let uuid = custom.uuid;
            let tail: Vec<String> = uuid
                .data5
                .iter()
                .map(|byte| format!("{byte:#04x}"))
                .collect();
            line!(
                out,
                "{inner} uuid: {{{:#010x}, {:#06x}, {:#06x}, {:#06x},\n\t\t{{{}}}}}",
                uuid.data1,
                uuid.data2,
                uuid.data3,
                uuid.data4,
                tail.join(", ")
            );
            line!(out, "{inner} data:");
            out.push_str(&block(&inner, &custom.data));
        }
        Body::Unknown { data, .. } => out.push_str(&block(&inner, data)),
    }
    out
}

/// The originals' name of a type: both forms of sbios and custom have the same.
fn original_name(body: &Body) -> &'static str {
    match body {
        Body::LegacySbios(_) | Body::LegacyCustom(_) => "unknown",
        other => other.name(),
    }
}

/// A hash behind its label.
fn one_hash(label: &str, hash: &Digest) -> String {
    hex(label, "", hash.as_bytes())
}

/// A list of hashes; the legacy element has an empty line behind each.
fn hashes(out: &mut String, prefix: &str, list: &HashList, spaced: bool) {
    line!(out, "{prefix} num_hashes: {}", list.hashes().len());
    for (index, hash) in list.hashes().iter().enumerate() {
        out.push_str(&one_hash(&format!("{prefix} hashes[{index}]: "), hash));
        if spaced {
            out.push('\n');
        }
    }
}

fn legacy_pconf(out: &mut String, prefix: &str, pconf: &LegacyPconf) {
    line!(out, "{prefix}NumPcrInfos: {:#x}", pconf.infos.len());
    for (index, info) in pconf.infos.iter().enumerate() {
        let select = info.select().first().copied().unwrap_or(0);
        line!(out, "{prefix}PCRInfos[{index}]");
        let twice = format!("{prefix}{prefix}");
        line!(
            out,
            "{twice}TPM_PCR_SELECTION.sizeOfSelect: {:#x}",
            info.select().len()
        );
        line!(out, "{twice}TPM_PCR_SELECTION.pcrSelect: {select:#x}");
        let names: Vec<String> = (0..8).map(|pcr| format!("PCR-{pcr}:")).collect();
        line!(out, "{twice}\t:{}", names.concat());
        let marks: Vec<String> = (0..8)
            .map(|pcr| format!("  {}  :", select >> pcr & 1))
            .collect();
        line!(out, "{twice}\t:{}", marks.concat());
        line!(
            out,
            "{twice}TPM_LOCALITY_SELECTION.locality_at_release: {:#x}",
            info.locality
        );
        line!(out, "{twice}TPM_COMPOSITE_HASH.digest_at_release:");
        out.push_str(&block(&format!("{twice}\t"), info.digest().as_bytes()));
    }
}

/// A list; `brief` leaves data and keys out, but not in version 3.0: the original shows all of it.
pub fn list(prefix: &str, list: &PolicyList, brief: bool) -> String {
    let mut out = String::new();
    let (version, v3) = (list.version().number(), list.version() == ListVersion::V3_0);
    let brief = brief && !v3;
    let elements: usize = list
        .elements()
        .iter()
        .map(|e| e.to_bytes().map_or(0, |bytes| bytes.len()))
        .sum();
    if v3 {
        let signed = list.signature().is_some();
        let offset = if signed {
            lcp::list::HEADER_LEN
                .saturating_add(elements)
                .saturating_add(2)
        } else {
            0
        };
        line!(out, "LCP_POLICY_LIST_2_1 structure:");
        line!(out, "{prefix} Version: {version:#x}");
        line!(out, "{prefix} KeySignatureOffset: {offset:#x}");
        line!(out, "{prefix} PolicyElementsSize: {elements:#x}");
    } else {
        line!(out, "{prefix} version: {version:#x}");
        line!(out, "{prefix} sig_alg: {}", show_signature::alg(list));
        line!(
            out,
            "{prefix} policy_elements_size: {elements:#x} ({elements})"
        );
    }
    for (index, item) in list.elements().iter().enumerate() {
        line!(out, "{prefix} policy_element[{index}]:");
        out.push_str(&element(&format!("{prefix}    "), item, brief));
    }
    if let Some(signature) = list.signature() {
        out.push_str(&show_signature::signature(prefix, signature, v3, brief));
    }
    out
}

/// A policy.
pub fn policy(prefix: &str, policy: &Policy) -> String {
    let mut out = String::new();
    let head = |out: &mut String, version: u16, alg: &str, minimum: u8| {
        line!(out, "{prefix} version: {version:#x}");
        line!(out, "{prefix} hash_alg: {alg}");
        line!(out, "{prefix} policy_type: {}", policy.policy_type().name());
        line!(out, "{prefix} sinit_min_version: {minimum:#x}");
        let counters: Vec<String> = policy
            .data_revocation_counters()
            .iter()
            .map(|c| format!("{c}, "))
            .collect();
        line!(
            out,
            "{prefix} data_revocation_counters: {}",
            counters.concat()
        );
        line!(out, "{prefix} policy_control: {:#x}", policy.control());
    };
    match policy {
        Policy::Tpm12(policy) => {
            let alg = "0x0 (LCP_POLHALG_SHA1)";
            head(&mut out, policy.version(), alg, policy.sinit_min_version);
            line!(
                out,
                "{prefix} max_sinit_min_ver: {:#x}",
                policy.max_sinit_min_version
            );
            // Only below version 2.4, where the field is reserved: so the original has it.
            if policy.version() < 0x0204 {
                line!(
                    out,
                    "{prefix} max_biosac_min_ver: {:#x}",
                    policy.max_biosac_min_version
                );
            }
        }
        Policy::Tpm20(policy) => {
            let alg = alg_number(policy.policy_hash().alg());
            head(
                &mut out,
                policy.version.number(),
                &alg,
                policy.sinit_min_version,
            );
            let old = policy.version.number() == 0x0300;
            let (biosac, aux) = if old {
                ("max_biosac_min_ver", "aux_hash_alg_mask")
            } else {
                ("reserved", "reserved2")
            };
            line!(
                out,
                "{prefix} max_sinit_min_ver: {:#x}",
                policy.max_sinit_min_version
            );
            line!(
                out,
                "{prefix} {biosac}: {:#x}",
                policy.max_biosac_min_version
            );
            line!(out, "{prefix} lcp_hash_alg_mask: {:#x}", policy.hash_mask);
            line!(out, "{prefix} lcp_sign_alg_mask: {:#x}", policy.sign_mask.0);
            line!(out, "{prefix} {aux}: {:#x}", policy.aux_hash_mask);
        }
    }
    out.push_str(&one_hash(
        &format!("{prefix} policy_hash: "),
        policy.policy_hash(),
    ));
    out
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
