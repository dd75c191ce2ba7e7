//! The TXT event container of TPM 1.2 (heap element type 5): a header, then events with one SHA-1
//! digest each.

use tpm::pcr::Bank;
use txt::codec::{FormatError, Reader, value};

use super::{EventLog, Format, LogError, stream};

/// The begin of the container.
pub const SIGNATURE: &[u8; 20] = b"TXT Event Container\0";
/// Length of the header, in bytes.
const HEADER_LEN: u32 = 48;

/// Reads a container. It may be cut off behind its last event.
pub fn parse(bytes: &[u8]) -> Result<EventLog, LogError> {
    events(bytes).map_err(|source| LogError::Damaged {
        format: Format::TxtContainer,
        source,
    })
}

fn events(bytes: &[u8]) -> Result<EventLog, FormatError> {
    let mut reader = Reader::new(bytes);
    reader.take("signature", SIGNATURE.len())?;
    reader.take("reserved", 12)?;
    let offset = reader.offset();
    let version = reader.array::<4>("container and event version")?;
    if version != [1, 0, 1, 0] {
        let [major, ..] = version;
        return Err(value("container version", offset, "1.0, events 1.0", major));
    }
    let size = reader.u32("size")?;
    let offset = reader.offset();
    let (begin, next) = (
        reader.u32("pcr_events_offset")?,
        reader.u32("next_event_offset")?,
    );
    if begin < HEADER_LEN {
        return Err(value(
            "pcr_events_offset",
            offset,
            "at least 48 (behind the header)",
            begin,
        ));
    }
    if next < begin || next > size {
        let expected = format!("from {begin:#x} to the container's size {size:#x}");
        return Err(value(
            "next_event_offset",
            offset.saturating_add(4),
            expected,
            next,
        ));
    }
    reader.take(
        "bytes before the first event",
        begin.saturating_sub(HEADER_LEN) as usize,
    )?;
    let mut part = reader.part("events", next.saturating_sub(begin) as usize)?;
    let mut events = Vec::new();
    while !part.rest().is_empty() {
        events.push(stream::event(&mut part, Bank::Sha1)?);
    }
    Ok(EventLog {
        format: Format::TxtContainer,
        events,
    })
}
