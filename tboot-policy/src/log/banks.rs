//! The banks of a log, and one log of several banks.

use std::collections::BTreeSet;

use tpm::pcr::Bank;

use super::{
    error::LogError,
    event::{EventLog, Format, LogEvent},
};

impl EventLog {
    /// The banks of which every extended event has a digest.
    pub fn banks(&self) -> BTreeSet<Bank> {
        let mut banks: BTreeSet<Bank> = crate::platform::BANKS.into();
        for event in self.events.iter().filter(|event| event.is_extended()) {
            // What tboot extends itself may be in one bank only.
            if event.event_type == crate::log::event_type::TBOOT {
                continue;
            }
            banks.retain(|bank| event.digests.contains_key(bank));
        }
        let any = |bank: &Bank| self.events.iter().any(|e| e.digests.contains_key(bank));
        banks.retain(any);
        banks
    }

    /// One log of several banks, from a log for each, as TXT's legacy form keeps them.
    pub fn merge(logs: Vec<Self>) -> Result<Self, LogError> {
        let mut logs = logs.into_iter();
        let mut merged = logs.next().ok_or(LogError::Empty)?;
        for log in logs {
            merged.format = Format::Merged;
            merged.add(log)?;
        }
        Ok(merged)
    }

    fn add(&mut self, other: Self) -> Result<(), LogError> {
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
                _ if event.event_type == crate::log::event_type::TBOOT => {}
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
}
