//! What a sealed secret looks like outside the TPM.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The TPM name of an object: its name algorithm (2 bytes) and the digest of its public
/// area (TPM 2.0 Library, Part 1, 16). Text form: lower-case hex.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Vec<u8>);

impl Name {
    /// A name from its bytes: `000b` and a SHA-256 digest is the only kind taoboot makes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == 34 && bytes.starts_with(&[0x00, 0x0b])).then(|| Self(bytes.to_vec()))
    }

    /// The name of what has this SHA-256 digest of its public area.
    pub(crate) fn of_sha256(digest: [u8; 32]) -> Self {
        Self([&[0x00, 0x0b], digest.as_slice()].concat())
    }

    /// The name's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

/// A text that is not a TPM name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a TPM name: 000b and 64 hex digits")]
pub struct NameSyntaxError(String);

impl std::str::FromStr for Name {
    type Err = NameSyntaxError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::decode(text)
            .ok()
            .and_then(|bytes| Self::from_bytes(&bytes))
            .ok_or_else(|| NameSyntaxError(text.to_owned()))
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A secret as the TPM sealed it. Safe to store anywhere: only the TPM can open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Marshalled TPM2B_PUBLIC.
    pub public: Vec<u8>,
    /// Marshalled TPM2B_PRIVATE.
    pub private: Vec<u8>,
    /// Name of the storage key it was made under.
    pub parent: Name,
}
