//! The policy of before 2008 (version 1): 34 bytes. Read only: no SINIT since takes it.

use crate::{
    codec::{FormatError, Reader, value},
    hash::{Digest, HashAlg},
};

/// What a policy of version 1 asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyTypeV1 {
    /// 0: the one MLE whose hash it holds.
    HashOnly,
    /// 1: what the unsigned policy data allow.
    Unsigned,
    /// 2: what the signed policy data allow (never supported).
    Signed,
    /// 3: anything.
    Any,
    /// 4: nothing without an owner's policy.
    ForceOwner,
}

/// A policy of version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyV1 {
    /// 0 or 1.
    pub version: u8,
    /// What it asks for.
    pub policy_type: PolicyTypeV1,
    /// SINIT modules below this are refused.
    pub sinit_revocation_counter: u8,
    /// Control bits.
    pub control: u32,
    /// The MLE's or the policy data's hash, SHA-1.
    pub policy_hash: Digest,
}

impl PolicyV1 {
    /// Length, in bytes.
    pub const LEN: usize = 34;

    /// Reads a policy file.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8("version")?;
        if version > 1 {
            return Err(value("version", 0, "0 or 1", version));
        }
        reader.zeros("hash_alg", 1)?;
        let offset = reader.offset();
        let policy_type = match reader.u8("policy_type")? {
            0 => PolicyTypeV1::HashOnly,
            1 => PolicyTypeV1::Unsigned,
            2 => PolicyTypeV1::Signed,
            3 => PolicyTypeV1::Any,
            4 => PolicyTypeV1::ForceOwner,
            found => return Err(value("policy_type", offset, "0 to 4", found)),
        };
        let sinit_revocation_counter = reader.u8("sinit_revocation_counter")?;
        let control = reader.u32("policy_control")?;
        reader.zeros("reserved", 6)?;
        let policy_hash = reader.digest("policy_hash", HashAlg::Sha1)?;
        reader.finish("the policy")?;
        Ok(PolicyV1 {
            version,
            policy_type,
            sinit_revocation_counter,
            control,
            policy_hash,
        })
    }
}
