//! The JSON part of a LUKS2 header as types (LUKS2 On-Disk Format Specification 1.1.0,
//! chapter 3). Unknown kinds of keyslots and tokens are kept apart, never used.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

/// Everything a LUKS2 JSON area says that is looked at.
#[derive(Clone, Debug, Deserialize)]
pub struct Metadata {
    /// Keyslots by number.
    #[serde(deserialize_with = "numbered")]
    pub keyslots: BTreeMap<u32, Keyslot>,
    /// Data segments by number.
    #[serde(deserialize_with = "numbered")]
    pub segments: BTreeMap<u32, Segment>,
    /// Volume key digests by number.
    #[serde(deserialize_with = "numbered")]
    pub digests: BTreeMap<u32, Digest>,
    /// Tokens by number.
    #[serde(deserialize_with = "numbered", default)]
    pub tokens: BTreeMap<u32, Token>,
    /// Sizes, flags and requirements.
    pub config: Config,
}

/// What the header says about itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Length of the JSON area in bytes.
    #[serde(deserialize_with = "decimal")]
    pub json_size: u64,
    /// Length of the keyslots area in bytes.
    #[serde(deserialize_with = "decimal")]
    pub keyslots_size: u64,
    /// Features without which the volume must not be touched.
    #[serde(default)]
    pub requirements: Requirements,
}

/// Requirements, such as `online-reencrypt`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Requirements {
    /// Names of mandatory features.
    #[serde(default)]
    pub mandatory: Vec<String>,
}

/// One keyslot.
#[derive(Clone, Debug)]
pub enum Keyslot {
    /// A keyslot of type `luks2`.
    Luks2(Luks2Keyslot),
    /// Another type (`reencrypt`, or one from the future), by name.
    Other(String),
}

/// A keyslot that a passphrase opens.
#[derive(Clone, Debug, Deserialize)]
pub struct Luks2Keyslot {
    /// Length of the stored key in bytes.
    pub key_size: u32,
    /// Anti-forensic splitter.
    pub af: AntiForensic,
    /// Where the encrypted key material lies.
    pub area: Area,
    /// How a passphrase becomes the area's key.
    pub kdf: Kdf,
    /// 0: only when asked for, 1: normal, 2: first.
    #[serde(default)]
    pub priority: Option<u32>,
}

/// Anti-forensic splitter of a keyslot.
#[derive(Clone, Debug, Deserialize)]
pub struct AntiForensic {
    /// `luks1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Number of stripes.
    pub stripes: u32,
    /// Hash of the diffuser.
    pub hash: String,
}

/// Area of a keyslot's key material.
#[derive(Clone, Debug, Deserialize)]
pub struct Area {
    /// `raw`.
    #[serde(rename = "type")]
    pub kind: String,
    /// First byte, from the beginning of the device.
    #[serde(deserialize_with = "decimal")]
    pub offset: u64,
    /// Length in bytes.
    #[serde(deserialize_with = "decimal")]
    pub size: u64,
    /// Cipher in dm-crypt notation.
    pub encryption: String,
    /// Length of the area's key in bytes.
    pub key_size: u32,
}

/// Password-based key derivation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Kdf {
    /// PBKDF2 (RFC 8018).
    Pbkdf2 {
        /// Hash of its HMAC.
        hash: String,
        /// Iterations.
        iterations: u32,
        /// Salt, base64.
        salt: String,
    },
    /// Argon2i (RFC 9106).
    Argon2i {
        /// Passes.
        time: u32,
        /// Memory in KiB.
        memory: u32,
        /// Lanes.
        cpus: u32,
        /// Salt, base64.
        salt: String,
    },
    /// Argon2id (RFC 9106).
    Argon2id {
        /// Passes.
        time: u32,
        /// Memory in KiB.
        memory: u32,
        /// Lanes.
        cpus: u32,
        /// Salt, base64.
        salt: String,
    },
}

/// One data segment.
#[derive(Clone, Debug, Deserialize)]
pub struct Segment {
    /// `crypt` or `linear`.
    #[serde(rename = "type")]
    pub kind: String,
    /// First byte of the data on the device.
    #[serde(deserialize_with = "decimal")]
    pub offset: u64,
    /// Length in bytes or `dynamic`.
    pub size: String,
    /// Added to the sector number for the initialization vector.
    #[serde(deserialize_with = "decimal", default)]
    pub iv_tweak: u64,
    /// Cipher in dm-crypt notation.
    #[serde(default)]
    pub encryption: String,
    /// Encryption sector size in bytes.
    #[serde(default)]
    pub sector_size: u32,
    /// dm-integrity below it.
    #[serde(default)]
    pub integrity: Option<Value>,
    /// Flags such as `in-reencryption`.
    #[serde(default)]
    pub flags: Vec<String>,
}

/// Digest that says whether a volume key is the right one.
#[derive(Clone, Debug, Deserialize)]
pub struct Digest {
    /// `pbkdf2`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Keyslots that hold its key.
    pub keyslots: Vec<String>,
    /// Segments that its key decrypts.
    pub segments: Vec<String>,
    /// Hash of its PBKDF2.
    #[serde(default)]
    pub hash: String,
    /// Iterations of its PBKDF2.
    #[serde(default)]
    pub iterations: u32,
}

/// One token; taoboot's own are parsed further by [`super::find_records`].
#[derive(Clone, Debug)]
pub struct Token {
    /// Its type.
    pub kind: String,
    /// The keyslots it belongs to.
    pub keyslots: Vec<u32>,
    /// The whole JSON object.
    pub json: Value,
}

/// Metadata that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The padding is not zeros.
    #[error("unexpected data after the end of the JSON text")]
    Behind,
    /// Not JSON, or another form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Metadata {
    /// The JSON text up to its padding, as a tree. The padding must be zeros only.
    pub(crate) fn tree(area: &[u8]) -> Result<Value, MetadataError> {
        let end = area
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(area.len());
        let (text, padding) = area.split_at_checked(end).unwrap_or((area, &[]));
        if padding.iter().any(|byte| *byte != 0) {
            return Err(MetadataError::Behind);
        }
        Ok(serde_json::from_slice(text)?)
    }

    /// The tree as types.
    pub(crate) fn from_tree(tree: &Value) -> Result<Self, MetadataError> {
        Ok(Self::deserialize(tree)?)
    }
}

impl<'de> Deserialize<'de> for Keyslot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tree = Value::deserialize(deserializer)?;
        match tree.get("type").and_then(Value::as_str) {
            Some("luks2") => Luks2Keyslot::deserialize(&tree)
                .map(Keyslot::Luks2)
                .map_err(|error| D::Error::custom(format!("keyslot: {error}"))),
            Some(other) => Ok(Self::Other(other.chars().take(64).collect())),
            None => Err(D::Error::custom("a keyslot has no type")),
        }
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        let kind = json
            .get("type")
            .and_then(Value::as_str)
            .ok_or_else(|| D::Error::custom("a token has no type"))?
            .to_owned();
        let keyslots = json
            .get("keyslots")
            .and_then(Value::as_array)
            .ok_or_else(|| D::Error::custom("a token has no keyslots array"))?
            .iter()
            .map(|number| number.as_str().and_then(slot_number))
            .collect::<Option<Vec<u32>>>()
            .ok_or_else(|| D::Error::custom("a token's keyslots are not numbers"))?;
        Ok(Self {
            kind,
            keyslots,
            json,
        })
    }
}

/// LUKS2 numbers its objects 0 to 31 and writes the number as text without leading zeros.
pub(crate) fn slot_number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok().filter(|number| *number < 32)?;
    (number.to_string() == text).then_some(number)
}

/// An object whose keys are slot numbers.
fn numbered<'de, D, T>(deserializer: D) -> Result<BTreeMap<u32, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    BTreeMap::<String, T>::deserialize(deserializer)?
        .into_iter()
        .map(|(key, value)| match slot_number(&key) {
            Some(number) => Ok((number, value)),
            None => Err(D::Error::custom(format!(
                "{:?} is not an object number from 0 to 31",
                key.chars().take(32).collect::<String>()
            ))),
        })
        .collect()
}

/// LUKS2 writes 64-bit numbers as decimal text.
fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_decimal(&text).ok_or_else(|| {
        D::Error::custom(format!(
            "{:?} is not a decimal number",
            text.chars().take(32).collect::<String>()
        ))
    })
}

/// Digits only: `u64::from_str` would also take a plus sign.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}
