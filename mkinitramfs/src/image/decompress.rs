//! Unpacking, with a bound on the result and an exact count of the bytes used:
//! what follows the packed part (padding, another archive) stays readable.

use std::io::Read;

use liblzma::stream::{Action, Status, Stream};
use thiserror::Error;

use super::compress::{LZ4_LEGACY_BLOCK, LZ4_LEGACY_MAGIC};

/// A packed form, known by its magic bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// gzip, RFC 1952.
    Gzip,
    /// A zstd frame, RFC 8878.
    Zstd,
    /// The xz container.
    Xz,
    /// The older .lzma ("LZMA alone") form.
    Lzma,
    /// The legacy LZ4 frame.
    Lz4,
    /// bzip2: recognised, not unpacked.
    Bzip2,
    /// lzop: recognised, not unpacked.
    Lzo,
}

/// Why unpacking stopped.
#[derive(Debug, Error)]
pub enum DecompressError {
    /// The packed form has no decoder here.
    #[error("packed with {0}, which this viewer cannot unpack; unpack it with {0} first")]
    Unsupported(&'static str),
    /// The result would be larger than the caller allows.
    #[error("unpacks to more than {0} bytes, the limit")]
    TooLarge(u64),
    /// The packed data is damaged or cut off.
    #[error("damaged or truncated {form} data: {reason}")]
    Damaged {
        /// Name of the packed form.
        form: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

/// The result of unpacking one frame or stream.
#[derive(Debug)]
pub struct Unpacked {
    /// The content.
    pub data: Vec<u8>,
    /// How many bytes of the input the packed form took.
    pub consumed: usize,
}

impl Packing {
    /// The packed form that `bytes` begin with, if any.
    #[must_use]
    pub fn detect(bytes: &[u8]) -> Option<Self> {
        const MAGICS: [(&[u8], Packing); 8] = [
            (&[0x1f, 0x8b], Packing::Gzip),
            (&[0x1f, 0x9e], Packing::Gzip),
            (&[0x28, 0xb5, 0x2f, 0xfd], Packing::Zstd),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Packing::Xz),
            (&[0x5d, 0, 0], Packing::Lzma),
            (&LZ4_LEGACY_MAGIC, Packing::Lz4),
            (b"BZh", Packing::Bzip2),
            (&[0x89, b'L', b'Z', b'O'], Packing::Lzo),
        ];
        MAGICS
            .iter()
            .find(|(magic, _)| bytes.starts_with(magic))
            .map(|(_, packing)| *packing)
    }

    /// The usual name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Lz4 => "lz4",
            Self::Bzip2 => "bzip2",
            Self::Lzo => "lzop",
        }
    }

    fn damaged(self, reason: impl ToString) -> DecompressError {
        DecompressError::Damaged {
            form: self.name(),
            reason: reason.to_string(),
        }
    }
}

/// Unpacks the one frame or stream at the start of `bytes`, to at most `limit` bytes.
///
/// # Errors
/// See [`DecompressError`].
pub fn decompress(packing: Packing, bytes: &[u8], limit: u64) -> Result<Unpacked, DecompressError> {
    match packing {
        Packing::Gzip => {
            let mut decoder = flate2::bufread::GzDecoder::new(bytes);
            let data = read_bounded(packing, &mut decoder, limit)?;
            let rest = decoder.into_inner().len();
            Ok(Unpacked {
                data,
                consumed: bytes.len().saturating_sub(rest),
            })
        }
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)
                .map_err(|error| packing.damaged(error))?
                .single_frame();
            let data = read_bounded(packing, &mut decoder, limit)?;
            let rest = decoder.finish().len();
            Ok(Unpacked {
                data,
                consumed: bytes.len().saturating_sub(rest),
            })
        }
        Packing::Xz => lzma_stream(
            packing,
            Stream::new_stream_decoder(LZMA_MEMORY, 0).map_err(|error| packing.damaged(error))?,
            bytes,
            limit,
        ),
        Packing::Lzma => lzma_stream(
            packing,
            Stream::new_lzma_decoder(LZMA_MEMORY).map_err(|error| packing.damaged(error))?,
            bytes,
            limit,
        ),
        Packing::Lz4 => lz4_legacy(bytes, limit),
        Packing::Bzip2 | Packing::Lzo => Err(DecompressError::Unsupported(packing.name())),
    }
}

/// Unpacks everything in `bytes`: frames or streams of one form, one after another, with zeros
/// behind or between them.
///
/// # Errors
/// See [`DecompressError`]; `limit` is for all of them together.
pub fn decompress_all(
    packing: Packing,
    bytes: &[u8],
    limit: u64,
) -> Result<Vec<u8>, DecompressError> {
    let mut data = Vec::new();
    let mut rest = bytes;
    loop {
        let left = limit.saturating_sub(u64::try_from(data.len()).unwrap_or(u64::MAX));
        let unpacked = match decompress(packing, rest, left) {
            Err(DecompressError::TooLarge(_)) => return Err(DecompressError::TooLarge(limit)),
            unpacked => unpacked?,
        };
        data.extend_from_slice(&unpacked.data);
        // A form that takes no bytes would be met for ever.
        rest = rest.get(unpacked.consumed.max(1)..).unwrap_or_default();
        // xz pads streams with zeros, and gzip -d passes over those behind a member.
        let padding = rest.iter().take_while(|byte| **byte == 0).count();
        rest = rest.get(padding..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(data);
        }
        if Packing::detect(rest) != Some(packing) {
            let at = bytes.len().saturating_sub(rest.len());
            return Err(packing.damaged(format!(
                "the first part ends at byte {at}, and what follows is something else"
            )));
        }
    }
}

/// Most memory a decoder of xz or lzma may take: a dictionary of 192 MiB and more
/// is beyond what any initramfs tool writes.
const LZMA_MEMORY: u64 = 256 << 20;

fn read_bounded(
    packing: Packing,
    reader: &mut impl Read,
    limit: u64,
) -> Result<Vec<u8>, DecompressError> {
    let mut data = Vec::new();
    reader
        .take(limit.saturating_add(1))
        .read_to_end(&mut data)
        .map_err(|error| packing.damaged(error))?;
    if u64::try_from(data.len()).unwrap_or(u64::MAX) > limit {
        return Err(DecompressError::TooLarge(limit));
    }
    Ok(data)
}

fn lzma_stream(
    packing: Packing,
    mut stream: Stream,
    bytes: &[u8],
    limit: u64,
) -> Result<Unpacked, DecompressError> {
    let mut data = Vec::with_capacity(1 << 16);
    loop {
        let before = (stream.total_in(), stream.total_out());
        let consumed = usize::try_from(stream.total_in()).unwrap_or(usize::MAX);
        let rest = bytes
            .get(consumed..)
            .ok_or_else(|| packing.damaged("more was read than there is"))?;
        let status = stream
            .process_vec(rest, &mut data, Action::Run)
            .map_err(|error| packing.damaged(error))?;
        if stream.total_out() > limit {
            return Err(DecompressError::TooLarge(limit));
        }
        if status == Status::StreamEnd {
            let consumed = usize::try_from(stream.total_in()).unwrap_or(usize::MAX);
            return Ok(Unpacked { data, consumed });
        }
        if data.len() == data.capacity() {
            data.reserve(data.capacity());
        } else if before == (stream.total_in(), stream.total_out()) {
            return Err(packing.damaged("the end of the stream is missing"));
        }
    }
}

fn lz4_legacy(bytes: &[u8], limit: u64) -> Result<Unpacked, DecompressError> {
    let mut data = Vec::new();
    let mut block = vec![0_u8; LZ4_LEGACY_BLOCK];
    let mut at = LZ4_LEGACY_MAGIC.len();
    // The form has no end mark: it ends with the input, or with a block size of
    // zero, which is the padding before another archive (the kernel's rule too).
    while let Some(&size) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        if size == LZ4_LEGACY_MAGIC {
            at = at.saturating_add(4);
            continue;
        }
        let length = usize::try_from(u32::from_le_bytes(size)).unwrap_or(usize::MAX);
        if length == 0 {
            break;
        }
        let packed = at
            .checked_add(4)
            .and_then(|start| bytes.get(start..start.checked_add(length)?))
            .ok_or_else(|| {
                Packing::Lz4.damaged(format!(
                    "a block of {length} bytes at +{at} runs past the end"
                ))
            })?;
        let filled = lz4_flex::block::decompress_into(packed, &mut block)
            .map_err(|error| Packing::Lz4.damaged(error))?;
        let filled = block
            .get(..filled)
            .ok_or_else(|| Packing::Lz4.damaged("a block is larger than the form allows"))?;
        data.extend_from_slice(filled);
        if u64::try_from(data.len()).unwrap_or(u64::MAX) > limit {
            return Err(DecompressError::TooLarge(limit));
        }
        at = at.saturating_add(4).saturating_add(length);
    }
    Ok(Unpacked {
        data,
        consumed: at.min(bytes.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::compress::{Compression, compress};
    use super::*;

    fn sample() -> Vec<u8> {
        (0..300_000_u32)
            .flat_map(|i| (i.wrapping_mul(i) / 11).to_le_bytes())
            .collect()
    }

    #[test]
    fn what_is_packed_comes_back_and_what_follows_is_left() {
        for form in [
            Compression::Zstd,
            Compression::Gzip,
            Compression::Xz,
            Compression::Lz4,
        ] {
            let mut packed = compress(form, &sample()).unwrap();
            let length = packed.len();
            packed.extend_from_slice(&[0; 64]);
            packed.extend_from_slice(b"070701");
            let packing = Packing::detect(&packed).unwrap();
            let unpacked = decompress(packing, &packed, 1 << 30).unwrap();
            assert!(unpacked.data == sample(), "{form:?}");
            assert_eq!(unpacked.consumed, length, "{form:?}");
        }
    }

    #[test]
    fn all_frames_of_a_file_are_unpacked_and_nothing_else_may_follow() {
        for form in [Compression::Zstd, Compression::Gzip, Compression::Xz] {
            let (one, two) = (sample(), b"and a second one".to_vec());
            let mut packed = compress(form, &one).unwrap();
            let packing = Packing::detect(&packed).unwrap();
            packed.extend(compress(form, &two).unwrap());
            let whole = [one.as_slice(), &two].concat();
            assert!(
                decompress_all(packing, &packed, 1 << 30).unwrap() == whole,
                "{form:?}"
            );
            let limit = u64::try_from(one.len()).unwrap() + 1;
            assert!(
                matches!(decompress_all(packing, &packed, limit), Err(DecompressError::TooLarge(found)) if found == limit),
                "{form:?}"
            );
            packed.extend([0; 512]);
            assert!(
                decompress_all(packing, &packed, 1 << 30).unwrap() == whole,
                "{form:?}"
            );
            packed.extend(b"something");
            let error = decompress_all(packing, &packed, 1 << 30)
                .unwrap_err()
                .to_string();
            assert!(error.contains("something else"), "{form:?}: {error}");
        }
    }

    #[test]
    fn the_limit_holds_for_every_form() {
        for form in [
            Compression::Zstd,
            Compression::Gzip,
            Compression::Xz,
            Compression::Lz4,
        ] {
            let packed = compress(form, &vec![0; 1 << 20]).unwrap();
            let packing = Packing::detect(&packed).unwrap();
            let error = decompress(packing, &packed, 4096).unwrap_err();
            assert!(
                matches!(error, DecompressError::TooLarge(4096)),
                "{form:?}: {error}"
            );
        }
    }

    #[test]
    fn truncated_input_is_an_error_in_every_form_that_has_an_end() {
        for form in [
            Compression::Zstd,
            Compression::Gzip,
            Compression::Xz,
            Compression::Lz4,
        ] {
            let packed = compress(form, &sample()).unwrap();
            let cut = packed.get(..packed.len() - 9).unwrap();
            let packing = Packing::detect(cut).unwrap();
            assert!(decompress(packing, cut, 1 << 30).is_err(), "{form:?}");
        }
    }
}
