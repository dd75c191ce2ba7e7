//! Images that cannot be read.

use thiserror::Error;

use crate::image::decompress::DecompressError;

/// Most parts (archives, packed or not) of one image.
pub(super) const MAX_PARTS: usize = 1024;

/// Why an image cannot be read.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// A malformed or cut-off archive; the offset counts from the start of its part.
    #[error("at byte {offset}: {reason}")]
    Cpio {
        /// Byte in the part, unpacked.
        offset: usize,
        /// What is wrong.
        reason: String,
    },
    /// A packed part cannot be unpacked.
    #[error("the part at byte {offset} is {source}")]
    Packed {
        /// Byte in the image.
        offset: usize,
        /// What is wrong.
        source: DecompressError,
    },
    /// An archive inside a part is malformed.
    #[error("the {packing} part at byte {offset} of the image, {source}")]
    Inside {
        /// Byte in the image where the part begins.
        offset: usize,
        /// How the part is packed.
        packing: &'static str,
        /// What is wrong; its offset counts in the unpacked part.
        source: Box<Self>,
    },
    /// Bytes that are neither an archive nor packed.
    #[error(
        "at byte {offset}: neither a cpio archive nor a known compression begins here \
         (found {found})"
    )]
    Unknown {
        /// Byte in the part.
        offset: usize,
        /// The bytes there, hex.
        found: String,
    },
    /// The image holds no archive at all.
    #[error("the file holds no archive: it is empty or all zeros")]
    Empty,
    /// More parts than any tool writes.
    #[error("more than {MAX_PARTS} archives in one image")]
    TooMany,
}
