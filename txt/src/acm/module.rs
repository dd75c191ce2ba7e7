//! A whole module.

use super::{
    header::{Header, KEY_OFFSET},
    lists::{self, ChipsetId, InfoTable, ProcessorId, TpmInfo},
};
use crate::codec::{FormatError, Reader, value};

/// What a module's signature is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedParts {
    /// Everything in front of the key.
    pub head: [u8; KEY_OFFSET],
    /// Everything behind the scratch area.
    pub user: Vec<u8>,
}

/// A parsed module.
#[derive(Clone, Debug)]
pub struct Acm {
    signed: SignedParts,
    header: Header,
    info: InfoTable,
    chipsets: Vec<ChipsetId>,
    processors: Vec<ProcessorId>,
    tpm: Option<TpmInfo>,
}

impl Acm {
    /// Reads a module file. Its signature is not checked here, see [`Acm::signed`].
    ///
    /// # Errors
    /// The field that cannot be what the format says.
    pub fn parse(file: &[u8]) -> Result<Self, FormatError> {
        let header = Header::parse(file)?;
        let table = header.user_area();
        let info = InfoTable::read(&mut at(file, table, "information table")?)?;
        let chipsets = lists::chipsets(&mut at(file, info.chipset_list, "chipset list")?)?;
        let processors = match info.processor_list {
            Some(offset) => lists::processors(&mut at(file, offset, "processor list")?)?,
            None => Vec::new(),
        };
        let tpm = match info.tpm_list {
            Some(offset) => Some(TpmInfo::read(&mut at(file, offset, "TPM info list")?)?),
            None => None,
        };
        let signed = SignedParts {
            head: Reader::new(file).array("header")?,
            user: at(file, table, "information table")?.rest().to_vec(),
        };
        Ok(Self {
            signed,
            header,
            info,
            chipsets,
            processors,
            tpm,
        })
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The information table.
    pub const fn info(&self) -> &InfoTable {
        &self.info
    }

    /// The chipsets that it is for.
    pub fn chipsets(&self) -> &[ChipsetId] {
        &self.chipsets
    }

    /// The processors that it is for; none in modules before version 4, which do not care.
    pub fn processors(&self) -> &[ProcessorId] {
        &self.processors
    }

    /// What TPMs it can use; `None` before version 5, which knows TPM 1.2 only.
    pub const fn tpm(&self) -> Option<&TpmInfo> {
        self.tpm.as_ref()
    }

    /// What its signature is of.
    pub const fn signed(&self) -> &SignedParts {
        &self.signed
    }
}

/// A reader at an offset that a field names. Lists stand behind the header.
fn at<'a>(file: &'a [u8], offset: u32, what: &'static str) -> Result<Reader<'a>, FormatError> {
    let mut reader = Reader::new(file);
    let len = u64::try_from(file.len()).unwrap_or(u64::MAX);
    if u64::from(offset) > len {
        let expected = format!("an offset within the file's {len:#x} bytes");
        return Err(value(what, 0, expected, offset));
    }
    reader.take(what, offset as usize)?;
    Ok(reader)
}
