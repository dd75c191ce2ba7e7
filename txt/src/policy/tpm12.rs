//! LCP_POLICY of TPM 1.2, versions 2.0 to 2.4: 54 bytes, SHA-1.

use super::{
    PolicyType,
    counters::{read_counters, write_counters},
};
use crate::{
    codec::{FormatError, Reader, value},
    hash::{Digest, HashAlg},
};

/// A policy for TPM 1.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy12 {
    /// Minor version, 0 to 4.
    minor: u8,
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
    /// The same for the BIOS ACM; only in version 2.4, reserved below.
    pub max_biosac_min_version: u8,
    policy_hash: Digest,
}

impl Policy12 {
    /// Length, in bytes.
    pub const LEN: usize = 54;

    /// A policy of version 2.`minor` with all fields at what tboot's tools use; refused when the
    /// minor version does not exist or the hash is not SHA-1.
    pub fn new(
        minor: u8,
        policy_type: PolicyType,
        policy_hash: Digest,
    ) -> Result<Self, FormatError> {
        if minor > 4 {
            return Err(FormatError::Parts(format!(
                "policy version 2.{minor} does not exist: 2.0 to 2.4"
            )));
        }
        if policy_hash.alg() != HashAlg::Sha1 {
            let found = policy_hash.alg();
            return Err(FormatError::Parts(format!(
                "a policy for TPM 1.2 holds sha1, not {found}"
            )));
        }
        Ok(Self {
            minor,
            policy_type,
            sinit_min_version: 0,
            data_revocation_counters: [0; 8],
            control: 0,
            max_sinit_min_version: 0xff,
            max_biosac_min_version: 0,
            policy_hash,
        })
    }

    /// The version in the file, 0x0200 to 0x0204.
    pub fn version(&self) -> u16 {
        0x0200 + u16::from(self.minor)
    }

    /// The hash of the lists; zeros for type any.
    pub const fn policy_hash(&self) -> &Digest {
        &self.policy_hash
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let [minor, _major] = reader.array("version")?;
        let offset = reader.offset();
        let alg = reader.u8("hash_alg")?;
        if alg != 0 {
            return Err(value("hash_alg", offset, "0 (sha1)", alg));
        }
        let policy_type = PolicyType::read(reader)?;
        let sinit_min_version = reader.u8("sinit_min_version")?;
        reader.zeros("reserved1", 1)?;
        let data_revocation_counters = read_counters(reader)?;
        let control = reader.u32("policy_control")?;
        let max_sinit_min_version = reader.u8("max_sinit_min_version")?;
        let max_biosac_min_version = reader.u8("max_biosac_min_version")?;
        reader.zeros("reserved3", 6)?;
        let policy_hash = reader.digest("policy_hash", HashAlg::Sha1)?;
        Ok(Self {
            minor,
            policy_type,
            sinit_min_version,
            data_revocation_counters,
            control,
            max_sinit_min_version,
            max_biosac_min_version,
            policy_hash,
        })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.version().to_le_bytes().to_vec();
        out.extend([0, self.policy_type.number(), self.sinit_min_version, 0]);
        write_counters(self.data_revocation_counters, &mut out);
        out.extend(self.control.to_le_bytes());
        out.extend([self.max_sinit_min_version, self.max_biosac_min_version]);
        out.extend([0; 6]);
        out.extend(self.policy_hash.as_bytes());
        out
    }
}
