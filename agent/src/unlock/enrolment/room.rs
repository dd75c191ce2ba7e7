//! Is there room in the header for what is about to be written? libcryptsetup says only "Invalid
//! argument" where there is none, and then part of it is written.

use serde_json::Value;

use super::error::EnrolmentError;
use crate::unlock::{
    binary_header::BINARY_LEN,
    header::{CheckedHeader, VolumeHeader},
    metadata::{Keyslot, Metadata},
};

/// LUKS2 numbers tokens and keyslots 0 to 31.
pub(super) const OBJECTS: usize = 32;
/// Stripes of the anti-forensic splitter, which libcryptsetup always uses.
const STRIPES: u64 = 4000;
/// What a keyslot adds to the JSON text: about 450 bytes with the longest names.
const KEYSLOT_TEXT: usize = 640;
/// A token's number, quotes, colon and comma.
const AROUND: usize = 8;

/// Refuses a token that does not fit; `replaced` will be gone.
pub(super) fn for_token(
    header: &VolumeHeader,
    token: &Value,
    replaced: Option<u32>,
) -> Result<(), EnrolmentError> {
    let tokens = &header.metadata().tokens;
    if replaced.is_none() && tokens.len() >= OBJECTS {
        return Err(EnrolmentError::TokensFull(header.device().into()));
    }
    let gone = replaced
        .and_then(|number| tokens.get(&number))
        .map_or(0, |token| token.json.to_string().len());
    text_fits(header, token.to_string().len().saturating_add(AROUND), gone)
}

/// Refuses tokens that do not fit beside all that is there.
pub(super) fn for_all(header: &VolumeHeader, tokens: &[Value]) -> Result<(), EnrolmentError> {
    let count = header.metadata().tokens.len();
    if count.saturating_add(tokens.len()) > OBJECTS {
        return Err(EnrolmentError::TokensFull(header.device().into()));
    }
    let lengths = tokens.iter().map(|token| token.to_string().len());
    let needed = lengths.fold(0_usize, |sum, length| {
        sum.saturating_add(length).saturating_add(AROUND)
    });
    text_fits(header, needed, 0)
}

/// Refuses a keyslot that does not fit, with the token that will mark it.
pub(super) fn for_keyslot(header: &CheckedHeader, token: &Value) -> Result<(), EnrolmentError> {
    let metadata = header.metadata();
    if metadata.keyslots.len() >= OBJECTS {
        return Err(EnrolmentError::NoFreeKeyslot(header.device().into()));
    }
    let key_bytes = header.identity().key_bytes;
    let needed = u64::from(key_bytes)
        .saturating_mul(STRIPES)
        .checked_next_multiple_of(4096)
        .unwrap_or(u64::MAX);
    let start = header.copy_size().saturating_mul(2);
    let end = start.saturating_add(metadata.config.keyslots_size);
    if largest_gap(metadata, start, end) < needed {
        return Err(EnrolmentError::KeyslotAreaFull {
            device: header.device().into(),
            needed,
            size: metadata.config.keyslots_size,
        });
    }
    for_token(header, token, None)?;
    text_fits(
        header,
        token
            .to_string()
            .len()
            .saturating_add(AROUND + KEYSLOT_TEXT),
        0,
    )
}

/// The most that lies between the areas of the keyslots.
fn largest_gap(metadata: &Metadata, start: u64, end: u64) -> u64 {
    let mut areas: Vec<(u64, u64)> = metadata
        .keyslots
        .values()
        .filter_map(|keyslot| match keyslot {
            Keyslot::Luks2(keyslot) => Some((keyslot.area.offset, keyslot.area.size)),
            Keyslot::Other(_) => None,
        })
        .collect();
    areas.sort_unstable();
    areas.push((end, 0));
    let mut free_from = start;
    let mut largest = 0;
    for (offset, size) in areas {
        largest = largest.max(offset.saturating_sub(free_from));
        free_from = free_from.max(offset.saturating_add(size));
    }
    largest
}

/// One byte of the area stays for the terminating zero.
fn text_fits(header: &VolumeHeader, more: usize, less: usize) -> Result<(), EnrolmentError> {
    let area = header.copy_bytes().len().saturating_sub(BINARY_LEN);
    let present = header.tree().to_string().len();
    if present.saturating_sub(less).saturating_add(more) < area {
        Ok(())
    } else {
        Err(EnrolmentError::HeaderFull(header.device().into()))
    }
}
