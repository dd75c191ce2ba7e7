//! TCG's crypto-agile log: a first event in the old form whose data names the algorithms ("Spec ID
//! Event03"), then events with a digest for each of them (TCG PC Client Platform Firmware Profile,
//! 10.2; heap element type 8).

use std::collections::BTreeMap;

use tpm::pcr::Bank;
use txt::codec::{FormatError, Reader, value};

use super::{
    EventLog, Format, LogError, LogEvent,
    event::unused,
    stream::{self, pcr_field},
};

/// The begin of the first event's data.
const SIGNATURE: &[u8; 16] = b"Spec ID Event03\0";
/// Where it stands: behind register, type, SHA-1 digest and length.
const SIGNATURE_AT: usize = 32;
/// Most algorithms that a TPM has.
const MAX_ALGS: u32 = 16;
/// Longest digest of any algorithm, in bytes.
const MAX_DIGEST: u16 = 64;

/// Does it begin like such a log?
pub fn looks_like(bytes: &[u8]) -> bool {
    bytes
        .get(SIGNATURE_AT..)
        .is_some_and(|data| data.starts_with(SIGNATURE))
}

/// Reads a log.
pub fn parse(bytes: &[u8]) -> Result<EventLog, LogError> {
    events(bytes).map_err(|source| LogError::Damaged {
        format: Format::CryptoAgile,
        source,
    })
}

fn events(bytes: &[u8]) -> Result<EventLog, FormatError> {
    let mut reader = Reader::new(bytes);
    let first = stream::event(&mut reader, Bank::Sha1)?;
    let algs = algorithms(&first.data)?;
    let mut events = Vec::new();
    while !unused(reader.rest()) {
        events.push(event(&mut reader, &algs)?);
    }
    Ok(EventLog {
        format: Format::CryptoAgile,
        events,
    })
}

/// Digest lengths by algorithm, from the first event.
fn algorithms(data: &[u8]) -> Result<BTreeMap<u16, u16>, FormatError> {
    let mut reader = Reader::new(data);
    reader.take("signature", SIGNATURE.len())?;
    reader.take("platform class, versions, uintn size", 8)?;
    let offset = reader.offset();
    let count = reader.u32("number_of_algorithms")?;
    if count == 0 || count > MAX_ALGS {
        return Err(value("number_of_algorithms", offset, "1 to 16", count));
    }
    let mut algs = BTreeMap::new();
    for _ in 0..count {
        let alg = reader.u16("algorithm_id")?;
        let offset = reader.offset();
        let size = reader.u16("digest_size")?;
        let expected = bank(alg).map(Bank::digest_len);
        let right = expected.map_or(size > 0 && size <= MAX_DIGEST, |len| {
            len == usize::from(size)
        });
        if !right {
            let expected = expected.map_or("1 to 64".to_owned(), |len| len.to_string());
            return Err(value("digest_size", offset, expected, size));
        }
        algs.insert(alg, size);
    }
    Ok(algs)
}

fn bank(alg: u16) -> Option<Bank> {
    crate::platform::BANKS
        .into_iter()
        .find(|bank| crate::platform::bank_alg(*bank).tpm_alg() == alg)
}

fn event(reader: &mut Reader<'_>, algs: &BTreeMap<u16, u16>) -> Result<LogEvent, FormatError> {
    let offset = reader.offset();
    let pcr = pcr_field(reader.u32("pcr_index")?, offset)?;
    let event_type = reader.u32("event_type")?;
    let offset = reader.offset();
    let count = reader.u32("digest count")?;
    if count as usize > algs.len() {
        let expected = format!("at most {}, the algorithms of the log", algs.len());
        return Err(value("digest count", offset, expected, count));
    }
    let mut digests = BTreeMap::new();
    for _ in 0..count {
        let offset = reader.offset();
        let alg = reader.u16("hash_alg")?;
        let Some(size) = algs.get(&alg) else {
            return Err(value(
                "hash_alg",
                offset,
                "one of the log's algorithms",
                alg,
            ));
        };
        let digest = reader.take("digest", usize::from(*size))?;
        if let Some(bank) = bank(alg) {
            digests.insert(bank, digest.to_vec());
        }
    }
    let len = reader.u32("event_data_size")?;
    let data = reader.take("event_data", len as usize)?.to_vec();
    Ok(LogEvent {
        pcr,
        event_type,
        digests,
        data,
    })
}
