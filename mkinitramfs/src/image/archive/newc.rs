//! The newc and crc forms of cpio, read from memory: `070701` and `070702`.
//!
//! The `cpio` crate, which writes our images, reads from streams, takes names as
//! UTF-8 only and reports no offsets; other tools' images need more.

use std::ops::Range;

use super::error::ArchiveError;

/// Length of an entry's header.
const HEADER: usize = 110;

/// Longest name with its NUL: the kernel's PATH_MAX.
const MAX_NAME: usize = 4096;

/// Most entries of one archive; a desktop's image with everything has 20,000.
const MAX_ENTRIES: usize = 1 << 20;

/// Name of the entry that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// One entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path as the archive spells it, without its NUL.
    pub name: Vec<u8>,
    /// Inode number: entries of one archive with the same device, inode and more
    /// than one link are one file.
    pub ino: u32,
    /// File type and permission bits, as in `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of links.
    pub nlink: u32,
    /// Modification time in seconds since 1970.
    pub mtime: u32,
    /// Device the file was on: major and minor.
    pub dev: (u32, u32),
    /// Device the entry stands for, if it is a device node: major and minor.
    pub rdev: (u32, u32),
    /// Where the content lies in the bytes given to [`read_archive`].
    pub data: Range<usize>,
}

/// One archive and where it ends.
#[derive(Debug)]
pub struct Archive {
    /// The entries in order, without the trailer.
    pub entries: Vec<Entry>,
    /// Offset of the first byte after the trailer.
    pub end: usize,
}

/// Whether `bytes` begin with an archive's magic.
#[must_use]
pub fn is_newc(bytes: &[u8]) -> bool {
    bytes.starts_with(b"070701") || bytes.starts_with(b"070702")
}

/// Reads one archive at `start`, up to its trailer. `start` must be a multiple of 4
/// from where the kernel counts.
///
/// # Errors
/// Anything out of bounds or malformed, with its offset in `bytes`.
pub fn read_archive(bytes: &[u8], start: usize) -> Result<Archive, ArchiveError> {
    let mut entries = Vec::new();
    let mut at = start;
    loop {
        let (entry, next) = read_entry(bytes, start, at)?;
        if entries.len() >= MAX_ENTRIES {
            let reason = format!("more than {MAX_ENTRIES} entries in one archive");
            return Err(ArchiveError::Cpio { offset: at, reason });
        }
        at = next;
        if entry.name == TRAILER {
            return Ok(Archive { entries, end: at });
        }
        entries.push(entry);
    }
}

fn read_entry(bytes: &[u8], start: usize, at: usize) -> Result<(Entry, usize), ArchiveError> {
    let fail = |reason: String| ArchiveError::Cpio { offset: at, reason };
    let header = slice(bytes, at, HEADER).ok_or_else(|| {
        fail(format!(
            "the archive is cut off: an entry's header of {HEADER} bytes should be here, {} are left",
            bytes.len().saturating_sub(at)
        ))
    })?;
    let (crc, digits) = match header.split_first_chunk::<6>() {
        Some((b"070701", digits)) => (false, digits),
        Some((b"070702", digits)) => (true, digits),
        Some((b"070707", _)) => {
            return Err(fail(
                "this is the old portable cpio form (070707), not newc".into(),
            ));
        }
        _ => {
            return Err(fail(
                "no entry begins here: magic 070701 or 070702 expected".into(),
            ));
        }
    };
    let mut fields = [0_u32; 13];
    // Behind the magic, which is read above.
    for (field, text) in fields.iter_mut().zip(digits.chunks_exact(8)) {
        *field = hex(text).ok_or_else(|| {
            fail(format!(
                "{:?} is not a hexadecimal number",
                String::from_utf8_lossy(text)
            ))
        })?;
    }
    let [
        ino,
        mode,
        uid,
        gid,
        nlink,
        mtime,
        size,
        devmajor,
        devminor,
        rmajor,
        rminor,
        namesize,
        sum,
    ] = fields;

    let length = usize::try_from(namesize).unwrap_or(usize::MAX);
    if length == 0 || length > MAX_NAME {
        return Err(fail(format!(
            "a name of {namesize} bytes; 1 to {MAX_NAME} are possible"
        )));
    }
    let name = slice(bytes, at.saturating_add(HEADER), length).ok_or_else(|| {
        fail(format!(
            "the archive is cut off in a name of {length} bytes"
        ))
    })?;
    let Some((0, name)) = name.split_last() else {
        return Err(fail("a name that does not end in NUL".into()));
    };
    // dracut-cpio pads names with more NULs to align the content.
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();

    let begin = align(start, at.saturating_add(HEADER).saturating_add(length));
    let length = usize::try_from(size).unwrap_or(usize::MAX);
    let content = slice(bytes, begin, length).ok_or_else(|| {
        fail(format!(
            "{} has {size} bytes by its header, but only {} are left",
            String::from_utf8_lossy(name),
            bytes.len().saturating_sub(begin)
        ))
    })?;
    if crc && is_regular(mode) {
        let found = content
            .iter()
            .fold(0_u32, |total, &byte| total.wrapping_add(u32::from(byte)));
        if found != sum {
            return Err(fail(format!(
                "the checksum of {} is {found:08x}, its header says {sum:08x}",
                String::from_utf8_lossy(name)
            )));
        }
    }
    let end = begin.saturating_add(length);
    let entry = Entry {
        name: name.to_vec(),
        ino,
        mode,
        uid,
        gid,
        nlink,
        mtime,
        dev: (devmajor, devminor),
        rdev: (rmajor, rminor),
        data: begin..end,
    };
    Ok((entry, align(start, end).min(bytes.len())))
}

fn is_regular(mode: u32) -> bool {
    mode & 0o170_000 == 0o100_000
}

fn slice(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}

/// Rounds `at` up to a multiple of 4, counted from `start`.
fn align(start: usize, at: usize) -> usize {
    let padded = at.saturating_sub(start).checked_next_multiple_of(4);
    start.saturating_add(padded.unwrap_or(usize::MAX))
}

/// Eight hexadecimal digits as a number; no sign, no spaces.
fn hex(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0_u32, |value, &byte| {
        Some(value << 4 | char::from(byte).to_digit(16)?)
    })
}
