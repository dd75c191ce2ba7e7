//! The forms that several kinds of token share, with their bounds.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tpm::{Bank, CounterLimit, LaunchPolicy, PcrIndex, PcrPolicy, PcrValues, PolicySigner};

use super::error::RecordError;
use crate::unlock::launch_pcrs::LaunchPcrs;

/// A sealed 32-byte secret needs about 80 and 220 bytes.
const MAX_BLOB: usize = 1024;
/// Characters in the label and in each component's name.
const MAX_TEXT: usize = 120;
const VERSION: u64 = 1;

pub(super) fn damaged(reason: impl Into<String>) -> RecordError {
    RecordError::Damaged(reason.into())
}

/// A newer format is said to be one before anything in it is judged.
pub(super) fn check_version(json: &Value) -> Result<(), RecordError> {
    match json.get("version").and_then(Value::as_u64) {
        Some(version) if version != VERSION => Err(RecordError::Version(version)),
        _ => Ok(()),
    }
}

/// A rollback counter's limit, as in a token.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CounterJson {
    index: u32,
    limit: u64,
}

impl From<CounterLimit> for CounterJson {
    fn from(counter: CounterLimit) -> Self {
        Self {
            index: counter.index,
            limit: counter.limit,
        }
    }
}

impl From<CounterJson> for CounterLimit {
    fn from(json: CounterJson) -> Self {
        Self {
            index: json.index,
            limit: json.limit,
        }
    }
}

/// A policy key as its uncompressed point.
pub(super) fn signer_text(signer: &PolicySigner) -> String {
    BASE64.encode(signer.point())
}

pub(super) fn signer(text: &str) -> Result<PolicySigner, RecordError> {
    let point = BASE64.decode(text).ok();
    point
        .and_then(|point| PolicySigner::from_point(&point))
        .ok_or_else(|| damaged("its policy key is not the base64 of a P-256 point"))
}

pub(super) fn bytes_text(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

pub(super) fn blob(what: &str, text: &str) -> Result<Vec<u8>, RecordError> {
    let bytes = BASE64.decode(text).ok();
    bytes
        .filter(|bytes| !bytes.is_empty() && bytes.len() <= MAX_BLOB)
        .ok_or_else(|| {
            damaged(format!(
                "its {what} part is not 1 to {MAX_BLOB} bytes of base64"
            ))
        })
}

/// Text that may be printed on a console: an escape sequence in a label is an attack.
fn is_printable(text: &str) -> bool {
    text.chars().count() <= MAX_TEXT && text.chars().all(printable::is_printable)
}

pub(super) fn check_texts(
    label: &str,
    components: &BTreeMap<PcrIndex, String>,
) -> Result<(), RecordError> {
    if is_printable(label) && components.values().all(|text| is_printable(text)) {
        return Ok(());
    }
    Err(damaged("a label is too long or has unprintable characters"))
}

pub(super) fn components_json(components: &BTreeMap<PcrIndex, String>) -> BTreeMap<String, String> {
    let pairs = components.iter();
    pairs
        .map(|(pcr, words)| (pcr.to_string(), words.clone()))
        .collect()
}

pub(super) fn components(
    json: BTreeMap<String, String>,
) -> Result<BTreeMap<PcrIndex, String>, RecordError> {
    json.into_iter()
        .map(|(pcr, words)| {
            let pcr = pcr.parse::<u8>().ok();
            pcr.and_then(|pcr| PcrIndex::try_from(pcr).ok())
                .map(|pcr| (pcr, words))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| damaged("a component's key is not a PCR number"))
}

/// A launch that a record may approve: the latch open, and a measured one.
pub(super) fn launch_policy(
    values: PcrValues,
    counter: Option<CounterLimit>,
) -> Result<LaunchPolicy, RecordError> {
    check_launch(&values)?;
    let policy = PcrPolicy::new(values).ok_or_else(|| damaged("its PCR values make no policy"))?;
    Ok(LaunchPolicy::new(policy, counter))
}

pub(super) fn check_launch(values: &PcrValues) -> Result<(), RecordError> {
    match values.get(PcrIndex::LATCH) {
        Some(value) if value.iter().all(|byte| *byte == 0) => {}
        _ => {
            return Err(damaged(
                "it does not ask for an open latch (PCR 15 all zeros)",
            ));
        }
    }
    // What bank a record's values are of is checked where they become a policy: a record of SHA-1 values is
    // one of a TPM 1.2, and no TPM 2.0 is asked about it.
    let measured = match values.bank() {
        Bank::Sha1 => LaunchPcrs::check_tpm12(values),
        Bank::Sha256 | Bank::Sha384 => LaunchPcrs::check(values),
    };
    measured.map_err(|error| damaged(format!("it is not for a measured launch: {error}")))
}
