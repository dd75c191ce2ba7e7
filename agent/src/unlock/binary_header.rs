//! The binary part of a LUKS2 header: two copies, each 4096 bytes and then the JSON area
//! (LUKS2 On-Disk Format Specification 1.1.0, section 2.1).

use sha2::{Digest, Sha256};

/// Length of the binary part in bytes.
pub(crate) const BINARY_LEN: usize = 4096;

const MAGIC_PRIMARY: &[u8; 6] = b"LUKS\xba\xbe";
const MAGIC_SECONDARY: &[u8; 6] = b"SKUL\xba\xbe";
const CHECKSUM_AT: usize = 448;
const CHECKSUM_LEN: usize = 64;
const OFFSET_FIELD_AT: usize = 256;

/// The sizes of one copy (binary part and JSON area) that the format knows, in bytes.
/// A broken primary copy means looking for the secondary at each of these offsets.
pub(crate) const COPY_SIZES: [u64; 9] = [
    0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000, 0x40_0000,
];

/// Which of the two copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copy {
    /// At offset 0.
    Primary,
    /// Directly behind the first.
    Secondary,
}

/// Why a copy of a LUKS2 header cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BinaryHeaderError {
    /// The device ends before the header does.
    #[error("the device ends after {found} bytes, before its LUKS2 header does")]
    Truncated {
        /// Bytes that could be read.
        found: usize,
    },
    /// No LUKS magic.
    #[error("no LUKS signature")]
    NoMagic,
    /// A LUKS1 header.
    #[error("is LUKS1, but LUKS2 is required")]
    Luks1,
    /// A version other than 1 and 2.
    #[error("LUKS version {0} is not supported: expected 2")]
    UnknownVersion(u16),
    /// A size that the format does not allow.
    #[error("the header gives its size as {0} bytes, which LUKS2 does not allow")]
    BadSize(u64),
    /// The copy says that it lies elsewhere.
    #[error("the header copy at offset {found} claims to belong at offset {claimed}")]
    Misplaced {
        /// Where it was read.
        found: u64,
        /// Where it claims to be.
        claimed: u64,
    },
    /// Another checksum algorithm than SHA-256.
    #[error("the header's checksum algorithm is not sha256")]
    ChecksumAlgorithm,
    /// The checksum does not match.
    #[error("the header's checksum does not match its contents")]
    Checksum,
    /// UUID field not a terminated text.
    #[error("the header's UUID is not a valid UUID")]
    BadUuid,
}

/// The fields of one valid copy that are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BinaryHeader {
    /// Bytes of one copy: binary part and JSON area.
    pub copy_size: u64,
    /// Counts up with each write; the valid copy with the higher one is the current one.
    pub sequence_id: u64,
    /// UUID of the volume, lower case with hyphens.
    pub uuid: String,
}

/// Length of the copy that `start` (its first bytes) belongs to, before its checksum is known.
pub(crate) fn copy_size(start: &[u8], which: Copy) -> Result<u64, BinaryHeaderError> {
    let truncated = || BinaryHeaderError::Truncated { found: start.len() };
    let magic = start.get(..6).ok_or_else(truncated)?;
    let expected = match which {
        Copy::Primary => MAGIC_PRIMARY,
        Copy::Secondary => MAGIC_SECONDARY,
    };
    if magic != expected {
        return Err(BinaryHeaderError::NoMagic);
    }
    match be16(start, 6).ok_or_else(truncated)? {
        2 => {}
        1 => return Err(BinaryHeaderError::Luks1),
        other => return Err(BinaryHeaderError::UnknownVersion(other)),
    }
    let size = be64(start, 8).ok_or_else(truncated)?;
    if COPY_SIZES.contains(&size) {
        Ok(size)
    } else {
        Err(BinaryHeaderError::BadSize(size))
    }
}

impl BinaryHeader {
    /// Reads and verifies one whole copy, found at `offset`.
    pub fn parse(copy: &[u8], which: Copy, offset: u64) -> Result<Self, BinaryHeaderError> {
        let truncated = || BinaryHeaderError::Truncated { found: copy.len() };
        let size = copy_size(copy, which)?;
        if copy.len() as u64 != size {
            return Err(truncated());
        }
        if field_text(copy, 72, 32) != Some("sha256") {
            return Err(BinaryHeaderError::ChecksumAlgorithm);
        }
        let stored = copy
            .get(CHECKSUM_AT..CHECKSUM_AT + 32)
            .ok_or_else(truncated)?;
        if checksum(copy).ok_or_else(truncated)?.as_slice() != stored {
            return Err(BinaryHeaderError::Checksum);
        }
        let claimed = be64(copy, OFFSET_FIELD_AT).ok_or_else(truncated)?;
        if claimed != offset {
            return Err(BinaryHeaderError::Misplaced {
                found: offset,
                claimed,
            });
        }
        let uuid = field_text(copy, 168, 40).ok_or(BinaryHeaderError::BadUuid)?;
        if !is_uuid(uuid) {
            return Err(BinaryHeaderError::BadUuid);
        }
        Ok(Self {
            copy_size: size,
            sequence_id: be64(copy, 16).ok_or_else(truncated)?,
            uuid: uuid.to_ascii_lowercase(),
        })
    }
}

/// Turns a copy's bytes into the other or the same copy at `offset`, with a fresh checksum.
/// `None` when `copy` is shorter than a binary header.
pub(crate) fn restamp(copy: &mut [u8], which: Copy, offset: u64) -> Option<()> {
    let magic = match which {
        Copy::Primary => MAGIC_PRIMARY,
        Copy::Secondary => MAGIC_SECONDARY,
    };
    copy.get_mut(..6)?.copy_from_slice(magic);
    copy.get_mut(OFFSET_FIELD_AT..OFFSET_FIELD_AT + 8)?
        .copy_from_slice(&offset.to_be_bytes());
    let sum = checksum(copy)?;
    let field = copy.get_mut(CHECKSUM_AT..CHECKSUM_AT + CHECKSUM_LEN)?;
    field.fill(0);
    field.get_mut(..32)?.copy_from_slice(&sum);
    Some(())
}

/// SHA-256 of the copy with its checksum field taken as zeros.
fn checksum(copy: &[u8]) -> Option<[u8; 32]> {
    let mut hash = Sha256::new();
    hash.update(copy.get(..CHECKSUM_AT)?);
    hash.update([0; CHECKSUM_LEN]);
    hash.update(copy.get(CHECKSUM_AT + CHECKSUM_LEN..)?);
    Some(hash.finalize().into())
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A NUL-terminated ASCII field.
fn field_text(bytes: &[u8], at: usize, len: usize) -> Option<&str> {
    let field = bytes.get(at..)?.get(..len)?;
    let end = field.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(field.get(..end)?)
        .ok()
        .filter(|text| text.is_ascii())
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        })
}
