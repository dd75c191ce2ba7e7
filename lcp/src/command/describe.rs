//! What a file holds, as JSON and as an indented listing of the same.

use lcp::{
    list::{PolicyList, SignatureValue},
    policy_data::PolicyData,
    sign,
};
use serde_json::{Map, Value, json};
use txt::{
    element::{Body, Element, HashList},
    policy::{CONTROL_BITS, ListV1, Policy, PolicyDataV1, PolicyV1, SignMask},
};

/// Prints a description: JSON, or an indented listing.
pub fn print(value: &Value, as_json: bool) {
    if as_json {
        println!("{value:#}");
    } else {
        print!("{}", listing(value, 0));
    }
}

/// An indented listing of a JSON value.
fn listing(value: &Value, indent: usize) -> String {
    let pad = "  ".repeat(indent);
    let mut out = String::new();
    let mut line = |label: &str, value: &Value| match value {
        Value::Object(map) if map.is_empty() => {}
        Value::Array(items) if items.is_empty() => out.push_str(&format!("{pad}{label}: none\n")),
        Value::Array(items) if items.iter().all(|item| short(item).is_some()) => {
            let items: Vec<String> = items.iter().filter_map(short).collect();
            out.push_str(&format!("{pad}{label}: {}\n", items.join(", ")));
        }
        Value::Object(_) | Value::Array(_) => {
            out.push_str(&format!(
                "{pad}{label}:\n{}",
                listing(value, indent.saturating_add(1))
            ));
        }
        Value::Null => out.push_str(&format!("{pad}{label}: none\n")),
        Value::String(text) => out.push_str(&format!("{pad}{label}: {text}\n")),
        other => out.push_str(&format!("{pad}{label}: {other}\n")),
    };
    match value {
        Value::Object(map) => {
            for (label, value) in map {
                line(label, value);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                line(&index.to_string(), value);
            }
        }
        other => line("value", other),
    }
    out
}

/// A value that has room beside others on a line.
fn short(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if text.len() <= 20 => Some(text.clone()),
        _ => None,
    }
}

fn hash_list(list: &HashList) -> Map<String, Value> {
    let hashes: Vec<String> = list.hashes().iter().map(ToString::to_string).collect();
    let mut map = Map::new();
    map.insert("hash_alg".into(), json!(list.alg().name()));
    map.insert("hashes".into(), json!(hashes));
    map
}

/// The PCRs of a selection.
fn selected(select: &[u8]) -> Vec<usize> {
    let bit = |pcr: &usize| {
        select
            .get(pcr / 8)
            .is_some_and(|byte| byte & 1 << (pcr % 8) != 0)
    };
    (0..select.len().saturating_mul(8)).filter(bit).collect()
}

/// An element.
pub fn element(element: &Element) -> Value {
    let mut map = Map::new();
    map.insert("type".into(), json!(element.body.name()));
    map.insert(
        "type_number".into(),
        json!(format!("{:#x}", element.body.number())),
    );
    map.insert("control".into(), json!(format!("{:#x}", element.control)));
    match &element.body {
        Body::LegacyMle(mle) => {
            map.insert("sinit_min_version".into(), json!(mle.sinit_min_version));
            map.extend(hash_list(mle.hashes()));
        }
        Body::Mle2(mle) => {
            map.insert("sinit_min_version".into(), json!(mle.sinit_min_version));
            map.extend(hash_list(&mle.hashes));
        }
        Body::Stm(list) => map.extend(hash_list(list)),
        Body::LegacySbios(sbios) => {
            map.insert("fallback".into(), json!(sbios.fallback().to_string()));
            map.extend(hash_list(sbios.hashes()));
        }
        Body::Sbios(sbios) => {
            map.insert("fallback".into(), json!(sbios.fallback().to_string()));
            map.extend(hash_list(sbios.hashes()));
        }
        Body::LegacyPconf(pconf) => {
            let infos: Vec<Value> = pconf
                .infos
                .iter()
                .map(|info| {
                    json!({
                        "pcrs": selected(info.select()),
                        "localities": format!("{:#x}", info.locality),
                        "composite_hash": info.digest().to_string(),
                    })
                })
                .collect();
            map.insert("pcr_infos".into(), json!(infos));
        }
        Body::Pconf2(pconf) => {
            map.insert("bank".into(), json!(pconf.digest().alg().name()));
            map.insert("pcrs".into(), json!(selected(&pconf.select())));
            map.insert("digest".into(), json!(pconf.digest().to_string()));
        }
        Body::LegacyCustom(custom) | Body::Custom(custom) => {
            map.insert("uuid".into(), json!(custom.uuid.to_string()));
            map.insert("data".into(), json!(hex::encode(&custom.data)));
        }
        Body::Unknown { data, .. } => {
            map.insert("data".into(), json!(hex::encode(data)));
        }
    }
    Value::Object(map)
}

/// A list; its signature is verified.
pub fn list(list: &PolicyList) -> Value {
    let elements: Vec<Value> = list.elements().iter().map(element).collect();
    let mut map = Map::new();
    map.insert("version".into(), json!(list.version().to_string()));
    map.insert("elements".into(), json!(elements));
    let signature = list.signature().map(|signature| {
        let mut map = Map::new();
        let (kind, bits) = match signature.value() {
            SignatureValue::Rsa { .. } => ("RSA", signature.key_len().saturating_mul(8)),
            SignatureValue::Ec { .. } => ("elliptic curve", signature.key_len().saturating_mul(8)),
        };
        map.insert("key".into(), json!(format!("{kind}, {bits} bits")));
        map.insert(
            "algorithm".into(),
            json!(format!("{:#x}", signature.alg_number())),
        );
        map.insert(
            "revocation_counter".into(),
            json!(signature.revocation_counter),
        );
        map.insert(
            "key_numbers".into(),
            json!(hex::encode(signature.key_bytes())),
        );
        match sign::verify(list) {
            Ok(verified) => {
                map.insert("hash".into(), json!(verified.hash.name()));
                map.insert("verified".into(), json!(true));
            }
            Err(error) => {
                map.insert("verified".into(), json!(false));
                map.insert("error".into(), json!(error.to_string()));
            }
        }
        Value::Object(map)
    });
    map.insert("signature".into(), json!(signature));
    Value::Object(map)
}

/// The set bits of a policy's control field, in words.
fn control(bits: u32) -> Value {
    let words: Vec<&str> = CONTROL_BITS
        .iter()
        .filter(|(bit, _)| bits & bit != 0)
        .map(|(_, text)| *text)
        .collect();
    json!({ "value": format!("{bits:#x}"), "meaning": words })
}

/// A policy.
pub fn policy(policy: &Policy) -> Value {
    let mut map = Map::new();
    let (version, minimum, maximum) = match policy {
        Policy::Tpm12(policy) => (
            policy.version(),
            policy.sinit_min_version,
            policy.max_sinit_min_version,
        ),
        Policy::Tpm20(policy) => (
            policy.version.number(),
            policy.sinit_min_version,
            policy.max_sinit_min_version,
        ),
    };
    let [minor, major] = version.to_le_bytes();
    map.insert("version".into(), json!(format!("{major}.{minor}")));
    map.insert("type".into(), json!(policy.policy_type().name()));
    map.insert("nv_size".into(), json!(policy.to_bytes().len()));
    map.insert("hash_alg".into(), json!(policy.policy_hash().alg().name()));
    map.insert(
        "policy_hash".into(),
        json!(policy.policy_hash().to_string()),
    );
    map.insert("sinit_min_version".into(), json!(minimum));
    map.insert("max_sinit_min_version".into(), json!(maximum));
    map.insert(
        "data_revocation_counters".into(),
        json!(policy.data_revocation_counters()),
    );
    map.insert("control".into(), control(policy.control()));
    if let Policy::Tpm20(policy) = policy {
        let algs = |mask: u16| -> Vec<&str> {
            let all = txt::hash::HashAlg::ALL.into_iter();
            all.filter(|alg| mask & alg.mask() != 0)
                .map(|alg| alg.name())
                .collect()
        };
        let signs: Vec<&str> = SignMask::NAMES
            .into_iter()
            .filter(|(_, bit)| policy.sign_mask.0 & bit != 0)
            .map(|(name, _)| name)
            .collect();
        map.insert(
            "max_biosac_min_version".into(),
            json!(policy.max_biosac_min_version),
        );
        map.insert("hash_algs".into(), json!(algs(policy.hash_mask)));
        map.insert("sign_algs".into(), json!(signs));
        map.insert("aux_hash_algs".into(), json!(algs(policy.aux_hash_mask)));
    }
    Value::Object(map)
}

/// A policy data file.
pub fn data(data: &PolicyData) -> Value {
    json!({ "lists": data.lists().iter().map(list).collect::<Vec<_>>() })
}

/// A policy of before 2008.
pub fn policy_v1(policy: &PolicyV1) -> Value {
    json!({
        "version": policy.version,
        "type": policy.policy_type.name(),
        "nv_size": PolicyV1::LEN,
        "policy_hash": policy.policy_hash.to_string(),
        "sinit_revocation_counter": policy.sinit_revocation_counter,
        "control": format!("{:#x}", policy.control),
    })
}

/// A data file of before 2008.
pub fn data_v1(data: &PolicyDataV1) -> Value {
    let list = |list: &ListV1| {
        let hashes: Vec<String> = list.hashes.iter().map(ToString::to_string).collect();
        json!({ "type": format!("{:?}", list.list_type).to_lowercase(), "hashes": hashes })
    };
    json!({ "lists": data.lists.iter().map(list).collect::<Vec<_>>() })
}
