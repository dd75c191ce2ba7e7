//! The header of a module: version, size, key and signature.

use crate::codec::{FormatError, Reader, value};

/// `module_type` of a chipset module, the only type.
pub const TYPE_CHIPSET: u16 = 2;
/// `module_vendor` of Intel, the only vendor.
pub const VENDOR_INTEL: u32 = 0x8086;
/// Bytes in front of the key: they are signed.
pub const KEY_OFFSET: usize = 128;

/// Version of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderVersion {
    /// 0.0: RSA 2048 with its exponent.
    V0_0,
    /// 3.0: RSA 3072 with exponent 65537.
    V3_0,
}

impl HeaderVersion {
    /// Length of the RSA modulus in bytes.
    pub const fn key_len(self) -> usize {
        match self {
            Self::V0_0 => 256,
            Self::V3_0 => 384,
        }
    }

    /// Length of the whole header in bytes.
    const fn len(self) -> u32 {
        match self {
            Self::V0_0 => 644,
            Self::V3_0 => 896,
        }
    }
}

/// A module's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// 0 for SINIT and BIOS modules, 1 for reset modules.
    pub subtype: u16,
    /// Its version.
    pub version: HeaderVersion,
    /// Identifies the module's release.
    pub chipset_id: u16,
    /// Bit 14: pre-production, bit 15: signed for debugging.
    pub flags: u16,
    /// When it was made: 0xYYYYMMDD in binary coded decimal.
    pub date: u32,
    /// Length of the module in bytes.
    pub size: u32,
    /// TXT security version.
    pub txt_svn: u16,
    /// SGX security version.
    pub se_svn: u16,
    /// Reserved control bits.
    pub code_control: u32,
    /// Segment selector of the entry point.
    pub entry_segment: u32,
    /// Offset of the entry point.
    pub entry_point: u32,
    /// Length of the scratch area in bytes; it is not signed.
    pub scratch_len: u32,
    /// The RSA modulus, little-endian as it stands in the file.
    pub modulus: Vec<u8>,
    /// The RSA exponent.
    pub exponent: u32,
    /// The signature, little-endian as it stands in the file.
    pub signature: Vec<u8>,
}

impl Header {
    /// Reads the header of a module file and checks its sizes against the file.
    pub(super) fn parse(file: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(file);
        let module_type = reader.u16("module_type")?;
        expect("module_type", 0, TYPE_CHIPSET, module_type)?;
        let subtype = reader.u16("module_subtype")?;
        let header_len = words(&mut reader, "header_len")?;
        let version = match reader.u32("header_version")? {
            0 => HeaderVersion::V0_0,
            0x0003_0000 => HeaderVersion::V3_0,
            found => {
                let expected = "0x0 (RSA 2048) or 0x30000 (RSA 3072)";
                return Err(value("header_version", 8, expected, found));
            }
        };
        expect("header_len in bytes", 4, version.len(), header_len)?;
        let chipset_id = reader.u16("chipset_id")?;
        let flags = reader.u16("flags")?;
        expect(
            "module_vendor",
            16,
            VENDOR_INTEL,
            reader.u32("module_vendor")?,
        )?;
        let date = reader.u32("date")?;
        let size = words(&mut reader, "size")?;
        let len = u32::try_from(file.len()).unwrap_or(u32::MAX);
        expect("size in bytes", 24, len, size)?;
        let txt_svn = reader.u16("txt_svn")?;
        let se_svn = reader.u16("se_svn")?;
        let code_control = reader.u32("code_control")?;
        reader.take("error_entry_point, gdt_limit, gdt_base", 12)?;
        let entry_segment = reader.u32("seg_sel")?;
        let entry_point = reader.u32("entry_point")?;
        reader.take("reserved2", 64)?;
        let key_len = words(&mut reader, "key_size")?;
        let expected = u32::try_from(version.key_len()).unwrap_or(u32::MAX);
        expect("key_size in bytes", 120, expected, key_len)?;
        let scratch_len = words(&mut reader, "scratch_size")?;
        if header_len.saturating_add(scratch_len) > size {
            let expected = format!("at most {:#x} bytes", size.saturating_sub(header_len));
            return Err(value("scratch_size in bytes", 124, expected, scratch_len));
        }
        let modulus = reader.take("RSA key", version.key_len())?.to_vec();
        let exponent = match version {
            HeaderVersion::V0_0 => reader.u32("RSA exponent")?,
            HeaderVersion::V3_0 => 65537,
        };
        let signature = reader.take("RSA signature", version.key_len())?.to_vec();
        Ok(Self {
            subtype,
            version,
            chipset_id,
            flags,
            date,
            size,
            txt_svn,
            se_svn,
            code_control,
            entry_segment,
            entry_point,
            scratch_len,
            modulus,
            exponent,
            signature,
        })
    }

    /// Where the user area begins, in bytes: the signed part behind header and scratch area.
    pub fn user_area(&self) -> u32 {
        self.version.len().saturating_add(self.scratch_len)
    }

    /// Was it made for platforms before their production?
    pub const fn is_pre_production(&self) -> bool {
        self.flags & 1 << 14 != 0
    }

    /// Is it signed with the debug key? Platforms that are sold refuse it.
    pub const fn is_debug_signed(&self) -> bool {
        self.flags & 1 << 15 != 0
    }
}

/// A length that the file gives in 32-bit words, in bytes.
fn words(reader: &mut Reader<'_>, field: &'static str) -> Result<u32, FormatError> {
    let offset = reader.offset();
    let words = reader.u32(field)?;
    words
        .checked_mul(4)
        .ok_or_else(|| value(field, offset, "at most 0x3fffffff words", words))
}

fn expect<T>(field: &'static str, offset: usize, wanted: T, found: T) -> Result<(), FormatError>
where
    T: PartialEq + std::fmt::LowerHex + Into<u64>,
{
    if wanted == found {
        return Ok(());
    }
    Err(value(field, offset, format!("{wanted:#x}"), found))
}
