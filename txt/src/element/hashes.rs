//! The elements that are lists of hashes: mle, mle2, stm.

use crate::{
    codec::{FormatError, Reader, count16, value},
    hash::{Digest, HashAlg},
};

/// Digests of one algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashList {
    alg: HashAlg,
    hashes: Vec<Digest>,
}

impl HashList {
    /// A list from its digests; refused when one is of another algorithm, or when there are more
    /// than a 16-bit counter holds.
    pub fn new(alg: HashAlg, hashes: Vec<Digest>) -> Result<Self, FormatError> {
        count16("hashes", hashes.len())?;
        match hashes.iter().find(|hash| hash.alg() != alg) {
            None => Ok(Self { alg, hashes }),
            Some(hash) => {
                let found = hash.alg();
                Err(FormatError::Parts(format!(
                    "a {found} hash cannot stand in a list of {alg}"
                )))
            }
        }
    }

    /// The algorithm of all of them.
    pub const fn alg(&self) -> HashAlg {
        self.alg
    }

    /// The digests.
    pub fn hashes(&self) -> &[Digest] {
        &self.hashes
    }

    /// Reads a 16-bit count and that many digests.
    pub(super) fn read(reader: &mut Reader<'_>, alg: HashAlg) -> Result<Self, FormatError> {
        let offset = reader.offset();
        let count = reader.u16("num_hashes")?;
        // Checked before anything is stored: the count is only a claim.
        let needed = usize::from(count).saturating_mul(alg.digest_len());
        if needed > reader.rest().len() {
            let expected = format!(
                "at most {}",
                reader
                    .rest()
                    .len()
                    .checked_div(alg.digest_len())
                    .unwrap_or(0)
            );
            return Err(value("num_hashes", offset, expected, count));
        }
        let hashes = (0..count)
            .map(|_| reader.digest("hash", alg))
            .collect::<Result<_, _>>()?;
        Ok(Self { alg, hashes })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        out.extend(count16("hashes", self.hashes.len())?.to_le_bytes());
        for hash in &self.hashes {
            out.extend(hash.as_bytes());
        }
        Ok(())
    }
}

/// 0x00: SHA-1 hashes of measured environments, for TPM 1.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyMle {
    /// Lowest SINIT version that may launch them.
    pub sinit_min_version: u8,
    hashes: HashList,
}

impl LegacyMle {
    /// An element; refused when the hashes are not SHA-1.
    pub fn new(sinit_min_version: u8, hashes: HashList) -> Result<Self, FormatError> {
        if hashes.alg() != HashAlg::Sha1 {
            let found = hashes.alg();
            return Err(FormatError::Parts(format!(
                "an element of type mle holds sha1 hashes, not {found}: use type mle2"
            )));
        }
        Ok(Self {
            sinit_min_version,
            hashes,
        })
    }

    /// The hashes.
    pub const fn hashes(&self) -> &HashList {
        &self.hashes
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let sinit_min_version = reader.u8("sinit_min_version")?;
        // 0 is LCP_POLHALG_SHA1, the only algorithm of TPM 1.2's structures.
        reader.zeros("hash_alg", 1)?;
        Ok(Self {
            sinit_min_version,
            hashes: HashList::read(reader, HashAlg::Sha1)?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        out.extend([self.sinit_min_version, 0]);
        self.hashes.write(out)
    }
}

/// 0x10: hashes of measured environments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mle2 {
    /// Lowest SINIT version that may launch them.
    pub sinit_min_version: u8,
    /// The hashes.
    pub hashes: HashList,
}

impl Mle2 {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let sinit_min_version = reader.u8("sinit_min_version")?;
        reader.zeros("reserved", 1)?;
        let alg = reader.hash_alg()?;
        Ok(Self {
            sinit_min_version,
            hashes: HashList::read(reader, alg)?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        out.extend([self.sinit_min_version, 0]);
        out.extend(self.hashes.alg().tpm_alg().to_le_bytes());
        self.hashes.write(out)
    }
}
