//! The JSON form of an event.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tpm::pcr::Bank;

use super::LogEvent;

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
        EventText {
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
    type Error = String;

    fn try_from(text: EventText) -> Result<Self, String> {
        let bytes =
            |text: &str| hex::decode(text).map_err(|_| format!("{text:?} is not hexadecimal"));
        let mut digests = BTreeMap::new();
        for (bank, digest) in &text.digests {
            let digest = bytes(digest)?;
            if digest.len() != bank.digest_len() {
                let (expected, found) = (bank.digest_len(), digest.len());
                return Err(format!(
                    "a {bank} digest has {expected} bytes, found {found}"
                ));
            }
            digests.insert(*bank, digest);
        }
        Ok(LogEvent {
            pcr: text.pcr,
            event_type: text.event_type,
            digests,
            data: bytes(&text.data)?,
        })
    }
}
