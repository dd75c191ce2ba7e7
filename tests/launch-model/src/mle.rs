//! The measured launch environment: tboot's image as SINIT hashes it (`lcp2_mlehash`).

use crate::{
    Bank, ModelError,
    file::{Bytes, content},
};

/// In front of the MLE header (Intel TXT MLE Developer's Guide, 2.1).
const UUID: [u8; 16] = [
    0x5a, 0xac, 0x82, 0x90, 0x6f, 0x47, 0xa7, 0x74, 0x0f, 0x5c, 0x55, 0xa2, 0xcb, 0x51, 0xb6, 0x42,
];
/// More than tboot can have below 4 GiB, with room for the rest.
const LARGEST: usize = 1 << 28;

/// What SINIT hashes.
#[derive(Clone, Debug)]
pub struct Mle {
    /// The pages, the command line in its place.
    pages: Vec<u8>,
    /// The capabilities in the MLE header.
    pub capabilities: u32,
}

impl Mle {
    /// tboot, started with a command line.
    ///
    /// # Errors
    /// The file is not a tboot, or the command line is longer than its place.
    pub fn of(file: &[u8], cmdline: &[u8]) -> Result<Self, ModelError> {
        let mut image = image(&content(file)?)?;
        let header = header(&image)?;
        let [start, end, capabilities, cmdline_start, cmdline_end] = header;
        // tboot keeps its command line in its own pages, with a NUL behind it.
        if cmdline_end > cmdline_start {
            let room = cmdline_end.saturating_sub(cmdline_start);
            let (found, what) = (cmdline.len(), "tboot's image");
            if found >= room {
                return Err(ModelError::CmdlineTooLong { found, room });
            }
            let needed = cmdline_end;
            let area = image.get_mut(cmdline_start..cmdline_end);
            let area = area.ok_or(ModelError::Short { what, needed })?;
            area.fill(0);
            for (place, byte) in area.iter_mut().zip(cmdline) {
                *place = *byte;
            }
        }
        let pages = image.get(start..end);
        let pages = pages.ok_or(ModelError::NotTboot("its pages are not in its image"))?;
        let capabilities = u32::try_from(capabilities);
        Ok(Self {
            pages: pages.to_vec(),
            capabilities: capabilities
                .map_err(|_| ModelError::NotTboot("its capabilities cannot be read"))?,
        })
    }

    /// Its hash.
    pub fn hash(&self, bank: Bank) -> Vec<u8> {
        bank.hash(&self.pages)
    }
}

/// The loaded segments of a 32-bit executable, one behind the other in the order of their headers:
/// addresses do not count.
fn image(file: &[u8]) -> Result<Vec<u8>, ModelError> {
    let what = "tboot's ELF file";
    let elf = Bytes { what, bytes: file };
    // Magic, 32 bit, little-endian, version 1.
    if !file.starts_with(b"\x7fELF\x01\x01\x01") {
        return Err(ModelError::NotTboot("it is not a 32-bit ELF file"));
    }
    let (executable, x86, version) = (elf.number(16, 2)?, elf.number(18, 2)?, elf.number(20, 4)?);
    if (executable, x86, version) != (2, 3, 1) {
        return Err(ModelError::NotTboot("it is not an executable for x86"));
    }
    let (table, entry_len, entries) = (elf.number(28, 4)?, elf.number(42, 2)?, elf.number(44, 2)?);
    if entry_len < 32 {
        return Err(ModelError::NotTboot("its program headers are too short"));
    }
    let mut image = Vec::new();
    for entry in 0..entries {
        let at = table.saturating_add(entry.saturating_mul(entry_len));
        let field = |number: usize| elf.number(at.saturating_add(number.saturating_mul(4)), 4);
        let (kind, offset, in_file, in_memory) = (field(0)?, field(1)?, field(4)?, field(5)?);
        if kind != 1 {
            continue;
        }
        let end = image.len().saturating_add(in_memory);
        if in_memory < in_file || end > LARGEST {
            return Err(ModelError::NotTboot("a segment has an impossible length"));
        }
        image.extend(elf.part(offset, in_file)?);
        image.resize(end, 0);
    }
    Ok(image)
}

/// Begin and end of the pages, capabilities, begin and end of the command line.
fn header(image: &[u8]) -> Result<[usize; 5], ModelError> {
    let what = "the MLE header";
    let mut places = (0..image.len()).step_by(16);
    let at = places.find(|at| image.get(*at..).is_some_and(|rest| rest.starts_with(&UUID)));
    let at = at.ok_or(ModelError::NotTboot("it has no MLE header"))?;
    let bytes = image.get(at.saturating_add(16)..).unwrap_or(&[]);
    let header = Bytes { what, bytes };
    // length, version, entry point, first valid page, then what is returned.
    let [a, b, c, d, e] = [4, 5, 6, 7, 8].map(|field| header.number(field * 4, 4));
    Ok([a?, b?, c?, d?, e?])
}
