//! Is a LUKS2 header one that may be used with an unsealed key?
//!
//! LUKS2 metadata is not authenticated: whoever can write to the disk can write a header.
//! What such a header could do, and the check that stops it:
//! * a null cipher in the segment or a keyslot area, so that any passphrase "opens" the
//!   volume or data lands on the disk in the clear (CVE-2025-59054 and its relatives):
//!   allow-list of ciphers;
//! * reencryption metadata that makes the library decrypt data (CVE-2021-4122): no
//!   requirement, no second segment, no segment flag;
//! * a key derivation that needs the machine's whole memory or takes for ever: bounds;
//! * offsets that point elsewhere: areas inside the keyslots area, segment behind it.

use super::{
    cipher,
    identity::VolumeIdentity,
    metadata::{Keyslot, Metadata, Segment, parse_decimal, slot_number},
};

pub(crate) const HASHES: [&str; 4] = ["sha256", "sha512", "sha384", "sha1"];
/// Several times what `cryptsetup` chooses on a fast machine (2 s: about 10 million).
pub(crate) const MAX_PBKDF2_ITERATIONS: u32 = 50_000_000;
const MAX_KEYSLOTS_AREA: u64 = 128 << 20;

/// The one data segment of a header that passed the checks.
pub type CheckedSegment = VolumeIdentity;

/// Why a header is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderCheckError {
    /// Requirements such as `online-reencrypt`.
    #[error(
        "the volume requires {0:?}: it is not opened in that state; finish a reencryption first with `cryptsetup reencrypt --resume-only DEVICE`"
    )]
    Requirement(String),
    /// Not exactly one segment with number 0.
    #[error(
        "the header has {found} data segments, expected exactly one (number 0); a reencryption may be in progress"
    )]
    Segments {
        /// Number of segments.
        found: usize,
    },
    /// A segment of another kind, or with flags.
    #[error("the data segment is of kind {0:?}, expected a plain \"crypt\" segment")]
    SegmentKind(String),
    /// A cipher that is not on the list.
    #[error(
        "{place} is encrypted with {cipher:?} and a key of {key_bytes} bytes, which is refused: {why}; accepted are {accepted} (`cryptsetup reencrypt` changes the cipher)",
        accepted = cipher::accepted()
    )]
    Cipher {
        /// Data segment or keyslot.
        place: String,
        /// Cipher found.
        cipher: String,
        /// Key length found.
        key_bytes: u32,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A number out of its bounds.
    #[error("{what} is {found}, expected {expected}")]
    Bounds {
        /// What.
        what: String,
        /// Value found.
        found: String,
        /// What is accepted.
        expected: String,
    },
    /// No digest ties a keyslot to the data.
    #[error(
        "no digest, or more than one, belongs to the data segment: the header is damaged or forged"
    )]
    Digest,
    /// The keyslot asked for cannot be used.
    #[error("keyslot {keyslot} {reason}")]
    Keyslot {
        /// Its number.
        keyslot: u32,
        /// Why not.
        reason: String,
    },
}

pub(crate) fn bounds(what: &str, found: impl ToString, expected: &str) -> HeaderCheckError {
    HeaderCheckError::Bounds {
        what: what.into(),
        found: found.to_string(),
        expected: expected.into(),
    }
}

/// Text of the header for a message: short, and on its line.
pub(crate) fn shown(text: &str) -> String {
    let short: String = text.chars().take(64).collect();
    printable::line(short).to_string()
}

/// Checks everything that concerns the whole volume and gives its identity.
/// `copy_size` is the length of one header copy, `device_size` that of the device in bytes.
pub(crate) fn check(
    metadata: &Metadata,
    uuid: &str,
    copy_size: u64,
    device_size: u64,
) -> Result<VolumeIdentity, HeaderCheckError> {
    if let Some(requirement) = metadata.config.requirements.mandatory.first() {
        return Err(HeaderCheckError::Requirement(shown(requirement)));
    }
    let segment = match (metadata.segments.len(), metadata.segments.get(&0)) {
        (1, Some(segment)) => segment,
        (found, _) => return Err(HeaderCheckError::Segments { found }),
    };
    let binary = super::binary_header::BINARY_LEN as u64;
    if metadata.config.json_size.checked_add(binary) != Some(copy_size) {
        return Err(bounds(
            "the JSON area's size",
            metadata.config.json_size,
            "the header's size less 4096",
        ));
    }
    let areas = metadata.config.keyslots_size;
    if !areas.is_multiple_of(4096) || areas > MAX_KEYSLOTS_AREA {
        return Err(bounds(
            "the keyslots area's size",
            areas,
            "a multiple of 4096 up to 128 MiB",
        ));
    }
    let key_bytes = volume_key_bytes(metadata)?;
    // Both are bounded by now.
    let header_end = copy_size.saturating_mul(2).saturating_add(areas);
    let size = check_segment(segment, key_bytes, header_end, device_size)?;
    Ok(VolumeIdentity {
        uuid: uuid.to_owned(),
        cipher: segment.encryption.clone(),
        key_bytes,
        sector_bytes: segment.sector_size,
        offset: segment.offset,
        size,
        iv_tweak: segment.iv_tweak,
    })
}

/// The volume key's length: the one on which all keyslots of the segment's digest agree.
fn volume_key_bytes(metadata: &Metadata) -> Result<u32, HeaderCheckError> {
    let mut digests = metadata
        .digests
        .values()
        .filter(|digest| digest.segments.iter().any(|s| s == "0"));
    let (Some(digest), None) = (digests.next(), digests.next()) else {
        return Err(HeaderCheckError::Digest);
    };
    if digest.kind != "pbkdf2" || !HASHES.contains(&digest.hash.as_str()) {
        return Err(HeaderCheckError::Digest);
    }
    if !(1000..=MAX_PBKDF2_ITERATIONS).contains(&digest.iterations) {
        return Err(bounds(
            "the digest's iteration count",
            digest.iterations,
            "1000 to 50000000",
        ));
    }
    let mut lengths = digest
        .keyslots
        .iter()
        .filter_map(|number| metadata.keyslots.get(&slot_number(number)?))
        .filter_map(|keyslot| match keyslot {
            Keyslot::Luks2(keyslot) => Some(keyslot.key_size),
            Keyslot::Other(_) => None,
        });
    let first = lengths.next().ok_or(HeaderCheckError::Digest)?;
    match lengths.find(|length| *length != first) {
        Some(other) => Err(bounds(
            "a keyslot's key length",
            other,
            "the same for all keyslots of the volume",
        )),
        None => Ok(first),
    }
}

/// Gives the segment's size, `None` for dynamic.
fn check_segment(
    segment: &Segment,
    key_bytes: u32,
    header_end: u64,
    device_size: u64,
) -> Result<Option<u64>, HeaderCheckError> {
    if segment.kind != "crypt" || segment.integrity.is_some() || !segment.flags.is_empty() {
        let integrity = if segment.integrity.is_some() {
            " with integrity"
        } else {
            ""
        };
        let flags: String = segment
            .flags
            .iter()
            .map(|flag| format!(" {}", shown(flag)))
            .collect();
        let kind = shown(&segment.kind);
        return Err(HeaderCheckError::SegmentKind(format!(
            "{kind}{integrity}{flags}"
        )));
    }
    check_cipher("the data segment", &segment.encryption, key_bytes)?;
    if ![512, 1024, 2048, 4096].contains(&segment.sector_size) {
        return Err(bounds(
            "the sector size",
            segment.sector_size,
            "512, 1024, 2048 or 4096",
        ));
    }
    let sector = u64::from(segment.sector_size);
    if !segment.offset.is_multiple_of(512)
        || segment.offset < header_end
        || segment.offset >= device_size
    {
        return Err(bounds(
            "the data offset",
            segment.offset,
            &format!(
                "a multiple of 512 from {header_end}, within the device of {device_size} bytes"
            ),
        ));
    }
    // An IV tweak is used by reencryption and by nothing else here; it must not wrap.
    if !segment.iv_tweak.is_multiple_of(sector / 512) || segment.iv_tweak > 1 << 55 {
        return Err(bounds(
            "the IV tweak",
            segment.iv_tweak,
            "a multiple of the sector size below 2^55",
        ));
    }
    if segment.size == "dynamic" {
        return Ok(None);
    }
    let room = device_size.saturating_sub(segment.offset);
    match parse_decimal(&segment.size) {
        Some(size) if size > 0 && size.is_multiple_of(sector) && size <= room => Ok(Some(size)),
        _ => Err(bounds(
            "the data segment's size",
            shown(&segment.size),
            "\"dynamic\", or whole sectors within the device",
        )),
    }
}

pub(crate) fn check_cipher(
    place: &str,
    cipher: &str,
    key_bytes: u32,
) -> Result<(), HeaderCheckError> {
    match cipher::objection(cipher, key_bytes) {
        None => Ok(()),
        Some(why) => Err(HeaderCheckError::Cipher {
            place: place.into(),
            cipher: shown(cipher),
            key_bytes,
            why,
        }),
    }
}
