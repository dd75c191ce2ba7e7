//! Files as GRUB leaves them in memory, and numbers in them.

use std::io::Read;

use flate2::bufread::GzDecoder;

use crate::ModelError;

/// More than any file of a boot.
const MOST: u64 = 1 << 30;

/// The content of a file: GRUB unpacks gzip and nothing else. Members that follow each other are
/// one file, and what follows the last one does not count (zlib's `gzread`).
pub fn content(file: &[u8]) -> Result<Vec<u8>, ModelError> {
    if !file.starts_with(&[0x1f, 0x8b]) {
        return Ok(file.to_vec());
    }
    let mut content = Vec::new();
    let mut rest = file;
    while rest.starts_with(&[0x1f, 0x8b]) {
        let mut member = GzDecoder::new(rest);
        member.by_ref().take(MOST).read_to_end(&mut content)?;
        if content.len() as u64 >= MOST {
            return Err(ModelError::TooLarge(MOST));
        }
        rest = member.into_inner();
    }
    Ok(content)
}

/// Bytes with a name, to be read at places. All numbers are little-endian.
#[derive(Clone, Copy)]
pub struct Bytes<'a> {
    pub what: &'static str,
    pub bytes: &'a [u8],
}

impl<'a> Bytes<'a> {
    pub fn part(self, at: usize, len: usize) -> Result<&'a [u8], ModelError> {
        let end = at.saturating_add(len);
        self.bytes.get(at..end).ok_or(ModelError::Short {
            what: self.what,
            needed: end,
        })
    }

    pub fn number(self, at: usize, len: usize) -> Result<usize, ModelError> {
        let bytes = self.part(at, len)?.iter().rev();
        Ok(bytes.fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    pub fn byte(self, at: usize) -> Result<u8, ModelError> {
        self.bytes.get(at).copied().ok_or(ModelError::Short {
            what: self.what,
            needed: at,
        })
    }
}
