//! Events with one digest each: register, type, digest, length of the data, data.
//!
//! The firmware's log of TPM 1.2 (`binary_bios_measurements`) is such a stream of SHA-1 digests.
//! TXT's legacy log of TPM 2.0 (heap element type 7) is one for each bank; other banks' than SHA-1
//! begin with a SHA-1 event that is not extended and whose data names the algorithm.

use tpm::pcr::Bank;
use txt::codec::{FormatError, Reader, value};

use super::{EV_NO_ACTION, EventLog, Format, LogError, LogEvent, NOT_EXTENDED, event::unused};

/// Length of the record that names a legacy log's algorithm: signature, revision, algorithm, size.
const DESCRIPTION_LEN: usize = 28;

/// Reads a stream.
pub fn parse(bytes: &[u8]) -> Result<EventLog, LogError> {
    let mut reader = Reader::new(bytes);
    if unused(bytes) {
        return Err(LogError::Empty);
    }
    let first = event(&mut reader, Bank::Sha1).map_err(LogError::Unknown)?;
    let (format, bank, mut events) = match described_bank(&first) {
        Some(bank) => (Format::TxtLegacy, bank, Vec::new()),
        None => (Format::Sha1Stream, Bank::Sha1, vec![first]),
    };
    while !unused(reader.rest()) {
        let event = event(&mut reader, bank);
        events.push(event.map_err(|source| LogError::Damaged { format, source })?);
    }
    Ok(EventLog { format, events })
}

/// Reads the events of one bank whose begin and end are known, as the TXT heap has them.
pub fn parse_bank(bytes: &[u8], bank: Bank) -> Result<EventLog, LogError> {
    let format = Format::TxtLegacy;
    let damaged = |source| LogError::Damaged { format, source };
    let mut reader = Reader::new(bytes);
    if bank != Bank::Sha1 && !bytes.is_empty() {
        event(&mut reader, Bank::Sha1).map_err(damaged)?;
    }
    let mut events = Vec::new();
    while !reader.rest().is_empty() {
        events.push(event(&mut reader, bank).map_err(damaged)?);
    }
    Ok(EventLog { format, events })
}

/// The bank that a legacy log's first record names.
fn described_bank(first: &LogEvent) -> Option<Bank> {
    if first.event_type != EV_NO_ACTION || first.data.len() != DESCRIPTION_LEN {
        return None;
    }
    let field = |at: usize| {
        let bytes = first.data.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    };
    let (alg, size) = (field(20)?, field(24)?);
    let bank = crate::platform::BANKS
        .into_iter()
        .find(|bank| u32::from(crate::platform::bank_alg(*bank).tpm_alg()) == alg)?;
    (size as usize == bank.digest_len()).then_some(bank)
}

/// One event with a digest of this bank.
pub(super) fn event(reader: &mut Reader<'_>, bank: Bank) -> Result<LogEvent, FormatError> {
    let offset = reader.offset();
    let pcr = pcr_field(reader.u32("pcr_index")?, offset)?;
    let event_type = reader.u32("event_type")?;
    let digest = reader.take("digest", bank.digest_len())?.to_vec();
    let len = reader.u32("event_data_size")?;
    let data = reader.take("event_data", len as usize)?.to_vec();
    Ok(LogEvent {
        pcr,
        event_type,
        digests: [(bank, digest)].into(),
        data,
    })
}

/// Checks a register's number.
pub(super) fn pcr_field(pcr: u32, offset: usize) -> Result<u32, FormatError> {
    match pcr {
        0..24 | NOT_EXTENDED | u32::MAX => Ok(pcr),
        _ => Err(value(
            "pcr_index",
            offset,
            "0 to 23, or 255 (not extended)",
            pcr,
        )),
    }
}
