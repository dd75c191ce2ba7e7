//! Event logs: what was extended into which PCR, in every form in which a TXT host keeps it.
//!
//! A log is untrusted: nothing follows from it until it replays to the PCRs (see [`replay`]).
//!
//! * [`container`]: TPM 1.2, the "TXT Event Container" of the TXT heap.
//! * [`stream`]: one digest an event: TPM 1.2 firmware logs, TXT's legacy logs of TPM 2.0.
//! * [`crypto_agile`]: several digests an event, TCG's log: TXT's and the firmware's
//!   (`binary_bios_measurements`).
//! * [`text`]: what `txt-stat` and tboot print.
//! * [`heap`]: the TXT heap of the running machine.
//! * [`names`]: what the event types mean.
//! * [`replay`]: from events to PCR values, and where they first differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use tpm::pcr::Bank;
use txt::codec::FormatError;

pub mod container;
pub mod crypto_agile;
pub mod heap;
mod json;
pub mod names;
pub mod replay;
pub mod stream;
pub mod text;

pub use json::EventText;

/// Longest log that is read, in bytes.
pub const MAX_LEN: usize = 16 << 20;
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
            Format::TxtContainer => "TXT event container (TPM 1.2)",
            Format::TxtLegacy => "TXT legacy event log (TPM 2.0)",
            Format::Sha1Stream => "event log of TPM 1.2",
            Format::CryptoAgile => "TCG crypto-agile event log (TPM 2.0)",
            Format::Text => "text of txt-stat or tboot",
            Format::Merged => "several logs",
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

/// What is no event log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Larger than [`MAX_LEN`].
    #[error("the log has more than {MAX_LEN} bytes: it is no event log")]
    TooLong,
    /// Empty, or nothing but zeros.
    #[error("the log holds no event: was it a measured launch? Was it read as root?")]
    Empty,
    /// None of the forms.
    #[error("this is no event log: {0}")]
    Unknown(FormatError),
    /// One of the forms, but damaged.
    #[error("the log ({format}) is damaged: {source}")]
    Damaged {
        /// The form.
        format: Format,
        /// What is wrong.
        source: FormatError,
    },
    /// Text that is damaged.
    #[error("line {line}: {what}")]
    Text {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Logs that don't belong together.
    #[error(
        "the logs don't belong together: event {index} is {first} in one and {second} in another"
    )]
    NotTogether {
        /// The event's place, from 0.
        index: usize,
        /// The event in the first log.
        first: String,
        /// The event in the other.
        second: String,
    },
}

impl EventLog {
    /// Reads a log in whatever form it is.
    pub fn parse(bytes: &[u8]) -> Result<Self, LogError> {
        if bytes.len() > MAX_LEN {
            return Err(LogError::TooLong);
        }
        let log = if bytes.starts_with(container::SIGNATURE) {
            container::parse(bytes)?
        } else if text::looks_like(bytes) {
            text::parse(bytes)?
        } else if crypto_agile::looks_like(bytes) {
            crypto_agile::parse(bytes)?
        } else {
            stream::parse(bytes)?
        };
        if log.events.is_empty() {
            return Err(LogError::Empty);
        }
        Ok(log)
    }

    /// The banks of which every extended event has a digest.
    pub fn banks(&self) -> BTreeSet<Bank> {
        let mut banks: BTreeSet<Bank> = crate::platform::BANKS.into();
        for event in self.events.iter().filter(|event| event.is_extended()) {
            // What tboot extends itself may be in one bank only.
            if event.event_type == crate::launch::event_type::TBOOT {
                continue;
            }
            banks.retain(|bank| event.digests.contains_key(bank));
        }
        let any = |bank: &Bank| self.events.iter().any(|e| e.digests.contains_key(bank));
        banks.retain(any);
        banks
    }

    /// One log of several banks, from a log for each, as TXT's legacy form keeps them.
    pub fn merge(logs: Vec<EventLog>) -> Result<Self, LogError> {
        let mut logs = logs.into_iter();
        let mut merged = logs.next().ok_or(LogError::Empty)?;
        for log in logs {
            merged.format = Format::Merged;
            merged.add(log)?;
        }
        Ok(merged)
    }

    fn add(&mut self, other: EventLog) -> Result<(), LogError> {
        let mut rest = other.events.into_iter().peekable();
        for (index, event) in self.events.iter_mut().enumerate() {
            let key = |event: &LogEvent| (event.pcr, event.event_type);
            match rest.peek() {
                Some(next) if key(next) == key(event) => {
                    if let Some(next) = rest.next() {
                        event.digests.extend(next.digests);
                    }
                }
                // tboot writes what it extends into one bank into that bank's log only.
                _ if event.event_type == crate::launch::event_type::TBOOT => {}
                next => {
                    let show = |event: &LogEvent| format!("{} in PCR {}", event.name(), event.pcr);
                    return Err(LogError::NotTogether {
                        index,
                        first: show(event),
                        second: next.map_or("missing".to_owned(), show),
                    });
                }
            }
        }
        self.events.extend(rest);
        Ok(())
    }
}

/// Nothing but 00 or ff from here on: the unused rest of a log's buffer.
pub(crate) fn unused(rest: &[u8]) -> bool {
    rest.iter().all(|byte| *byte == 0) || rest.iter().all(|byte| *byte == 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(pcr: u32, event_type: u32, bank: Bank) -> LogEvent {
        LogEvent {
            pcr,
            event_type,
            digests: [(bank, vec![1; bank.digest_len()])].into(),
            data: Vec::new(),
        }
    }

    fn log(bank: Bank, types: &[u32]) -> EventLog {
        EventLog {
            format: Format::TxtLegacy,
            events: types.iter().map(|t| event(17, *t, bank)).collect(),
        }
    }

    #[test]
    fn logs_of_several_banks_become_one() {
        let merged = EventLog::merge(vec![
            log(Bank::Sha1, &[0x402, 0x404]),
            log(Bank::Sha256, &[0x402, 0x404, 0x501]),
        ])
        .unwrap();
        assert_eq!(merged.events.len(), 3);
        assert_eq!(merged.events[0].digests.len(), 2);
        assert_eq!(merged.banks(), [Bank::Sha1, Bank::Sha256].into());
        let error = EventLog::merge(vec![
            log(Bank::Sha1, &[0x402, 0x404]),
            log(Bank::Sha256, &[0x402, 0x414]),
        ]);
        let text = error.unwrap_err().to_string();
        assert!(
            text.contains("event 1 is MLE_HASH in PCR 17 in one and NV_INFO_HASH"),
            "{text}"
        );
    }

    #[test]
    fn what_is_no_log_is_refused() {
        for bytes in [
            &b""[..],
            &[0; 64],
            b"hello, world",
            &[0xff; 100],
            b"%PDF-1.4 and so on and so on and so on",
        ] {
            assert!(EventLog::parse(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(
            EventLog::parse(&vec![0; MAX_LEN + 1]),
            Err(LogError::TooLong)
        );
    }
}
