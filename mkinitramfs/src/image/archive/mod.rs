//! Reading an image as the kernel does: archives and packed parts one after
//! another, zeros between them (Documentation/driver-api/early-userspace).

mod error;
pub mod newc;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use self::error::ArchiveError;
use self::error::MAX_PARTS;
pub use self::newc::Entry;
use super::decompress::{Packing, decompress};

/// Most bytes that all packed parts of an image may unpack to together.
pub const MAX_UNPACKED: u64 = 2 << 30;

/// One archive of an image.
#[derive(Debug)]
pub struct Part<'image> {
    /// Byte in the image where the archive, or the packed part it is in, begins.
    pub offset: usize,
    /// How it is packed; `None` for an archive that lies open in the image.
    pub packing: Option<Packing>,
    /// The entries.
    pub entries: Vec<Entry>,
    /// What the entries' ranges refer to.
    bytes: std::rc::Rc<Cow<'image, [u8]>>,
}

impl Part<'_> {
    /// The content of an entry as it lies in the archive.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "an entry's range is made of this part's bytes, and of no other's"
    )]
    pub fn data(&self, entry: &Entry) -> &[u8] {
        let data = self.bytes.get(entry.data.clone());
        data.expect("an entry of this part")
    }

    /// The content of every regular file by its index in `entries`. Of hard links
    /// only the last carries it in an archive; here each has it.
    #[must_use]
    pub fn contents(&self) -> Vec<&[u8]> {
        let mut links: BTreeMap<(u32, (u32, u32)), &[u8]> = BTreeMap::new();
        let key = |entry: &Entry| (entry.ino, entry.dev);
        let linked = |entry: &Entry| entry.nlink > 1 && entry.mode & 0o170_000 == 0o100_000;
        for entry in self.entries.iter().filter(|entry| linked(entry)) {
            let data = self.data(entry);
            if !data.is_empty() {
                links.insert(key(entry), data);
            }
        }
        self.entries
            .iter()
            .map(|entry| match links.get(&key(entry)) {
                Some(data) if linked(entry) => data,
                _ => self.data(entry),
            })
            .collect()
    }
}

/// Reads all archives of an image.
///
/// # Errors
/// See [`ArchiveError`]; nothing in `image` makes it panic or allocate more than
/// [`MAX_UNPACKED`] and a constant.
pub fn read(image: &[u8]) -> Result<Vec<Part<'_>>, ArchiveError> {
    let mut parts = Vec::new();
    let mut left = MAX_UNPACKED;
    // Counted apart from `parts`: a packed part may hold nothing.
    let mut met = 0_usize;
    let whole = std::rc::Rc::new(Cow::Borrowed(image));
    let mut at = skip_zeros(image, 0);
    while let Some(rest) = image.get(at..).filter(|rest| !rest.is_empty()) {
        if newc::is_newc(rest) {
            let archive = newc::read_archive(image, at)?;
            parts.push(Part {
                offset: at,
                packing: None,
                entries: archive.entries,
                bytes: std::rc::Rc::clone(&whole),
            });
            at = archive.end;
        } else if let Some(packing) = Packing::detect(rest) {
            let unpacked = decompress(packing, rest, left)
                .map_err(|source| ArchiveError::Packed { offset: at, source })?;
            left = left.saturating_sub(u64::try_from(unpacked.data.len()).unwrap_or(u64::MAX));
            read_packed(at, packing, unpacked.data, &mut parts)?;
            // A packed form that takes no bytes would be met for ever.
            at = at.saturating_add(unpacked.consumed.max(1));
        } else {
            return Err(unknown(image, at));
        }
        met = met.saturating_add(1);
        if met > MAX_PARTS || parts.len() > MAX_PARTS {
            return Err(ArchiveError::TooMany);
        }
        at = skip_zeros(image, at);
    }
    if parts.is_empty() {
        Err(ArchiveError::Empty)
    } else {
        Ok(parts)
    }
}

fn read_packed<'image>(
    offset: usize,
    packing: Packing,
    data: Vec<u8>,
    parts: &mut Vec<Part<'image>>,
) -> Result<(), ArchiveError> {
    let inside = |source| ArchiveError::Inside {
        offset,
        packing: packing.name(),
        source: Box::new(source),
    };
    let bytes = std::rc::Rc::new(Cow::Owned(data));
    let mut at = skip_zeros(&bytes, 0);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        if !newc::is_newc(rest) {
            return Err(inside(unknown(&bytes, at)));
        }
        if parts.len() > MAX_PARTS {
            return Err(ArchiveError::TooMany);
        }
        let archive = newc::read_archive(&bytes, at).map_err(inside)?;
        parts.push(Part {
            offset,
            packing: Some(packing),
            entries: archive.entries,
            bytes: std::rc::Rc::clone(&bytes),
        });
        at = skip_zeros(&bytes, archive.end);
    }
    Ok(())
}

fn skip_zeros(bytes: &[u8], at: usize) -> usize {
    let zeros = bytes.iter().skip(at).take_while(|&&byte| byte == 0);
    at.saturating_add(zeros.count())
}

fn unknown(bytes: &[u8], offset: usize) -> ArchiveError {
    let found = bytes.iter().skip(offset).take(6);
    ArchiveError::Unknown {
        offset,
        found: found.map(|byte| format!("{byte:02x}")).collect(),
    }
}
