//! The policy itself: the few bytes in TPM NV that say which lists SINIT accepts.

use crate::{
    codec::{FormatError, Reader, value},
    hash::Digest,
};

mod counters;
mod policy_type;
mod tpm12;
mod tpm20;
mod v1;

pub use policy_type::PolicyType;
pub use tpm12::Policy12;
pub use tpm20::{Policy20, PolicyVersion20, SignMask};
pub use v1::{DATA_UUID_V1, ListTypeV1, ListV1, PolicyDataV1, PolicyTypeV1, PolicyV1};

/// The 32 bytes that tboot recognizes a policy data file by.
pub const DATA_SIGNATURE: [u8; 32] = *b"Intel(R) TXT LCP_POLICY_DATA\0\0\0\0";

/// Longest policy data file that tboot copies into the TXT heap, in bytes; with more it refuses to
/// launch.
pub const MAX_DATA_LEN: usize = 64 << 10;

/// Bits of the policy_control field, with what they mean.
pub const CONTROL_BITS: [(u32, &str); 7] = [
    (1 << 1, "non-production SINIT modules are allowed"),
    (1 << 2, "OsSinitData.Capabilities are extended into PCR 17"),
    (
        1 << 3,
        "the owner's policy is needed (platform supplier's policy only)",
    ),
    (1 << 16, "the platform supplier's MLE elements are ignored"),
    (
        1 << 17,
        "the platform supplier's PCONF elements are ignored",
    ),
    (1 << 20, "the platform supplier's STM elements are ignored"),
    (1 << 31, "the AUX index may be deleted"),
];

/// A policy of either TPM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// LCP_POLICY, versions 2.0 to 2.4.
    Tpm12(Policy12),
    /// LCP_POLICY2, versions 3.0 to 3.2.
    Tpm20(Policy20),
}

impl Policy {
    /// Reads a policy file: one policy and nothing else.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        let policy = Self::read(&mut reader)?;
        reader.finish("the policy")?;
        Ok(policy)
    }

    /// Reads the policy that a reader stands before, as in an NV index that is longer.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let number = reader.clone().u16("version")?;
        match number {
            0x0200..=0x0204 => Ok(Self::Tpm12(Policy12::read(reader)?)),
            0x0300..=0x0302 => Ok(Self::Tpm20(Policy20::read(reader)?)),
            _ => {
                let expected = "0x200 to 0x204 (TPM 1.2) or 0x300 to 0x302 (TPM 2.0)";
                Err(value("version", reader.offset(), expected, number))
            }
        }
    }

    /// The policy's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Tpm12(policy) => policy.to_bytes(),
            Self::Tpm20(policy) => policy.to_bytes(),
        }
    }

    /// What it asks for.
    pub const fn policy_type(&self) -> PolicyType {
        match self {
            Self::Tpm12(policy) => policy.policy_type,
            Self::Tpm20(policy) => policy.policy_type,
        }
    }

    /// The hash of its lists; zeros for type any. Its algorithm is the policy's.
    pub const fn policy_hash(&self) -> &Digest {
        match self {
            Self::Tpm12(policy) => policy.policy_hash(),
            Self::Tpm20(policy) => policy.policy_hash(),
        }
    }

    /// Counters below which a signed list is refused; one for each list.
    pub const fn data_revocation_counters(&self) -> [u16; 8] {
        match self {
            Self::Tpm12(policy) => policy.data_revocation_counters,
            Self::Tpm20(policy) => policy.data_revocation_counters,
        }
    }

    /// Lowest version of a SINIT module that may launch.
    pub const fn sinit_min_version(&self) -> u8 {
        match self {
            Self::Tpm12(policy) => policy.sinit_min_version,
            Self::Tpm20(policy) => policy.sinit_min_version,
        }
    }

    /// The control field, see [`CONTROL_BITS`].
    pub const fn control(&self) -> u32 {
        match self {
            Self::Tpm12(policy) => policy.control,
            Self::Tpm20(policy) => policy.control,
        }
    }
}
