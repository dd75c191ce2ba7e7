//! The sealed record: what a LUKS2 token of type `taoboot` holds, one for each approved launch.
//!
//! It lies unauthenticated on the disk. Before the TPM released the secret everything in it
//! is only a hint, bounded and checked for form; the TPM itself enforces the PCR values.
//! Afterwards [`SealedRecord::verify_mac`] says whether the rest is as it was enrolled.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use tpm::{Name, PcrIndex, PcrPolicy, PcrValues, Sealed};

use super::{
    explain::is_no_launch, identity::VolumeIdentity, metadata::slot_number, pcr_map,
    secret::BootSecret, swap::SwapSpec,
};

/// Type of the LUKS2 token.
pub const TOKEN_TYPE: &str = "taoboot";
const VERSION: u32 = 1;
/// A sealed 32-byte secret needs about 80 and 220 bytes.
const MAX_BLOB: usize = 1024;
/// Characters in the label and in each component's name.
pub(crate) const MAX_TEXT: usize = 120;

/// Why a token is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Not a record at all, or a field that cannot be.
    #[error("the record is damaged: {0}")]
    Damaged(String),
    /// Written by a newer taoboot.
    #[error("the record has format version {0}, this program knows version 1")]
    Version(u64),
    /// Made for another volume, or the volume's header was changed.
    #[error(
        "the record was made for a volume with {what} {enrolled}, this one has {found}: enroll again if you changed it yourself"
    )]
    OtherVolume {
        /// What differs.
        what: &'static str,
        /// Value in the record.
        enrolled: String,
        /// Value in the header.
        found: String,
    },
    /// The keyslot is gone or unusable.
    #[error("the record's keyslot was removed or cannot be used ({0}): enroll again")]
    Keyslot(String),
    /// The authentication code does not match.
    #[error(
        "the record was changed after it was enrolled (its authentication code does not match)"
    )]
    Forged,
}

/// What a new record is made of.
#[derive(Clone, Debug)]
pub struct RecordParts {
    /// The keyslot that the derived passphrase opens.
    pub keyslot: u32,
    /// The volume it belongs to.
    pub volume: VolumeIdentity,
    /// PCR values the secret is sealed to, the latch's zeros included.
    pub expected: PcrValues,
    /// The sealed boot secret.
    pub sealed: Sealed,
    /// A note for people, such as the kernel's version.
    pub label: String,
    /// The partition that becomes swap under a random key.
    pub swap: Option<SwapSpec>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// Words for what is measured into a register.
    pub components: BTreeMap<PcrIndex, String>,
}

/// A record of correct form. Its truth is established by the TPM and [`Self::verify_mac`].
#[derive(Clone, Debug)]
pub struct SealedRecord {
    parts: RecordParts,
    policy: PcrPolicy,
    secret_id: String,
    mac: Vec<u8>,
}

/// The token's JSON. The order of the fields is the canonical one of the MAC.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenJson {
    #[serde(rename = "type")]
    kind: String,
    keyslots: Vec<String>,
    version: u32,
    volume: VolumeIdentity,
    bank: String,
    #[serde(with = "pcr_map")]
    pcrs: PcrValues,
    public: String,
    private: String,
    parent: Name,
    #[serde(default)]
    label: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    swap: Option<SwapSpec>,
    created: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    components: BTreeMap<String, String>,
    secret_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
}

impl SealedRecord {
    /// Makes and authenticates a new record.
    pub fn new(parts: RecordParts, secret: &BootSecret) -> Result<Self, RecordError> {
        let policy = checked_policy(&parts)?;
        let mut record = SealedRecord {
            parts,
            policy,
            secret_id: secret.id(),
            mac: Vec::new(),
        };
        record.mac = record
            .authenticator(secret)?
            .finalize()
            .into_bytes()
            .to_vec();
        Ok(record)
    }

    /// Reads a token's JSON object.
    pub fn from_token(json: &Value) -> Result<Self, RecordError> {
        let damaged = |reason: &str| RecordError::Damaged(reason.into());
        if let Some(version) = json.get("version").and_then(Value::as_u64)
            && version != u64::from(VERSION)
        {
            return Err(RecordError::Version(version));
        }
        let token = TokenJson::deserialize(json)
            .map_err(|error| damaged(&error.to_string().chars().take(200).collect::<String>()))?;
        if token.kind != TOKEN_TYPE || token.bank != "sha256" {
            return Err(damaged("its type or its PCR bank is another"));
        }
        let keyslot = match token.keyslots.as_slice() {
            [number] => slot_number(number).ok_or_else(|| damaged("its keyslot is no number"))?,
            [] => return Err(RecordError::Keyslot("it names none".into())),
            _ => return Err(damaged("it names more than one keyslot")),
        };
        let components = token
            .components
            .into_iter()
            .map(|(pcr, words)| {
                let pcr = pcr
                    .parse::<u8>()
                    .ok()
                    .and_then(|pcr| PcrIndex::try_from(pcr).ok());
                pcr.map(|pcr| (pcr, words))
            })
            .collect::<Option<BTreeMap<_, _>>>()
            .ok_or_else(|| damaged("a component's key is no PCR number"))?;
        let mac = token
            .mac
            .ok_or_else(|| damaged("it has no authentication code"))?;
        let parts = RecordParts {
            keyslot,
            volume: token.volume,
            expected: token.pcrs,
            sealed: Sealed {
                public: blob("public", &token.public)?,
                private: blob("private", &token.private)?,
                parent: token.parent,
            },
            label: token.label,
            swap: token.swap,
            created: token.created,
            components,
        };
        let policy = checked_policy(&parts)?;
        let mac = hex::decode(mac)
            .ok()
            .filter(|mac| mac.len() == 32)
            .ok_or_else(|| damaged("its authentication code is not 64 hex digits"))?;
        if token.secret_id.len() != 32 || !token.secret_id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(damaged("the id of its secret is not 32 hex digits"));
        }
        Ok(SealedRecord {
            parts,
            policy,
            secret_id: token.secret_id,
            mac,
        })
    }

    /// The JSON object to be stored as a LUKS2 token.
    pub fn to_token(&self) -> Result<Value, RecordError> {
        let token = TokenJson {
            mac: Some(hex::encode(&self.mac)),
            ..self.without_mac()
        };
        serde_json::to_value(token).map_err(|error| RecordError::Damaged(error.to_string()))
    }

    /// Is the record the one that was enrolled together with this secret?
    pub fn verify_mac(&self, secret: &BootSecret) -> Result<(), RecordError> {
        let mac = self.authenticator(secret)?;
        mac.verify_slice(&self.mac).map_err(|_| RecordError::Forged)
    }

    /// The keyslot that the derived passphrase opens.
    pub const fn keyslot(&self) -> u32 {
        self.parts.keyslot
    }

    /// The volume the record was made for.
    pub const fn volume(&self) -> &VolumeIdentity {
        &self.parts.volume
    }

    /// The policy the secret is sealed to.
    pub const fn policy(&self) -> &PcrPolicy {
        &self.policy
    }

    /// The PCR values the secret is sealed to.
    pub const fn expected(&self) -> &PcrValues {
        &self.parts.expected
    }

    /// The sealed secret.
    pub const fn sealed(&self) -> &Sealed {
        &self.parts.sealed
    }

    /// The note for people.
    pub fn label(&self) -> &str {
        &self.parts.label
    }

    /// The swap partition. To be acted on only after [`Self::verify_mac`].
    pub const fn swap(&self) -> Option<&SwapSpec> {
        self.parts.swap.as_ref()
    }

    /// When it was made, in seconds since 1970.
    pub const fn created(&self) -> u64 {
        self.parts.created
    }

    /// Words for what is measured into a register.
    pub const fn components(&self) -> &BTreeMap<PcrIndex, String> {
        &self.parts.components
    }

    /// The public name of the sealed secret, [`BootSecret::id`].
    pub fn secret_id(&self) -> &str {
        &self.secret_id
    }

    fn authenticator(&self, secret: &BootSecret) -> Result<Hmac<Sha256>, RecordError> {
        let damaged = |reason: String| RecordError::Damaged(reason);
        let text = serde_json::to_vec(&self.without_mac()).map_err(|e| damaged(e.to_string()))?;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.record_mac_key().as_slice())
            .map_err(|e| damaged(e.to_string()))?;
        mac.update(&text);
        Ok(mac)
    }

    fn without_mac(&self) -> TokenJson {
        let parts = self.parts.clone();
        TokenJson {
            kind: TOKEN_TYPE.into(),
            keyslots: vec![parts.keyslot.to_string()],
            version: VERSION,
            volume: parts.volume,
            bank: "sha256".into(),
            pcrs: parts.expected,
            public: BASE64.encode(&parts.sealed.public),
            private: BASE64.encode(&parts.sealed.private),
            parent: parts.sealed.parent,
            label: parts.label,
            swap: parts.swap,
            created: parts.created,
            components: parts
                .components
                .into_iter()
                .map(|(pcr, words)| (pcr.to_string(), words))
                .collect(),
            secret_id: self.secret_id.clone(),
            mac: None,
        }
    }
}

fn blob(what: &str, text: &str) -> Result<Vec<u8>, RecordError> {
    let bytes = BASE64.decode(text).ok();
    bytes
        .filter(|bytes| !bytes.is_empty() && bytes.len() <= MAX_BLOB)
        .ok_or_else(|| {
            RecordError::Damaged(format!(
                "its {what} part is not 1 to {MAX_BLOB} bytes of base64"
            ))
        })
}

/// Text that may be printed on a console: an escape sequence in a label is an attack.
pub(crate) fn is_printable(text: &str) -> bool {
    text.chars().count() <= MAX_TEXT && !text.chars().any(char::is_control)
}

fn checked_policy(parts: &RecordParts) -> Result<PcrPolicy, RecordError> {
    let damaged = |reason: &str| Err(RecordError::Damaged(reason.into()));
    if !is_printable(&parts.label) || !parts.components.values().all(|text| is_printable(text)) {
        return damaged("a label has control characters or is too long");
    }
    match parts.expected.get(PcrIndex::LATCH) {
        Some(value) if value.iter().all(|byte| *byte == 0) => {}
        _ => return damaged("it does not ask for an open latch (PCR 15 all zeros)"),
    }
    if is_no_launch(&parts.expected) {
        return damaged(
            "it is for a machine without a measured launch (a PCR from 17 on all ones)",
        );
    }
    PcrPolicy::new(parts.expected.clone())
        .ok_or_else(|| RecordError::Damaged("its PCR values make no policy".into()))
}
