//! One question and one reply, each a line of JSON.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tpm::{PcrIndex, PcrValues};
use zeroize::Zeroizing;

use crate::unlock::pcr_map;

/// Longest question or reply in bytes, the line's end included.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// What the resident agent is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Question {
    /// Which secret is held: its public name.
    Which,
    /// Is this token a record of the secret that is held, as it was made?
    Genuine(Box<Value>),
    /// Which key has the Tao host of this boot?
    HostKey,
    /// A record for another launch.
    Seal(Box<SealRequest>),
    /// Records for the launches they are for, with another PIN.
    ChangePin(Box<PinChange>),
}

/// Another PIN is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinChange {
    /// Who may ask for it.
    pub proof: PinProof,
    /// The new one, hex.
    pub new_pin: Confidential,
    /// The tokens of the records; none with the first PIN, which is for launches to come.
    pub records: Vec<Value>,
}

/// What entitles to set a PIN.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum PinProof {
    /// The present PIN, hex.
    Pin(Confidential),
    /// [`crate::unlock::VolumeSecret::pin_change_key`], hex: a passphrase of the volume opens the
    /// escrow that leads to it.
    VolumeKey(Confidential),
    /// Nothing, where there is no PIN yet: the first one only adds to what the next launch needs.
    First,
}

/// Text that is wiped when dropped and shown nowhere.
#[derive(Clone)]
pub struct Confidential(Zeroizing<String>);

impl Confidential {
    /// Bytes, as hex digits.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(hex::encode(bytes)))
    }

    /// The bytes again; `None` where it is not hex digits.
    pub fn bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        hex::decode(self.0.as_bytes()).ok().map(Zeroizing::new)
    }
}

impl Serialize for Confidential {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Confidential {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl fmt::Debug for Confidential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Confidential(..)")
    }
}

/// A record for another launch is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealRequest {
    /// A record of the secret that is held: volume, keyslot, swap and escrow come from it.
    pub pattern: Value,
    /// PCR values of the launch, without the latch.
    #[serde(with = "pcr_map")]
    pub pcrs: PcrValues,
    /// Highest value of the rollback counter at which the launch is approved.
    pub limit: Option<u64>,
    /// A note for people.
    pub label: String,
    /// Words for what is measured into a register.
    pub components: BTreeMap<PcrIndex, String>,
    /// Seconds since 1970.
    pub created: u64,
    /// The files whose launch was predicted.
    pub files: Vec<MeasuredFile>,
    /// Every extend of the launch, in its order.
    pub events: Vec<LaunchEvent>,
}

/// One extend of PCR 17, 18 or 19.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchEvent {
    /// The register.
    pub pcr: PcrIndex,
    /// What is extended.
    pub measured: Measure,
}

/// What an extend measures. Files are counted from 0 as they stand in the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Measure {
    /// tboot with its command line, as SINIT hashes it.
    Tboot {
        /// The file.
        file: usize,
        /// As GRUB passes it.
        cmdline: String,
    },
    /// A module with its command line, as tboot hashes it.
    Module {
        /// The file.
        file: usize,
        /// As GRUB passes it.
        cmdline: String,
    },
    /// What only the platform knows.
    Platform {
        /// The event's name.
        name: String,
        /// The digest, hex.
        sha256: String,
    },
    /// The same where it is the register's value already; only the first event can be that.
    Initial {
        /// The event's name.
        name: String,
        /// The value, hex.
        sha256: String,
    },
}

/// A file of a launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredFile {
    /// Where its content lies now, below /boot.
    pub path: String,
    /// SHA-256 of the file as it lies on the disk, hex.
    pub sha256: String,
    /// The path at which it will stand when GRUB loads it, if that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_at: Option<String>,
}

/// What the resident agent replies.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Reply {
    /// [`crate::unlock::BootSecret::id`] of the secret that is held.
    Holds(String),
    /// Whether it is.
    Genuine(bool),
    /// SHA-256 of the Tao host's key, hex, as the boot event names it.
    HostKey(String),
    /// The record's token.
    Record(Value),
    /// The tokens of records, in the order of those in the question.
    Records(Vec<Value>),
    /// Why not, in one sentence.
    Refused(String),
}
