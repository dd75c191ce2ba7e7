//! The encrypted volume's header, and the sealed records in it.

use crate::{
    boot::{devices::BlockDevice, progress::Progress, report::Report},
    unlock::{CheckedHeader, HeaderError, SealedRecord, find_records},
};

/// Reads the header once into memory and checks that copy.
pub(super) fn read_header(container: &BlockDevice) -> Result<CheckedHeader, HeaderError> {
    CheckedHeader::read(&container.node())
}

/// The records that can be used; the others are named.
pub(super) fn usable(
    header: &CheckedHeader,
    progress: &mut Progress,
    report: &mut Report,
) -> Vec<SealedRecord> {
    let mut usable = Vec::new();
    report.volume = Some(header.uuid().to_string());
    for (token, record) in find_records(header) {
        match record {
            Ok(record) => usable.push(record),
            Err(error) => {
                let text = format!("{token} is ignored: {error}");
                progress.warn(&text);
                report.warnings.push(text);
            }
        }
    }
    usable
}
