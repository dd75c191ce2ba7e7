//! LCP_POLICY2 of TPM 2.0, versions 3.0 to 3.2: 38 bytes and a hash.

use super::{
    PolicyType,
    counters::{read_counters, write_counters},
};
use crate::{
    codec::{FormatError, Reader, value},
    hash::Digest,
};

/// Version of a policy for TPM 2.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyVersion20 {
    /// 0x0300: with an AUX hash mask and a minimum version of the BIOS ACM.
    V3_0,
    /// 0x0301.
    V3_1,
    /// 0x0302.
    V3_2,
}

impl PolicyVersion20 {
    /// Every version.
    pub const ALL: [Self; 3] = [Self::V3_0, Self::V3_1, Self::V3_2];

    /// The number in the file.
    pub const fn number(self) -> u16 {
        match self {
            Self::V3_0 => 0x0300,
            Self::V3_1 => 0x0301,
            Self::V3_2 => 0x0302,
        }
    }
}

/// Signature algorithms of lists, a bit each (LcpSignAlgMask).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignMask(pub u32);

impl SignMask {
    /// Names on command lines and their bits.
    pub const NAMES: [(&'static str, u32); 7] = [
        ("rsa-2048-sha1", 0x4),
        ("rsa-2048-sha256", 0x8),
        ("rsa-3072-sha256", 0x40),
        ("rsa-3072-sha384", 0x80),
        ("ecdsa-p256", 0x1000),
        ("ecdsa-p384", 0x2000),
        ("sm2", 0x1_0000),
    ];

    /// The bit of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, bit)| Self(bit))
    }
}

/// A policy for TPM 2.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy20 {
    /// Its version.
    pub version: PolicyVersion20,
    /// What it asks for.
    pub policy_type: PolicyType,
    /// Lowest SINIT version.
    pub sinit_min_version: u8,
    /// Counters below which a signed list is refused.
    pub data_revocation_counters: [u16; 8],
    /// Control bits, see [`super::CONTROL_BITS`].
    pub control: u32,
    /// Highest value that the other policy's sinit_min_version may have.
    pub max_sinit_min_version: u8,
    /// The same for the BIOS ACM; reserved from version 3.1 on.
    pub max_biosac_min_version: u8,
    /// Hash algorithms that elements may use, bits of [`crate::hash::HashAlg::mask`].
    pub hash_mask: u16,
    /// Signature algorithms that lists may use.
    pub sign_mask: SignMask,
    /// Hash algorithms of the AUX index; reserved from version 3.1 on.
    pub aux_hash_mask: u16,
    policy_hash: Digest,
}

impl Policy20 {
    /// A policy with all fields at what tboot's lcp2_crtpol uses; the hash's algorithm is the
    /// policy's, and the only one in its masks.
    pub fn new(
        version: PolicyVersion20,
        policy_type: PolicyType,
        policy_hash: Digest,
        sign_mask: SignMask,
    ) -> Self {
        let mask = policy_hash.alg().mask();
        Self {
            version,
            policy_type,
            sinit_min_version: 0,
            data_revocation_counters: [0; 8],
            control: 0,
            max_sinit_min_version: 0xff,
            max_biosac_min_version: 0,
            hash_mask: mask,
            sign_mask,
            aux_hash_mask: if version == PolicyVersion20::V3_0 {
                mask
            } else {
                0
            },
            policy_hash,
        }
    }

    /// The hash of the lists; zeros for type any. Its algorithm is the policy's.
    pub const fn policy_hash(&self) -> &Digest {
        &self.policy_hash
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let offset = reader.offset();
        let number = reader.u16("version")?;
        let version = PolicyVersion20::ALL
            .into_iter()
            .find(|version| version.number() == number)
            .ok_or_else(|| value("version", offset, "0x300, 0x301 or 0x302", number))?;
        let alg = reader.hash_alg()?;
        let policy_type = PolicyType::read(reader)?;
        let sinit_min_version = reader.u8("sinit_min_version")?;
        let data_revocation_counters = read_counters(reader)?;
        let control = reader.u32("policy_control")?;
        let max_sinit_min_version = reader.u8("max_sinit_min_ver")?;
        let max_biosac_min_version = reader.u8("max_biosac_min_ver")?;
        let hash_mask = reader.u16("lcp_hash_alg_mask")?;
        let sign_mask = SignMask(reader.u32("lcp_sign_alg_mask")?);
        let aux_hash_mask = reader.u16("aux_hash_alg_mask")?;
        reader.zeros("reserved2", 2)?;
        let policy_hash = reader.digest("policy_hash", alg)?;
        Ok(Self {
            version,
            policy_type,
            sinit_min_version,
            data_revocation_counters,
            control,
            max_sinit_min_version,
            max_biosac_min_version,
            hash_mask,
            sign_mask,
            aux_hash_mask,
            policy_hash,
        })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.version.number().to_le_bytes().to_vec();
        out.extend(self.policy_hash.alg().tpm_alg().to_le_bytes());
        out.extend([self.policy_type.number(), self.sinit_min_version]);
        write_counters(self.data_revocation_counters, &mut out);
        out.extend(self.control.to_le_bytes());
        out.extend([self.max_sinit_min_version, self.max_biosac_min_version]);
        out.extend(self.hash_mask.to_le_bytes());
        out.extend(self.sign_mask.0.to_le_bytes());
        out.extend(self.aux_hash_mask.to_le_bytes());
        out.extend([0; 2]);
        out.extend(self.policy_hash.as_bytes());
        out
    }
}
