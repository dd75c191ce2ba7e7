//! One question and one reply, each a line of JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tpm::PcrValues;

use crate::unlock::pcr_map;

/// Longest question or reply in bytes, the line's end included.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// What the resident agent is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Question {
    /// Which secret is held: its public name.
    Which,
    /// A record for another launch.
    Seal(Box<SealRequest>),
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
    pub components: BTreeMap<String, String>,
    /// Seconds since 1970.
    pub created: u64,
    /// The files whose launch was predicted.
    pub files: Vec<MeasuredFile>,
}

/// A file of a launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredFile {
    /// Where its content lies now, below /boot.
    pub path: String,
    /// SHA-256 of the file as it lies on the disk, hex.
    pub sha256: String,
}

/// What the resident agent replies.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Reply {
    /// [`crate::unlock::BootSecret::id`] of the secret that is held.
    Holds(String),
    /// The record's token.
    Record(Value),
    /// Why not, in one sentence.
    Refused(String),
}
