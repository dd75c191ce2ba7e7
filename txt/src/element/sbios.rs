//! The elements that name allowed startup BIOS: sbios, old and new form.

use super::HashList;
use crate::{
    codec::{FormatError, Reader},
    hash::{Digest, HashAlg},
};

/// 0x02: SHA-1 hashes of startup BIOS, for TPM 1.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacySbios {
    fallback: Digest,
    hashes: HashList,
}

impl LegacySbios {
    /// An element; refused when a hash is not SHA-1.
    pub fn new(fallback: Digest, hashes: HashList) -> Result<Self, FormatError> {
        if fallback.alg() != HashAlg::Sha1 {
            return Err(FormatError::Parts(
                "a legacy sbios element holds sha1 hashes".to_owned(),
            ));
        }
        check_same(&fallback, &hashes)?;
        Ok(Self { fallback, hashes })
    }

    /// The hash of the BIOS that recovers the platform.
    pub const fn fallback(&self) -> &Digest {
        &self.fallback
    }

    /// The allowed hashes.
    pub const fn hashes(&self) -> &HashList {
        &self.hashes
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        reader.zeros("hash_alg", 1)?;
        reader.zeros("reserved1", 3)?;
        let fallback = reader.digest("fallback_hash", HashAlg::Sha1)?;
        reader.zeros("reserved2", 2)?;
        Ok(Self {
            fallback,
            hashes: HashList::read(reader, HashAlg::Sha1)?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        out.extend([0; 4]);
        out.extend(self.fallback.as_bytes());
        out.extend([0; 2]);
        self.hashes.write(out)
    }
}

/// 0x12: hashes of startup BIOS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sbios {
    fallback: Digest,
    hashes: HashList,
}

impl Sbios {
    /// An element; refused when fallback and hashes are of different algorithms.
    pub fn new(fallback: Digest, hashes: HashList) -> Result<Self, FormatError> {
        check_same(&fallback, &hashes)?;
        Ok(Self { fallback, hashes })
    }

    /// The hash of the BIOS that recovers the platform.
    pub const fn fallback(&self) -> &Digest {
        &self.fallback
    }

    /// The allowed hashes.
    pub const fn hashes(&self) -> &HashList {
        &self.hashes
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let alg = reader.hash_alg()?;
        reader.zeros("reserved1", 2)?;
        let fallback = reader.digest("fallback_hash", alg)?;
        reader.zeros("reserved2", 2)?;
        Ok(Self {
            fallback,
            hashes: HashList::read(reader, alg)?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        out.extend(self.fallback.alg().tpm_alg().to_le_bytes());
        out.extend([0; 2]);
        out.extend(self.fallback.as_bytes());
        out.extend([0; 2]);
        self.hashes.write(out)
    }
}

/// Fallback and list must be of one algorithm: the format has one field for both.
fn check_same(fallback: &Digest, hashes: &HashList) -> Result<(), FormatError> {
    if fallback.alg() == hashes.alg() {
        return Ok(());
    }
    let (one, other) = (fallback.alg(), hashes.alg());
    Err(FormatError::Parts(format!(
        "the fallback hash is {one}, the others are {other}"
    )))
}
