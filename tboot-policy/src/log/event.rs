//! Events and logs of them.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use tpm::pcr::Bank;

use super::names;

/// The register of events that are not extended.
pub const NOT_EXTENDED: u32 = 0xff;
/// EV_NO_ACTION: not extended either.
pub const EV_NO_ACTION: u32 = 3;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "EventText", try_from = "EventText")]
pub struct LogEvent {
    /// The register; above 23 it is not extended.
    pub pcr: u32,
    /// What was measured, see [`names`].
    pub event_type: u32,
    /// The digest in each bank (banks other than SHA-1, SHA-256 and SHA-384 are left out).
    pub digests: BTreeMap<Bank, Vec<u8>>,
    /// What the log says about it: not authenticated unless it hashes to the digest.
    pub data: Vec<u8>,
}

impl LogEvent {
    /// Does it change a register?
    pub const fn is_extended(&self) -> bool {
        self.pcr < 24 && self.event_type != EV_NO_ACTION
    }

    /// The type's name, or its number.
    pub fn name(&self) -> String {
        names::name(self.event_type)
            .map_or_else(|| format!("{:#x}", self.event_type), str::to_owned)
    }
}

/// An event as JSON: digests and data in hexadecimal, the type's number with its name beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventText {
    pcr: u32,
    #[serde(rename = "type")]
    event_type: u32,
    /// For people; not read.
    #[serde(default)]
    name: String,
    digests: BTreeMap<Bank, String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    data: String,
}

impl From<LogEvent> for EventText {
    fn from(event: LogEvent) -> Self {
        Self {
            pcr: event.pcr,
            event_type: event.event_type,
            name: event.name(),
            digests: event
                .digests
                .iter()
                .map(|(bank, digest)| (*bank, hex::encode(digest)))
                .collect(),
            data: hex::encode(&event.data),
        }
    }
}

impl TryFrom<EventText> for LogEvent {
    type Error = EventTextError;

    fn try_from(text: EventText) -> Result<Self, Self::Error> {
        let bytes =
            |text: &str| hex::decode(text).map_err(|_| EventTextError::Hex(text.to_owned()));
        let mut digests = BTreeMap::new();
        for (bank, digest) in &text.digests {
            let digest = bytes(digest)?;
            if digest.len() != bank.digest_len() {
                return Err(EventTextError::Length {
                    bank: *bank,
                    found: digest.len(),
                });
            }
            digests.insert(*bank, digest);
        }
        Ok(Self {
            pcr: text.pcr,
            event_type: text.event_type,
            digests,
            data: bytes(&text.data)?,
        })
    }
}

/// JSON that is not an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventTextError {
    /// Not hexadecimal.
    #[error("{0:?} is not hexadecimal")]
    Hex(String),
    /// A digest of the wrong length.
    #[error("a {bank} digest has {} bytes, found {found}", .bank.digest_len())]
    Length {
        /// The bank.
        bank: Bank,
        /// How many bytes there are.
        found: usize,
    },
}

/// The form a log was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// TPM 1.2: TXT event container.
    TxtContainer,
    /// TPM 2.0: TXT's legacy log, one for each bank.
    TxtLegacy,
    /// TPM 1.2: events of the firmware.
    Sha1Stream,
    /// TCG's crypto-agile log.
    CryptoAgile,
    /// Printed by txt-stat or tboot.
    Text,
    /// Several logs as one, or a record made of a log.
    Merged,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TxtContainer => "TXT event container (TPM 1.2)",
            Self::TxtLegacy => "TXT legacy event log (TPM 2.0)",
            Self::Sha1Stream => "event log of TPM 1.2",
            Self::CryptoAgile => "TCG crypto-agile event log (TPM 2.0)",
            Self::Text => "text of txt-stat or tboot",
            Self::Merged => "several logs",
        })
    }
}

/// A whole log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLog {
    /// Its form.
    pub format: Format,
    /// The events in order.
    pub events: Vec<LogEvent>,
}

/// Nothing but 00 or ff from here on: the unused rest of a log's buffer.
pub(crate) fn unused(rest: &[u8]) -> bool {
    rest.iter().all(|byte| *byte == 0) || rest.iter().all(|byte| *byte == 0xff)
}
