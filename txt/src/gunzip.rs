//! Reading a file that may be gzip compressed, with a limit on what comes out.
//!
//! Policies name the hash of *decompressed* modules, because GRUB decompresses gzip before tboot
//! sees anything. The rules are zlib's `gzread`: a file that does not begin with the gzip magic is
//! taken as it is, members that follow each other are joined, and what follows the last member and
//! is not a gzip is ignored. Unlike the original tools a truncated or corrupt member is an error: its
//! hash would be that of a file that GRUB refuses to load.

use std::{borrow::Cow, io::Read};

use flate2::bufread::GzDecoder;

/// The two bytes that a gzip member begins with.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A file that could not be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum GunzipError {
    /// A member is truncated or its checksum or length does not match.
    #[error(
        "the gzip member at offset {offset:#x} is damaged ({source}): get the file again, GRUB could not load it either"
    )]
    Damaged {
        /// Where in the file the member begins, in bytes.
        offset: usize,
        /// What the decoder said.
        source: std::io::Error,
    },
    /// More data than the caller allows: a decompression bomb or the wrong file.
    #[error("the file decompresses to more than {limit} bytes, which is the limit")]
    TooLarge {
        /// The caller's limit, in bytes.
        limit: usize,
    },
}

/// The content of a file: decompressed when it is gzip, untouched otherwise. At most `limit` bytes.
pub fn gunzip(file: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, GunzipError> {
    if !file.starts_with(&MAGIC) {
        if file.len() > limit {
            return Err(GunzipError::TooLarge { limit });
        }
        return Ok(Cow::Borrowed(file));
    }
    let mut rest = file;
    let mut out = Vec::new();
    while rest.starts_with(&MAGIC) {
        let offset = file.len().saturating_sub(rest.len());
        let mut decoder = GzDecoder::new(rest);
        // One byte more than allowed is enough to see that the limit is exceeded.
        let room = (limit.saturating_sub(out.len()) as u64).saturating_add(1);
        (&mut decoder)
            .take(room)
            .read_to_end(&mut out)
            .map_err(|source| GunzipError::Damaged { offset, source })?;
        if out.len() > limit {
            return Err(GunzipError::TooLarge { limit });
        }
        rest = decoder.into_inner();
    }
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn gz(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_is_not_gzip_is_taken_as_it_is() {
        assert_eq!(&*gunzip(b"070701", 10).unwrap(), b"070701");
        assert_eq!(&*gunzip(b"", 0).unwrap(), b"");
        assert_eq!(&*gunzip(b"\x1f", 1).unwrap(), b"\x1f");
    }

    #[test]
    fn members_are_joined_and_trailing_garbage_ignored() {
        let mut file = gz(b"one ");
        file.extend(gz(b"two"));
        assert_eq!(&*gunzip(&file, 100).unwrap(), b"one two");
        file.extend(b"\0\0\0 not gzip");
        assert_eq!(&*gunzip(&file, 100).unwrap(), b"one two");
    }

    #[test]
    fn a_member_cut_anywhere_is_refused() {
        let file = gz(b"some content that is long enough");
        for end in 2..file.len() {
            assert!(
                matches!(gunzip(&file[..end], 100), Err(GunzipError::Damaged { .. })),
                "{end}"
            );
        }
    }

    // zlib crashes tb_polgen on this one.
    #[test]
    fn a_wrong_checksum_is_refused() {
        let mut file = gz(b"content");
        let at = file.len() - 8;
        file[at] ^= 1;
        assert!(matches!(
            gunzip(&file, 100),
            Err(GunzipError::Damaged { offset: 0, .. })
        ));
    }

    #[test]
    fn the_limit_holds_to_the_byte_across_members() {
        let mut file = gz(&[0; 600]);
        file.extend(gz(&[0; 400]));
        assert_eq!(gunzip(&file, 1000).unwrap().len(), 1000);
        assert!(matches!(
            gunzip(&file, 999),
            Err(GunzipError::TooLarge { limit: 999 })
        ));
        assert!(matches!(
            gunzip(&[0; 4], 3),
            Err(GunzipError::TooLarge { limit: 3 })
        ));
    }
}
