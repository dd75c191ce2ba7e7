//! TPM_NV_DATA_PUBLIC: what an NV index is, as the TPM shows it and as it is defined.
//!
//! Source: TPM Main, Part 2, sections 19.2 and 19.3.

use super::codec::{Bytes20, Malformed, Reader};

/// TPM_TAG_NV_DATA_PUBLIC.
const TAG_PUBLIC: u16 = 0x0018;
/// TPM_TAG_NV_ATTRIBUTES.
const TAG_ATTRIBUTES: u16 = 0x0017;
/// Longest PCR bit map that is read, in bytes: 64 PCRs; a TPM 1.2 has 24.
const MAX_SELECTION: usize = 8;

/// Permissions of an index: TPM_NV_PER bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub u32);

impl Attributes {
    /// Writing needs physical presence: the machine's maker owns the index.
    pub const PP_WRITE: u32 = 0x0000_0001;
    /// Writing needs the owner's secret.
    pub const OWNER_WRITE: u32 = 0x0000_0002;
    /// Writing needs the index's own secret.
    pub const AUTH_WRITE: u32 = 0x0000_0004;
    /// It can be written as a whole only.
    pub const WRITE_ALL: u32 = 0x0000_1000;
    /// A write of no bytes locks it until it is defined anew.
    pub const WRITE_DEFINE: u32 = 0x0000_2000;
    /// A write of no bytes locks it until the next boot.
    pub const WRITE_ST_CLEAR: u32 = 0x0000_4000;
    /// A write of no bytes to index 0 locks it until the next boot.
    pub const GLOBAL_LOCK: u32 = 0x0000_8000;
    /// Reading needs physical presence.
    pub const PP_READ: u32 = 0x0001_0000;
    /// Reading needs the owner's secret.
    pub const OWNER_READ: u32 = 0x0002_0000;
    /// Reading needs the index's own secret.
    pub const AUTH_READ: u32 = 0x0004_0000;
    /// A read of no bytes locks it against reading until the next boot.
    pub const READ_ST_CLEAR: u32 = 0x8000_0000;

    /// Bits and their names in the specification, without the prefix TPM_NV_PER_.
    pub const NAMES: [(u32, &'static str); 11] = [
        (Self::READ_ST_CLEAR, "READ_STCLEAR"),
        (Self::AUTH_READ, "AUTHREAD"),
        (Self::OWNER_READ, "OWNERREAD"),
        (Self::PP_READ, "PPREAD"),
        (Self::GLOBAL_LOCK, "GLOBALLOCK"),
        (Self::WRITE_ST_CLEAR, "WRITE_STCLEAR"),
        (Self::WRITE_DEFINE, "WRITEDEFINE"),
        (Self::WRITE_ALL, "WRITEALL"),
        (Self::AUTH_WRITE, "AUTHWRITE"),
        (Self::OWNER_WRITE, "OWNERWRITE"),
        (Self::PP_WRITE, "PPWRITE"),
    ];

    /// Is any of these bits set?
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
}

/// TPM_PCR_INFO_SHORT: from which locality and under which PCRs something is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcrInfoShort {
    /// Bit map of PCRs, lowest first; at most 8 bytes.
    pub selection: Vec<u8>,
    /// Localities, a bit each; 0x1f is all five.
    pub localities: u8,
    /// Composite hash of the selected PCRs; zeros when none is.
    pub digest: Bytes20,
}

impl PcrInfoShort {
    /// No PCRs, these localities.
    pub fn localities(localities: u8) -> Self {
        Self {
            selection: vec![0; 3],
            localities,
            digest: [0; 20],
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let size = usize::from(reader.u16("sizeOfSelect")?);
        if size > MAX_SELECTION {
            return Err(Malformed(format!(
                "sizeOfSelect is {size}, expected at most {MAX_SELECTION}"
            )));
        }
        Ok(Self {
            selection: reader.take("pcrSelect", size)?.to_vec(),
            localities: reader.u8("localityAtRelease")?,
            digest: reader.array("digestAtRelease")?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let selection = self.selection.get(..MAX_SELECTION);
        let selection = selection.unwrap_or(&self.selection);
        out.extend(u16::try_from(selection.len()).unwrap_or(0).to_be_bytes());
        out.extend(selection);
        out.push(self.localities);
        out.extend(self.digest);
    }
}

/// What an NV index is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NvPublic {
    /// Its number.
    pub index: u32,
    /// Who may read it.
    pub read: PcrInfoShort,
    /// Who may write it.
    pub write: PcrInfoShort,
    /// Permissions.
    pub attributes: Attributes,
    /// Locked against reading until the next boot.
    pub read_locked: bool,
    /// Locked against writing until the next boot.
    pub write_locked: bool,
    /// Locked against writing until it is defined anew.
    pub write_defined: bool,
    /// Size of its data, in bytes.
    pub size: u32,
}

impl NvPublic {
    /// An index to be defined, for all localities and without PCRs.
    pub fn new(index: u32, attributes: Attributes, size: u32) -> Self {
        Self {
            index,
            read: PcrInfoShort::localities(0x1f),
            write: PcrInfoShort::localities(0x1f),
            attributes,
            read_locked: false,
            write_locked: false,
            write_defined: false,
            size,
        }
    }

    /// Is it locked against writing, now or for ever?
    pub const fn is_write_locked(&self) -> bool {
        self.write_locked || self.write_defined
    }

    /// Reads one that fills `bytes`.
    ///
    /// # Errors
    /// What is cut off, too much, or has an impossible value.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        reader.tag("TPM_NV_DATA_PUBLIC", TAG_PUBLIC)?;
        let index = reader.u32("nvIndex")?;
        let read = PcrInfoShort::read(&mut reader)?;
        let write = PcrInfoShort::read(&mut reader)?;
        reader.tag("TPM_NV_ATTRIBUTES", TAG_ATTRIBUTES)?;
        let public = Self {
            index,
            read,
            write,
            attributes: Attributes(reader.u32("attributes")?),
            read_locked: reader.flag("bReadSTClear")?,
            write_locked: reader.flag("bWriteSTClear")?,
            write_defined: reader.flag("bWriteDefine")?,
            size: reader.u32("dataSize")?,
        };
        reader.finish("dataSize")?;
        Ok(public)
    }

    /// Its bytes: 71 with the usual PCR bit maps of three bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = TAG_PUBLIC.to_be_bytes().to_vec();
        out.extend(self.index.to_be_bytes());
        self.read.write(&mut out);
        self.write.write(&mut out);
        out.extend(TAG_ATTRIBUTES.to_be_bytes());
        out.extend(self.attributes.0.to_be_bytes());
        let flags = [self.read_locked, self.write_locked, self.write_defined];
        out.extend(flags.map(u8::from));
        out.extend(self.size.to_be_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn info() -> impl Strategy<Value = PcrInfoShort> {
        (
            proptest::collection::vec(any::<u8>(), 0..=MAX_SELECTION),
            any::<u8>(),
            any::<Bytes20>(),
        )
            .prop_map(|(selection, localities, digest)| PcrInfoShort {
                selection,
                localities,
                digest,
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            index: u32, read in info(), write in info(), attributes: u32, flags: [bool; 3], size: u32
        ) {
            let public = NvPublic {
                index, read, write, attributes: Attributes(attributes),
                read_locked: flags[0], write_locked: flags[1], write_defined: flags[2], size,
            };
            let bytes = public.to_bytes();
            prop_assert_eq!(NvPublic::parse(&bytes), Ok(public.clone()));
            for end in 0..bytes.len() {
                prop_assert!(NvPublic::parse(&bytes[..end]).is_err());
            }
        }

        #[test]
        fn what_is_read_is_written_again(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Ok(public) = NvPublic::parse(&bytes) {
                prop_assert_eq!(public.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn a_pcr_map_that_claims_too_much_is_refused() {
        let mut bytes = NvPublic::new(1, Attributes(2), 3).to_bytes();
        assert_eq!(bytes.len(), 71);
        bytes[6..8].copy_from_slice(&[0xff, 0xff]);
        let error = NvPublic::parse(&bytes).unwrap_err().to_string();
        assert!(error.contains("sizeOfSelect is 65535"), "{error}");
    }
}
