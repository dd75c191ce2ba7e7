//! What an ELF file asks the loader for: System V ABI, chapters 4 and 5; glibc's additions.
//!
//! The file is not read as a whole: only the parts that are asked for, each of bounded size.
//!
//! The crate `object`, by which images are built, would replace only the two tables: it reads from
//! a whole file in memory, or through a cache that keeps whatever was read; it has no bound for
//! segments, dynamic entries and names; and the loader's own rules (an address is looked for in the
//! last segment that has it, the last table of strings counts, the first entry of kind 0 ends
//! all) would stay here. For that it would be one more reader in /init.

use std::{fs::File, os::unix::fs::FileExt};

/// Most segments.
const MOST_SEGMENTS: u64 = 128;
/// Most entries of the dynamic section.
const MOST_ENTRIES: u64 = 4096;
/// Most libraries of one file.
const MOST_NEEDED: usize = 512;
/// Longest path or name.
const LONGEST: usize = 4096;

const HEADER: u64 = 64;
const SEGMENT: u64 = 56;
const ENTRY: u64 = 16;

const LOAD: u64 = 1;
const DYNAMIC: u64 = 2;
const INTERPRETER: u64 = 3;

const NEEDED: u64 = 1;
const STRINGS: u64 = 5;
const RPATH: u64 = 15;
const RUNPATH: u64 = 29;
const FLAGS_1: u64 = 0x6fff_fffb;
/// DF_1_PIE: a program that may lie anywhere.
const PIE: u64 = 0x0800_0000;
/// ET_DYN.
const SHARED: u64 = 3;
const DEPENDENT_AUDIT: u64 = 0x6fff_fefb;
const AUDIT: u64 = 0x6fff_fefc;
const AUXILIARY: u64 = 0x7fff_fffd;
const FILTER: u64 = 0x7fff_ffff;

/// Why a file's needs are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// Not 64 bits, little-endian.
    #[error("not a 64-bit little-endian ELF file")]
    Kind,
    /// Something lies outside the file.
    #[error("the ELF file is damaged: {0} is outside the file or of a wrong size")]
    Outside(&'static str),
    /// More than anybody needs.
    #[error("the ELF file has more {0} than is supported")]
    TooMany(&'static str),
    /// A name that is not text.
    #[error("the ELF file is damaged: {0} is not text")]
    Text(&'static str),
    /// It has itself watched by another library.
    #[error("the ELF file asks for auditing libraries (DT_AUDIT), which are not supported")]
    Audit,
}

/// Bytes that can be read from any place.
pub trait ReadAt {
    /// Exactly `length` bytes from `offset` on; `None` if there are not so many.
    fn read(&self, offset: u64, length: usize) -> Option<Vec<u8>>;
    /// As many of `length` bytes from `offset` on as there are.
    fn read_some(&self, offset: u64, length: usize) -> Vec<u8>;
}

impl ReadAt for [u8] {
    fn read(&self, offset: u64, length: usize) -> Option<Vec<u8>> {
        let start = usize::try_from(offset).ok()?;
        Some(self.get(start..start.checked_add(length)?)?.to_vec())
    }

    fn read_some(&self, offset: u64, length: usize) -> Vec<u8> {
        let start = usize::try_from(offset).ok();
        match start.and_then(|start| self.get(start..)) {
            Some(rest) => rest.iter().take(length).copied().collect(),
            // Behind the end there is nothing.
            None => Vec::new(),
        }
    }
}

impl ReadAt for File {
    fn read(&self, offset: u64, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    }

    fn read_some(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, offset.saturating_add(read as u64)) {
                Ok(0) | Err(_) => break,
                Ok(count) => read = read.saturating_add(count),
            }
        }
        bytes.truncate(read);
        bytes
    }
}

/// What a program or library asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Its loader (PT_INTERP).
    pub interpreter: Option<String>,
    /// Libraries, by name or path (DT_NEEDED, and DT_FILTER).
    pub libraries: Vec<String>,
    /// Libraries that are used if they are there (DT_AUXILIARY).
    pub optional: Vec<String>,
    /// Directories for the libraries of this file and of what it needs, if there is no
    /// [`Needs::runpath`] (DT_RPATH).
    pub rpath: Vec<String>,
    /// Directories for the libraries of this file (DT_RUNPATH).
    pub runpath: Option<Vec<String>>,
}

#[derive(Clone, Copy)]
struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    size: u64,
}

/// The little-endian number of so many bytes, eight at most, that is at this place.
pub(crate) fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(length)?)?;
    let shift = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    Some(field.iter().rev().fold(0, shift))
}

impl Segment {
    /// An entry of the table of segments.
    fn of(entry: &[u8]) -> Option<Self> {
        Some(Self {
            kind: number(entry, 0, 4)?,
            offset: number(entry, 8, 8)?,
            address: number(entry, 16, 8)?,
            size: number(entry, 32, 8)?,
        })
    }
}

fn segments<R: ReadAt + ?Sized>(file: &R) -> Result<Vec<Segment>, ElfError> {
    let header = file.read(0, HEADER as usize).ok_or(ElfError::Kind)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return Err(ElfError::Kind);
    }
    let field = |at, length| number(&header, at, length).ok_or(ElfError::Kind);
    let (offset, size, count) = (field(32, 8)?, field(54, 2)?, field(56, 2)?);
    if count > MOST_SEGMENTS {
        return Err(ElfError::TooMany("segments"));
    }
    let outside = ElfError::Outside("the table of segments");
    // The kernel and the loader take no other size.
    if count > 0 && size != SEGMENT {
        return Err(outside);
    }
    let table = file.read(offset, count.saturating_mul(SEGMENT) as usize);
    let table = table.ok_or(outside)?;
    let entries = table.chunks_exact(SEGMENT as usize);
    entries
        .map(|entry| Segment::of(entry).ok_or(outside))
        .collect()
}

/// Where in the file what will be at this address is.
fn place(segments: &[Segment], address: u64) -> Option<u64> {
    segments.iter().rev().find_map(|segment| {
        let inside = address.checked_sub(segment.address)?;
        (segment.kind == LOAD && inside < segment.size)
            .then(|| segment.offset.checked_add(inside))?
    })
}

fn text<R: ReadAt + ?Sized>(
    file: &R,
    offset: u64,
    length: usize,
    what: &'static str,
) -> Result<String, ElfError> {
    let bytes = file.read_some(offset, length.min(LONGEST));
    let end = bytes.iter().position(|byte| *byte == 0);
    let text = end.and_then(|end| bytes.get(..end));
    let text = text.ok_or(ElfError::Outside(what))?;
    String::from_utf8(text.to_vec()).map_err(|_| ElfError::Text(what))
}

/// Is it a shared object that is not a program? With no loader of its own (PT_INTERP) it is the loader
/// itself, which loads whatever it is told to.
///
/// # Errors
///
/// If it is not such an ELF file, or damaged.
pub fn is_shared_object<R: ReadAt + ?Sized>(file: &R) -> Result<bool, ElfError> {
    let header = file.read(0, HEADER as usize).ok_or(ElfError::Kind)?;
    if number(&header, 16, 2) != Some(SHARED) {
        return Ok(false);
    }
    let segments = segments(file)?;
    let flags = dynamic_entries(file, &segments)?
        .into_iter()
        .find(|(tag, _)| *tag == FLAGS_1);
    Ok(flags.is_none_or(|(_, flags)| flags & PIE == 0))
}

/// The dynamic section, as the loader finds it: by its address.
fn dynamic_entries<R: ReadAt + ?Sized>(
    file: &R,
    segments: &[Segment],
) -> Result<Vec<(u64, u64)>, ElfError> {
    let Some(dynamic) = segments.iter().find(|segment| segment.kind == DYNAMIC) else {
        return Ok(Vec::new());
    };
    let outside = ElfError::Outside("the dynamic section");
    let at = place(segments, dynamic.address).ok_or(outside)?;
    let count = dynamic.size / ENTRY;
    if count > MOST_ENTRIES {
        return Err(ElfError::TooMany("dynamic entries"));
    }
    let table = file.read(at, count.saturating_mul(ENTRY) as usize);
    let table = table.ok_or(outside)?;
    let entry = |entry: &[u8]| Some((number(entry, 0, 8)?, number(entry, 8, 8)?));
    let entries = table.chunks_exact(ENTRY as usize);
    let entries = entries.map(|bytes| entry(bytes).ok_or(outside));
    // The first of kind 0 is the end.
    entries
        .take_while(|entry| !matches!(entry, Ok((0, _))))
        .collect()
}

/// Reads what a file asks for.
///
/// # Errors
///
/// If it is not such an ELF file, or damaged; if it asks for more than is supported.
pub fn needs<R: ReadAt + ?Sized>(file: &R) -> Result<Needs, ElfError> {
    let segments = segments(file)?;
    let mut needs = Needs::default();
    let of_kind = |kind| segments.iter().find(|segment| segment.kind == kind);
    if let Some(segment) = of_kind(INTERPRETER) {
        let size = usize::try_from(segment.size).unwrap_or(LONGEST);
        needs.interpreter = Some(text(file, segment.offset, size, "the loader's path")?);
    }
    let entries = dynamic_entries(file, &segments)?;
    let strings = entries.iter().rev().find(|(tag, _)| *tag == STRINGS);
    let strings = strings.and_then(|(_, address)| place(&segments, *address));
    let string = |offset: u64| {
        let what = "a name of the dynamic section";
        let at = strings.and_then(|strings| strings.checked_add(offset));
        text(file, at.ok_or(ElfError::Outside(what))?, LONGEST, what)
    };
    let directories = |offset: u64| -> Result<Vec<String>, ElfError> {
        Ok(string(offset)?.split(':').map(str::to_owned).collect())
    };
    for (tag, value) in entries {
        match tag {
            NEEDED | FILTER => needs.libraries.push(string(value)?),
            AUXILIARY => needs.optional.push(string(value)?),
            RPATH => needs.rpath = directories(value)?,
            RUNPATH => needs.runpath = Some(directories(value)?),
            AUDIT | DEPENDENT_AUDIT => return Err(ElfError::Audit),
            _ => {}
        }
        if needs.libraries.len().saturating_add(needs.optional.len()) > MOST_NEEDED {
            return Err(ElfError::TooMany("libraries"));
        }
    }
    Ok(needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_program_needs_what_the_system_says() {
        let file = File::open("/proc/self/exe").unwrap();
        let needs = needs(&file).unwrap();
        assert!(needs.interpreter.unwrap().contains("ld-linux"));
        assert!(needs.libraries.iter().any(|name| name == "libc.so.6"));
    }

    #[test]
    fn the_loader_is_no_program_and_programs_are() {
        let program = File::open("/proc/self/exe").unwrap();
        assert_eq!(is_shared_object(&program), Ok(false));
        let loader = needs(&program).unwrap().interpreter.unwrap();
        let loader = File::open(loader).unwrap();
        assert_eq!(needs(&loader).unwrap().interpreter, None);
        assert_eq!(is_shared_object(&loader), Ok(true));
        assert!(is_shared_object(&b"text"[..]).is_err());
    }

    #[test]
    fn a_cut_or_changed_file_is_refused_or_read_without_harm() {
        let whole = std::fs::read("/proc/self/exe").unwrap();
        let start = &whole[..4096];
        for length in [0, 1, 63, 64, 100, 500] {
            assert!(needs(&start[..length]).is_err(), "{length}");
        }
        for place in 0..1024 {
            let mut changed = start.to_vec();
            changed[place] ^= 0xff;
            // Whatever it says, it says it.
            drop(needs(changed.as_slice()));
        }
    }

    #[test]
    fn what_the_header_merely_claims_is_not_allocated() {
        let mut file = vec![0; 120];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32] = 64;
        file[54] = 56;
        file[56] = 1;
        // A loader's path of 2^63 bytes.
        file[64] = 3;
        file[64 + 8 + 7] = 0x7f;
        file[64 + 32 + 7] = 0x7f;
        assert_eq!(
            needs(file.as_slice()),
            Err(ElfError::Outside("the loader's path"))
        );
        file[56] = 0xff;
        assert_eq!(needs(file.as_slice()), Err(ElfError::TooMany("segments")));
    }
}
