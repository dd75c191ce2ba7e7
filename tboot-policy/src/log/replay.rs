//! From events to PCR values, and to what they were expected to be.

use std::collections::{BTreeMap, BTreeSet};

use tpm::pcr::{Bank, PcrIndex, PcrValues};
use txt::hash::HashAlg;

use super::{EV_NO_ACTION, EventLog, LogEvent, event_type};
use crate::platform::bank_alg;

/// The begin of the event that says at which locality the firmware started the TPM.
const STARTUP_LOCALITY: &[u8] = b"StartupLocality\0";

/// The firmware was measured by the hardware (H-CRTM), before the TPM was started: PCR 0 then begins
/// at 4, the locality of that measurement (TPM 2.0 Library, Part 1, "H-CRTM").
const EV_EFI_HCRTM_EVENT: u32 = 0x8000_0010;

/// What a log says of one register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// The bank.
    pub bank: Bank,
    /// The register.
    pub pcr: u8,
    /// Its value after the log, by each reading of HASH_START (the same where there is none).
    pub replayed: BTreeMap<Reading, Vec<u8>>,
    /// What it was expected to be.
    pub expected: Option<Vec<u8>>,
    /// Whether they agree.
    pub agreement: Agreement,
}

/// How the digest of HASH_START becomes PCR 17. Logs differ, so that both are tried against the
/// live register.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// The log has the digest of the measured data, and it is extended as a TPM does it.
    Extended,
    /// The log has the finished value of PCR 17.
    Value,
}

impl Reading {
    /// Both, the one that TPMs perform first.
    pub const BOTH: [Self; 2] = [Self::Extended, Self::Value];

    /// The words for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Extended => "HASH_START extended",
            Self::Value => "HASH_START as value",
        }
    }
}

/// How a register and the log go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Nothing to compare with.
    NotCompared,
    /// The log leads to the value.
    Agrees(Reading),
    /// The value is that after some of the events: the log goes on where the register did not.
    After {
        /// The reading of HASH_START.
        reading: Reading,
        /// Places in the log of the events that the register has not seen; at least one.
        unseen: Vec<usize>,
    },
    /// With one event left out the log leads to the value.
    Without {
        /// The reading of HASH_START.
        reading: Reading,
        /// The event's place in the log.
        event: usize,
    },
    /// The register is in the state of a machine without a measured launch.
    NotLaunched,
    /// No begin of the log leads to the value.
    Differs,
}

/// The events of one register with their places in the log.
fn events_of(log: &EventLog, bank: Bank, pcr: u8) -> Vec<(usize, &LogEvent, &[u8])> {
    log.events
        .iter()
        .enumerate()
        .filter(|(_, event)| event.is_extended() && event.pcr == u32::from(pcr))
        .filter_map(|(place, event)| Some((place, event, event.digests.get(&bank)?.as_slice())))
        .collect()
}

/// What a register holds before the first event.
fn start(log: &EventLog, bank: Bank, pcr: u8) -> Vec<u8> {
    let mut value = vec![0; bank.digest_len()];
    let first = log.events.iter().filter(|event| event.pcr == 0);
    let locality = first.clone().find_map(|event| {
        (event.event_type == EV_NO_ACTION)
            .then(|| event.data.strip_prefix(STARTUP_LOCALITY)?.first().copied())?
    });
    let locality = match locality {
        None if first
            .clone()
            .any(|event| event.event_type == EV_EFI_HCRTM_EVENT) =>
        {
            Some(4)
        }
        locality => locality,
    };
    if let (0, Some(locality), Some(last)) = (pcr, locality, value.last_mut()) {
        *last = locality;
    }
    value
}

fn extend(
    alg: HashAlg,
    value: &[u8],
    event: &LogEvent,
    digest: &[u8],
    reading: Reading,
) -> Vec<u8> {
    if event.event_type == event_type::HASH_START && reading == Reading::Value {
        return digest.to_vec();
    }
    alg.digest_parts(&[value, digest]).as_bytes().to_vec()
}

/// The value of a register after a log.
pub fn value(log: &EventLog, bank: Bank, pcr: u8, reading: Reading) -> Vec<u8> {
    let begin = start(log, bank, pcr);
    events_of(log, bank, pcr)
        .iter()
        .fold(begin, |value, (_, event, digest)| {
            extend(bank_alg(bank), &value, event, digest, reading)
        })
}

/// The registers that a log extends in a bank, 17 to 19 in any case where it is a launch's.
pub fn registers(log: &EventLog, bank: Bank) -> BTreeSet<u8> {
    let mut registers: BTreeSet<u8> = log
        .events
        .iter()
        .filter(|event| event.is_extended() && event.digests.contains_key(&bank))
        .filter_map(|event| u8::try_from(event.pcr).ok())
        .collect();
    if registers.contains(&17) {
        registers.extend([17, 18, 19]);
    }
    registers
}

/// PCR 17, 18 and 19 after a log.
pub fn launch_values(
    log: &EventLog,
    bank: Bank,
    reading: Reading,
) -> Result<PcrValues, tpm::pcr::PcrSyntaxError> {
    let mut values = PcrValues::new(bank);
    for pcr in 17..=19 {
        values.insert(PcrIndex::try_from(pcr)?, value(log, bank, pcr, reading))?;
    }
    Ok(values)
}

/// Compares a log with register values, those of every bank that it has.
pub fn compare(log: &EventLog, expected: &[PcrValues]) -> Vec<Register> {
    let mut compared = Vec::new();
    let mut banks = log.banks();
    let given = |bank: Bank| expected.iter().find(|values| values.bank() == bank);
    banks.extend(expected.iter().map(PcrValues::bank));
    for bank in banks {
        for pcr in registers(log, bank) {
            let Ok(index) = PcrIndex::try_from(pcr) else {
                continue;
            };
            let expected = given(bank)
                .and_then(|values| values.get(index))
                .map(<[u8]>::to_vec);
            let replayed = Reading::BOTH.map(|reading| (reading, value(log, bank, pcr, reading)));
            let agreement = match &expected {
                None => Agreement::NotCompared,
                Some(expected) => agreement(log, bank, pcr, expected),
            };
            compared.push(Register {
                bank,
                pcr,
                replayed: replayed.into(),
                expected,
                agreement,
            });
        }
    }
    compared
}

fn agreement(log: &EventLog, bank: Bank, pcr: u8, expected: &[u8]) -> Agreement {
    let alg = bank_alg(bank);
    let events = events_of(log, bank, pcr);
    for reading in Reading::BOTH {
        if value(log, bank, pcr, reading) == expected {
            return Agreement::Agrees(reading);
        }
    }
    if pcr >= 17 && expected.iter().all(|byte| *byte == 0xff) {
        return Agreement::NotLaunched;
    }
    for reading in Reading::BOTH {
        let mut value = start(log, bank, pcr);
        for (seen, (_, event, digest)) in events.iter().enumerate() {
            if value == expected {
                let unseen = events.iter().skip(seen).map(|(place, ..)| *place).collect();
                return Agreement::After { reading, unseen };
            }
            value = extend(alg, &value, event, digest, reading);
        }
        for skipped in 0..events.len() {
            let rest = events.iter().enumerate().filter(|(n, _)| *n != skipped);
            let value = rest.fold(start(log, bank, pcr), |value, (_, (_, event, digest))| {
                extend(alg, &value, event, digest, reading)
            });
            if let (true, Some((event, ..))) = (value == expected, events.get(skipped)) {
                let event = *event;
                return Agreement::Without { reading, event };
            }
        }
    }
    Agreement::Differs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Format;

    fn event(pcr: u32, event_type: u32, data: &[u8]) -> LogEvent {
        LogEvent {
            pcr,
            event_type,
            digests: [(Bank::Sha256, vec![7; 32])].into(),
            data: data.to_vec(),
        }
    }

    fn value_of(events: Vec<LogEvent>, pcr: u8) -> Vec<u8> {
        let format = Format::CryptoAgile;
        value(
            &EventLog { format, events },
            Bank::Sha256,
            pcr,
            Reading::Extended,
        )
    }

    #[test]
    fn pcr_0_begins_where_the_firmware_was_measured_from() {
        let from = |first: u8| {
            let mut begin = vec![0; 32];
            *begin.last_mut().unwrap() = first;
            let alg = bank_alg(Bank::Sha256);
            alg.digest_parts(&[&begin, &[7; 32]]).as_bytes().to_vec()
        };
        let hcrtm = event(0, EV_EFI_HCRTM_EVENT, b"HCRTM");
        assert_eq!(value_of(vec![hcrtm.clone()], 0), from(4));
        assert_eq!(value_of(vec![event(0, 8, b"x")], 0), from(0));
        let three = event(0, EV_NO_ACTION, b"StartupLocality\0\x03");
        assert_eq!(value_of(vec![three.clone(), event(0, 8, b"x")], 0), from(3));
        // What the log says itself counts; other registers begin at zero.
        assert_eq!(value_of(vec![three, hcrtm.clone()], 0), from(3));
        assert_eq!(value_of(vec![hcrtm, event(1, 8, b"x")], 1), from(0));
    }
}
