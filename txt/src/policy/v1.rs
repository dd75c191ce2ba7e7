//! The policy of before 2008 (version 1): 34 bytes, and its data file. Read only: no SINIT since
//! takes them.

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

impl PolicyTypeV1 {
    /// The name on the command line of that time's lcp_crtpol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HashOnly => "hashonly",
            Self::Unsigned => "unsigned",
            Self::Signed => "signed",
            Self::Any => "any",
            Self::ForceOwner => "forceowner",
        }
    }
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
        Ok(Self {
            version,
            policy_type,
            sinit_revocation_counter,
            control,
            policy_hash,
        })
    }
}

/// The UUID that tboot recognized the data file by: ab0d1925-eee7-48eb-a9fc-0bac5a262d0e.
pub const DATA_UUID_V1: [u8; 16] = [
    0x25, 0x19, 0x0d, 0xab, 0xe7, 0xee, 0xeb, 0x48, 0xfc, 0xa9, 0x0b, 0xac, 0x5a, 0x26, 0x2d, 0x0e,
];

/// What a list of version 1 holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListTypeV1 {
    /// 0: hashes of PCR values.
    Pconf,
    /// 1: hashes of measured environments.
    Mle,
}

/// A list of version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListV1 {
    /// What it holds.
    pub list_type: ListTypeV1,
    /// SHA-1 hashes.
    pub hashes: Vec<Digest>,
}

/// The data file of a policy of version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDataV1 {
    /// Its lists.
    pub lists: Vec<ListV1>,
}

impl PolicyDataV1 {
    /// Reads a data file.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        if reader.array("uuid")? != DATA_UUID_V1 {
            return Err(FormatError::Parts(
                "not a policy data file of version 1: it does not begin with its UUID".to_owned(),
            ));
        }
        reader.zeros("version", 1)?;
        let count = reader.u8("number of lists")?;
        let lists = (0..count).map(|_| ListV1::read(&mut reader));
        let lists = lists.collect::<Result<_, _>>()?;
        reader.finish("the last list")?;
        Ok(Self { lists })
    }
}

impl ListV1 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let offset = reader.offset();
        let list_type = match reader.u16("list type")? {
            0 => ListTypeV1::Pconf,
            1 => ListTypeV1::Mle,
            found => return Err(value("list type", offset, "0 (pconf) or 1 (mle)", found)),
        };
        reader.zeros("list version", 1)?;
        let count = reader.u8("number of hashes")?;
        let hashes = (0..count).map(|_| reader.digest("hash", HashAlg::Sha1));
        Ok(Self {
            list_type,
            hashes: hashes.collect::<Result<_, _>>()?,
        })
    }
}
