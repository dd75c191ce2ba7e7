//! Revocation counters of lists.

use crate::codec::{FormatError, Reader};

/// The eight revocation counters.
pub(super) fn read_counters(reader: &mut Reader<'_>) -> Result<[u16; 8], FormatError> {
    let mut counters = [0; 8];
    for counter in &mut counters {
        *counter = reader.u16("data_revocation_counters")?;
    }
    Ok(counters)
}

/// The eight revocation counters as bytes.
pub(super) fn write_counters(counters: [u16; 8], out: &mut Vec<u8>) {
    for counter in counters {
        out.extend(counter.to_le_bytes());
    }
}
