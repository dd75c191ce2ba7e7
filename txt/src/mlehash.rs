//! The hash of the measured launch environment (MLE): tboot with its command line.
//!
//! SINIT hashes the pages of tboot and extends the result into PCR 17 (event MLE_HASH); a launch
//! control policy names the same hash. tboot copies its command line into an area of those pages
//! before the launch, so each command line has a hash of its own. The rules are those of tboot's
//! `lcp2_mlehash` (tboot's source, checked against its recorded outputs).

use crate::{
    elf::{self, ElfError},
    gunzip::{self, GunzipError},
    hash::{Digest, HashAlg},
};

/// Most that a tboot.gz may decompress to, and that its segments may take in memory. Debian's
/// tboot 1.10.5 needs 28.5 MiB, nearly all of it zeros.
pub const MAX_IMAGE_LEN: usize = 128 << 20;

/// The UUID in front of the MLE header (Intel TXT MLE Developer's Guide, 2.1).
const MLE_UUID: [u8; 16] = [
    0x5a, 0xac, 0x82, 0x90, 0x6f, 0x47, 0xa7, 0x74, 0x0f, 0x5c, 0x55, 0xa2, 0xcb, 0x51, 0xb6, 0x42,
];
/// The header is looked for at multiples of this.
const MLE_HEADER_ALIGN: usize = 16;

/// A file that has no MLE hash, or a command line that does not fit.
#[derive(Debug, thiserror::Error)]
pub enum MleError {
    /// The file is gzip but cannot be read.
    #[error(transparent)]
    Gunzip(#[from] GunzipError),
    /// The file is not a 32-bit x86 executable.
    #[error("not a tboot image: {0}")]
    Elf(#[from] ElfError),
    /// No MLE header in the image.
    #[error(
        "not a tboot image: no MLE header (uuid 5aac8290...) at any multiple of 16 in its {len} bytes"
    )]
    NoHeader {
        /// Length of the expanded image, in bytes.
        len: usize,
    },
    /// The header is cut off by the end of the image.
    #[error("the MLE header at {offset:#x} is cut off by the end of the image")]
    HeaderTruncated {
        /// Place of the header in the expanded image, in bytes.
        offset: usize,
    },
    /// A range of the header does not lie in the image.
    #[error(
        "the MLE header says that {what} is {start:#x}..{end:#x}, but the image has {len:#x} bytes"
    )]
    Range {
        /// Which range.
        what: &'static str,
        /// Its begin, in bytes.
        start: u32,
        /// Its end, in bytes.
        end: u32,
        /// Length of the image, in bytes.
        len: usize,
    },
    /// The command line is longer than its area. tboot itself would silently cut it, and the
    /// original tool prints a hash that no boot ever gives.
    #[error(
        "the command line has {found} bytes but tboot has room for {max}: shorten it, tboot would cut it"
    )]
    CmdlineTooLong {
        /// Length given, in bytes.
        found: usize,
        /// Most that fits, in bytes.
        max: usize,
    },
    /// A command line with a NUL in it, which no boot loader can pass.
    #[error("the command line holds a NUL byte at position {0}")]
    CmdlineNul(usize),
}

/// The MLE header of Intel's developer's guide; offsets count from the begin of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MleHeader {
    /// Place of the header in the expanded image, in bytes.
    pub offset: usize,
    /// Length of the header, in bytes.
    pub length: u32,
    /// Version, e.g. 0x0002_0001.
    pub version: u32,
    /// Linear entry point.
    pub entry_point: u32,
    /// First valid page of the MLE's linear address space.
    pub first_valid_page: u32,
    /// Begin of the hashed area.
    pub mle_start: u32,
    /// End of the hashed area.
    pub mle_end: u32,
    /// Capabilities; they go into OsSinitData and so into PCR 17 and 18.
    pub capabilities: u32,
    /// Begin of the command line area.
    pub cmdline_start: u32,
    /// End of the command line area.
    pub cmdline_end: u32,
}

impl MleHeader {
    /// Longest command line that fits with its terminating NUL, in bytes; `None` when the MLE has
    /// no area for it and so does not measure it.
    pub fn max_cmdline(&self) -> Option<usize> {
        let room = self.cmdline_end.checked_sub(self.cmdline_start)?;
        (room as usize).checked_sub(1)
    }
}

/// A tboot image that can be hashed.
#[derive(Clone, Debug)]
pub struct Mle {
    image: Vec<u8>,
    header: MleHeader,
}

impl Mle {
    /// Reads a `tboot.gz` or an uncompressed `tboot`.
    pub fn parse(file: &[u8]) -> Result<Self, MleError> {
        let content = gunzip::gunzip(file, MAX_IMAGE_LEN)?;
        let image = elf::expand(&content, MAX_IMAGE_LEN)?;
        let header = find_header(&image)?;
        slice("the MLE", &image, header.mle_start, header.mle_end)?;
        if header.max_cmdline().is_some() {
            slice(
                "the command line area",
                &image,
                header.cmdline_start,
                header.cmdline_end,
            )?;
        }
        Ok(Self { image, header })
    }

    /// The MLE header.
    pub const fn header(&self) -> &MleHeader {
        &self.header
    }

    /// The hash with a command line: exactly the text that GRUB passes, without the file name.
    /// An MLE without a command line area has the same hash whatever the command line is.
    pub fn hash(&self, alg: HashAlg, cmdline: &[u8]) -> Result<Digest, MleError> {
        if let Some(position) = cmdline.iter().position(|byte| *byte == 0) {
            return Err(MleError::CmdlineNul(position));
        }
        let Some(max) = self.header.max_cmdline() else {
            return self.hash_unmodified(alg);
        };
        if cmdline.len() > max {
            return Err(MleError::CmdlineTooLong {
                found: cmdline.len(),
                max,
            });
        }
        let mut area = cmdline.to_vec();
        area.resize(max.saturating_add(1), 0);
        self.hash_with_area(alg, &area)
    }

    /// The hash that tboot's own tool prints, also for a command line that does not fit: it then
    /// leaves a NUL and the text from its second byte on in the area. No boot gives that hash; only
    /// for comparison with the original.
    pub fn hash_as_original(&self, alg: HashAlg, cmdline: &[u8]) -> Result<Digest, MleError> {
        match self.header.max_cmdline() {
            Some(max) if cmdline.len() > max => {
                let mut area = cmdline.to_vec();
                area.truncate(max.saturating_add(1));
                if let Some(first) = area.first_mut() {
                    *first = 0;
                }
                self.hash_with_area(alg, &area)
            }
            _ => self.hash(alg, cmdline),
        }
    }

    /// The hash of the image as it stands in the file. For a tboot as it is built this is the hash
    /// with an empty command line.
    pub fn hash_unmodified(&self, alg: HashAlg) -> Result<Digest, MleError> {
        Ok(alg.digest(slice(
            "the MLE",
            &self.image,
            self.header.mle_start,
            self.header.mle_end,
        )?))
    }

    /// The hash with the command line area replaced; the area may lie partly outside the MLE.
    fn hash_with_area(&self, alg: HashAlg, area: &[u8]) -> Result<Digest, MleError> {
        let (start, end) = (self.header.mle_start, self.header.mle_end);
        let begin = self.header.cmdline_start.clamp(start, end);
        let finish = self.header.cmdline_end.clamp(start, end);
        let skip = (begin.saturating_sub(self.header.cmdline_start)) as usize;
        let inside = finish.saturating_sub(begin) as usize;
        let before = slice("the MLE", &self.image, start, begin)?;
        let after = slice("the MLE", &self.image, finish, end)?;
        let middle = match inside {
            // The area lies outside of what is hashed.
            0 => Some(&[][..]),
            _ => area.get(skip..).and_then(|rest| rest.get(..inside)),
        };
        let middle = middle.ok_or(MleError::Range {
            what: "the command line area",
            start: self.header.cmdline_start,
            end: self.header.cmdline_end,
            len: self.image.len(),
        })?;
        Ok(alg.digest_parts(&[before, middle, after]))
    }
}

/// A range of the image, or the error that names it.
fn slice<'a>(
    what: &'static str,
    image: &'a [u8],
    start: u32,
    end: u32,
) -> Result<&'a [u8], MleError> {
    image
        .get(start as usize..end as usize)
        .ok_or(MleError::Range {
            what,
            start,
            end,
            len: image.len(),
        })
}

/// The first MLE header in the image.
fn find_header(image: &[u8]) -> Result<MleHeader, MleError> {
    let offset = image
        .chunks(MLE_HEADER_ALIGN)
        .position(|chunk| chunk == MLE_UUID)
        .map(|index| index.saturating_mul(MLE_HEADER_ALIGN))
        .ok_or(MleError::NoHeader { len: image.len() })?;
    let truncated = MleError::HeaderTruncated { offset };
    let fields: &[u8; 36] = image
        .get(offset.saturating_add(MLE_UUID.len())..)
        .and_then(|rest| rest.first_chunk())
        .ok_or(truncated)?;
    let (words, _) = fields.as_chunks();
    let [
        length,
        version,
        entry_point,
        first_valid_page,
        mle_start,
        mle_end,
        capabilities,
        cmdline_start,
        cmdline_end,
    ] = words
    else {
        return Err(MleError::HeaderTruncated { offset });
    };
    Ok(MleHeader {
        offset,
        length: u32::from_le_bytes(*length),
        version: u32::from_le_bytes(*version),
        entry_point: u32::from_le_bytes(*entry_point),
        first_valid_page: u32::from_le_bytes(*first_valid_page),
        mle_start: u32::from_le_bytes(*mle_start),
        mle_end: u32::from_le_bytes(*mle_end),
        capabilities: u32::from_le_bytes(*capabilities),
        cmdline_start: u32::from_le_bytes(*cmdline_start),
        cmdline_end: u32::from_le_bytes(*cmdline_end),
    })
}
