//! The elements that demand PCR values of the platform: pconf (TPM 1.2) and pconf2.
//!
//! Both hold TPM structures, which are big-endian inside of the otherwise little-endian policy.

use crate::{
    codec::{FormatError, Reader, count16, value},
    hash::{Digest, HashAlg},
};

/// TPM 1.2's TPM_PCR_INFO_SHORT: registers, localities, and the hash of their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcrInfoShort {
    /// Bit n of byte n/8 selects PCR n; 1 to 3 bytes.
    select: Vec<u8>,
    /// Localities at which it holds, bit n for locality n.
    pub locality: u8,
    /// SHA-1 of the TPM_PCR_COMPOSITE.
    digest: Digest,
}

impl PcrInfoShort {
    /// One from its parts; refused when the selection is not 1 to 3 bytes or the digest not SHA-1.
    pub fn new(select: Vec<u8>, locality: u8, digest: Digest) -> Result<Self, FormatError> {
        if !(1..=3).contains(&select.len()) || digest.alg() != HashAlg::Sha1 {
            return Err(FormatError::Parts(
                "a PCR selection has 1 to 3 bytes, its digest is sha1".to_owned(),
            ));
        }
        Ok(Self {
            select,
            locality,
            digest,
        })
    }

    /// One from the values of the registers, in ascending order of their numbers.
    ///
    /// The digest is SHA-1 of TPM_PCR_COMPOSITE: selection, length of the values, values. (tboot's
    /// lcp2_crtpolelt hashes a length of 0, so that its elements never match; see
    /// [`PcrInfoShort::with_zero_value_size`].)
    pub fn from_values(
        select: Vec<u8>,
        locality: u8,
        values: &[Digest],
    ) -> Result<Self, FormatError> {
        Self::composite(
            select,
            locality,
            values,
            values.len().saturating_mul(HashAlg::Sha1.digest_len()),
        )
    }

    /// What tboot's lcp2_crtpolelt writes: the composite says that the values have no bytes. No
    /// platform matches it; only for byte-exact comparison with the original.
    pub fn with_zero_value_size(
        select: Vec<u8>,
        locality: u8,
        values: &[Digest],
    ) -> Result<Self, FormatError> {
        Self::composite(select, locality, values, 0)
    }

    fn composite(
        select: Vec<u8>,
        locality: u8,
        values: &[Digest],
        value_size: usize,
    ) -> Result<Self, FormatError> {
        let selected: u32 = select.iter().map(|byte| byte.count_ones()).sum();
        if selected as usize != values.len() {
            let given = values.len();
            return Err(FormatError::Parts(format!(
                "{selected} PCRs are selected, but {given} values are given"
            )));
        }
        let size = u16::try_from(select.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes();
        let value_size = crate::codec::size32("PCR values", value_size)?.to_be_bytes();
        let mut parts: Vec<&[u8]> = vec![&size, &select, &value_size];
        parts.extend(values.iter().map(Digest::as_bytes));
        let digest = HashAlg::Sha1.digest_parts(&parts);
        Self::new(select, locality, digest)
    }

    /// The selection: bit n of byte n/8 is PCR n.
    pub fn select(&self) -> &[u8] {
        &self.select
    }

    /// The hash of the composite.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// 0x01: PCR values that the platform must have, for TPM 1.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyPconf {
    /// The alternatives.
    pub infos: Vec<PcrInfoShort>,
}

impl LegacyPconf {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let count = reader.u16("num_pcr_infos")?;
        let mut infos = Vec::new();
        for _ in 0..count {
            let offset = reader.offset();
            let size = reader.u16_be("sizeOfSelect")?;
            if !(1..=3).contains(&size) {
                return Err(value("sizeOfSelect", offset, "1 to 3", size));
            }
            let select = reader.take("pcrSelect", size.into())?.to_vec();
            let locality = reader.u8("localityAtRelease")?;
            let digest = reader.digest("digestAtRelease", HashAlg::Sha1)?;
            infos.push(PcrInfoShort {
                select,
                locality,
                digest,
            });
        }
        Ok(Self { infos })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        out.extend(count16("PCR infos", self.infos.len())?.to_le_bytes());
        for info in &self.infos {
            out.extend(count16("bytes of a PCR selection", info.select.len())?.to_be_bytes());
            out.extend(&info.select);
            out.push(info.locality);
            out.extend(info.digest.as_bytes());
        }
        Ok(())
    }
}

/// 0x11: PCR values that the platform must have: one TPMS_QUOTE_INFO of one bank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pconf2 {
    /// Bit n of byte n/8 selects PCR n.
    select: [u8; 3],
    /// Hash of the registers' values; its algorithm is the bank.
    digest: Digest,
}

impl Pconf2 {
    /// One from a selection and the digest of the selected registers' values.
    pub const fn new(select: [u8; 3], digest: Digest) -> Self {
        Self { select, digest }
    }

    /// One from the registers and their values, ascending: the digest is H(value || value ...).
    pub fn from_values(alg: HashAlg, values: &[(u8, Digest)]) -> Result<Self, FormatError> {
        let mut select = [0u8; 3];
        let mut previous = None;
        for (pcr, digest) in values {
            let byte = select
                .get_mut(usize::from(pcr / 8))
                .ok_or_else(|| FormatError::Parts(format!("PCR {pcr} does not exist: 0 to 23")))?;
            if previous.is_some_and(|previous| previous >= *pcr) {
                return Err(FormatError::Parts(
                    "PCRs must be given once, ascending".to_owned(),
                ));
            }
            if digest.alg() != alg {
                let found = digest.alg();
                return Err(FormatError::Parts(format!(
                    "PCR {pcr} is {found}, the bank is {alg}"
                )));
            }
            *byte |= 1 << (pcr % 8);
            previous = Some(*pcr);
        }
        let parts: Vec<&[u8]> = values.iter().map(|(_, digest)| digest.as_bytes()).collect();
        Ok(Self {
            select,
            digest: alg.digest_parts(&parts),
        })
    }

    /// The selection: bit n of byte n/8 is PCR n.
    pub const fn select(&self) -> [u8; 3] {
        self.select
    }

    /// The digest; its algorithm is the bank.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let alg = reader.hash_alg()?;
        let expect = |reader: &Reader<'_>, field, found: u32, wanted: u32| {
            let offset = reader.offset();
            if found == wanted {
                Ok(())
            } else {
                Err(value(
                    field,
                    offset,
                    format!("{wanted:#x} (the only form there is)"),
                    found,
                ))
            }
        };
        let here = reader.clone();
        expect(
            &here,
            "num_pcr_infos",
            reader.u16("num_pcr_infos")?.into(),
            1,
        )?;
        let here = reader.clone();
        expect(
            &here,
            "pcrSelect.count",
            reader.u32_be("pcrSelect.count")?,
            1,
        )?;
        let here = reader.clone();
        expect(
            &here,
            "pcrSelect.hash",
            reader.u16_be("pcrSelect.hash")?.into(),
            alg.tpm_alg().into(),
        )?;
        let here = reader.clone();
        expect(&here, "sizeofSelect", reader.u8("sizeofSelect")?.into(), 3)?;
        let select = reader.array("pcrSelect")?;
        let here = reader.clone();
        let len = u32::try_from(alg.digest_len()).unwrap_or(0);
        expect(
            &here,
            "pcrDigest.size",
            reader.u16_be("pcrDigest.size")?.into(),
            len,
        )?;
        Ok(Self {
            select,
            digest: reader.digest("pcrDigest", alg)?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let alg = self.digest.alg();
        out.extend(alg.tpm_alg().to_le_bytes());
        out.extend(1u16.to_le_bytes());
        out.extend(1u32.to_be_bytes());
        out.extend(alg.tpm_alg().to_be_bytes());
        out.push(3);
        out.extend(self.select);
        out.extend(count16("bytes of a digest", alg.digest_len())?.to_be_bytes());
        out.extend(self.digest.as_bytes());
        Ok(())
    }
}
