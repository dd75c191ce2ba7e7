//! The part of ELF that the MLE hash needs: a 32-bit x86 executable, laid out as its tools do it.
//!
//! The segments are packed back to back in program-header order, each padded with zeros to its
//! memory size; load addresses and the gaps between them are ignored. That is not how the ELF
//! specification loads a program, but it is how tboot's tools build the image they hash.

/// Why a file is not the executable that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// A field of the ELF header or a program header has the wrong value.
    #[error("the ELF field {field} at offset {offset:#x} is {found:#x}, expected {expected}")]
    Field {
        /// Name of the field in the ELF specification.
        field: &'static str,
        /// Its place in the file, in bytes.
        offset: usize,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: u32,
    },
    /// The file ends before something that it claims to hold.
    #[error("the file ends at {len:#x}, before the {what} at offset {offset:#x}")]
    Truncated {
        /// What should have been there.
        what: &'static str,
        /// Where it should have begun, in bytes.
        offset: usize,
        /// Length of the file, in bytes.
        len: usize,
    },
    /// The segments claim more memory than an MLE can have.
    #[error("the segments need more than {limit} bytes of memory, which is the limit")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

/// Segment type PT_LOAD.
const PT_LOAD: u32 = 1;
/// Size of an Elf32_Phdr.
const PROGRAM_HEADER_LEN: u16 = 32;

/// Reads little-endian fields at checked places.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(
        &self,
        offset: usize,
        what: &'static str,
    ) -> Result<[u8; N], ElfError> {
        self.0
            .get(offset..)
            .and_then(|rest| rest.first_chunk::<N>())
            .copied()
            .ok_or(ElfError::Truncated {
                what,
                offset,
                len: self.0.len(),
            })
    }
    fn u16(&self, offset: usize, what: &'static str) -> Result<u16, ElfError> {
        Ok(u16::from_le_bytes(self.array(offset, what)?))
    }
    fn u32(&self, offset: usize, what: &'static str) -> Result<u32, ElfError> {
        Ok(u32::from_le_bytes(self.array(offset, what)?))
    }
}

/// Expands an ELF file to the image that the MLE hash is taken of. At most `limit` bytes.
pub fn expand(file: &[u8], limit: usize) -> Result<Vec<u8>, ElfError> {
    let fields = Fields(file);
    check_header(&fields)?;
    let table = fields.u32(0x1c, "e_phoff")? as usize;
    let entry_len = fields.u16(0x2a, "e_phentsize")?;
    if entry_len < PROGRAM_HEADER_LEN {
        return Err(ElfError::Field {
            field: "e_phentsize",
            offset: 0x2a,
            expected: "at least 0x20",
            found: entry_len.into(),
        });
    }
    let mut image = Vec::new();
    for number in 0..usize::from(fields.u16(0x2c, "e_phnum")?) {
        let at = table.saturating_add(number.saturating_mul(usize::from(entry_len)));
        if fields.u32(at, "program header")? == PT_LOAD {
            append_segment(&fields, at, limit, &mut image)?;
        }
    }
    Ok(image)
}

/// Magic, class, byte order, type and machine: an executable for 32-bit x86 and nothing else.
fn check_header(fields: &Fields<'_>) -> Result<(), ElfError> {
    let ident: [u8; 7] = fields.array(0, "ELF header")?;
    let [m0, m1, m2, m3, class, order, version] = ident;
    let checks: [(&'static str, usize, u32, u32, &'static str); 7] = [
        (
            "e_ident magic",
            0,
            u32::from_be_bytes([m0, m1, m2, m3]),
            0x7f45_4c46,
            "0x7f454c46",
        ),
        ("EI_CLASS", 4, class.into(), 1, "1 (32 bit)"),
        ("EI_DATA", 5, order.into(), 1, "1 (little-endian)"),
        ("EI_VERSION", 6, version.into(), 1, "1"),
        (
            "e_type",
            0x10,
            fields.u16(0x10, "e_type")?.into(),
            2,
            "2 (executable)",
        ),
        (
            "e_machine",
            0x12,
            fields.u16(0x12, "e_machine")?.into(),
            3,
            "3 (x86)",
        ),
        ("e_version", 0x14, fields.u32(0x14, "e_version")?, 1, "1"),
    ];
    for (field, offset, found, wanted, expected) in checks {
        if found != wanted {
            return Err(ElfError::Field {
                field,
                offset,
                expected,
                found,
            });
        }
    }
    Ok(())
}

/// File bytes of one segment, then zeros up to its memory size.
fn append_segment(
    fields: &Fields<'_>,
    header: usize,
    limit: usize,
    image: &mut Vec<u8>,
) -> Result<(), ElfError> {
    let offset = fields.u32(header.saturating_add(4), "p_offset")? as usize;
    let file_len = fields.u32(header.saturating_add(16), "p_filesz")? as usize;
    let memory_len = fields.u32(header.saturating_add(20), "p_memsz")?;
    let bytes = offset
        .checked_add(file_len)
        .and_then(|end| fields.0.get(offset..end))
        .ok_or(ElfError::Truncated {
            what: "end of a segment",
            offset,
            len: fields.0.len(),
        })?;
    if (memory_len as usize) < file_len {
        return Err(ElfError::Field {
            field: "p_memsz",
            offset: header.saturating_add(20),
            expected: "at least p_filesz",
            found: memory_len,
        });
    }
    let end = image.len().saturating_add(memory_len as usize);
    if end > limit {
        return Err(ElfError::TooLarge { limit });
    }
    image.extend_from_slice(bytes);
    image.resize(end, 0);
    Ok(())
}
