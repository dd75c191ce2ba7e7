//! The verified launch policy, `tb_policy_t` version 2: twelve bytes, then entries of eight bytes,
//! each with its digests behind it.

use crate::{ModelError, file::Bytes};

/// Any module.
const ANY_MODULE: u8 = 129;
/// Extend nothing.
const NO_PCR: u8 = 255;
/// Bit 0 of policy_control: the policy's own hash is extended.
const EXTEND_PCR17: usize = 1;

/// A policy, in the numbers of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its own bytes: nothing that may follow it in an NV index.
    bytes: Vec<u8>,
    policy_type: u8,
    /// The low byte of the TPM_ALG number of its digests.
    pub hash_alg: u8,
    control: usize,
    entries: Vec<Entry>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    mod_num: u8,
    pcr: u8,
    hash_type: u8,
    hashes: Vec<Vec<u8>>,
}

/// A module that is not as the policy wants it, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// The policy does not name it.
    NotNamed(usize),
    /// Its hash is not one that the policy allows.
    NotAllowed(usize),
}

impl Policy {
    /// tboot's built-in one: module 0 is extended nowhere (again), any other into PCR 17, and
    /// anything is allowed.
    pub const DEFAULT: [u8; 36] = [
        2, 0, 0x0b, 1, 0, 0, 0, 0, 0, 0, 0, 3, // nonfatal, sha256, its hash extended
        0, 255, 0, 0, 0, 0, 0, 0, // module 0
        129, 17, 0, 0, 0, 0, 0, 0, // any module
        131, 22, 0, 0x10, 0, 0, 0x40, 0, // an NV index, with TPM 1.2 only
    ];
    /// The built-in one of TPM 1.2 with the legacy registers: SHA-1, and PCR 19.
    pub const DEFAULT_LEGACY: [u8; 36] = [
        2, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 3, //
        0, 255, 0, 0, 0, 0, 0, 0, //
        129, 19, 0, 0, 0, 0, 0, 0, //
        131, 22, 0, 0x10, 0, 0, 0x40, 0,
    ];
    /// The built-in one of TPM 1.2 with details and authorities: SHA-1, and PCR 17.
    pub const DEFAULT_TPM12_DA: [u8; 36] = [
        2, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 3, //
        0, 255, 0, 0, 0, 0, 0, 0, //
        129, 17, 0, 0, 0, 0, 0, 0, //
        131, 22, 0, 0x10, 0, 0, 0x40, 0,
    ];

    /// Reads a policy, whatever follows it.
    ///
    /// # Errors
    /// tboot does not take it.
    pub fn read(bytes: &[u8]) -> Result<Self, ModelError> {
        let what = "the policy";
        let policy = Bytes { what, bytes };
        let field = |what, at, allowed: fn(u8) -> bool| match policy.byte(at)? {
            found if allowed(found) => Ok(found),
            found => Err(ModelError::NotPolicy { what, found }),
        };
        field("its version", 0, |version| version == 2)?;
        let policy_type = field("its type", 1, |kind| kind <= 2)?;
        let hash_alg = field("its algorithm", 2, |alg| matches!(alg, 4 | 0xb | 0xc | 0xd))?;
        let digest_len = match hash_alg {
            4 => 20,
            0xb => 32,
            0xc => 48,
            _ => 64,
        };
        let mut at = 12usize;
        let mut entries = Vec::new();
        for _ in 0..policy.byte(11)? {
            let place = |offset: usize| at.saturating_add(offset);
            let mod_num = field("a module's number", at, |number| {
                number <= 127 || (129..=131).contains(&number)
            })?;
            let pcr = field("a register", place(1), |pcr| pcr <= 23 || pcr == NO_PCR)?;
            let hash_type = field("a hash type", place(2), |kind| kind <= 1)?;
            let count = usize::from(policy.byte(place(7))?);
            let hashes = (0..count)
                .map(|number| policy.part(place(8).saturating_add(number * digest_len), digest_len))
                .map(|hash| hash.map(<[u8]>::to_vec))
                .collect::<Result<_, _>>()?;
            at = place(8).saturating_add(count * digest_len);
            entries.push(Entry {
                mod_num,
                pcr,
                hash_type,
                hashes,
            });
        }
        Ok(Self {
            bytes: policy.part(0, at)?.to_vec(),
            policy_type,
            hash_alg,
            control: policy.number(3, 4)?,
            entries,
        })
    }

    /// What is extended for the policy itself is the hash of these: policy_control, then the
    /// policy's hash, or as many zeros.
    pub fn extended(&self, hash: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let mut of_policy = hash(&self.bytes);
        if self.control & EXTEND_PCR17 == 0 {
            of_policy.fill(0);
        }
        let control = self.bytes.get(3..7).unwrap_or(&[]);
        [control, &of_policy].concat()
    }

    /// The first entry that names a module, or any.
    pub fn entry(&self, module: usize) -> Option<&Entry> {
        self.entries.iter().find(|entry| {
            entry.mod_num == ANY_MODULE
                || (entry.mod_num <= 127 && usize::from(entry.mod_num) == module)
        })
    }

    /// Does any entry have digests to compare with?
    pub fn compares(&self) -> bool {
        self.entries.iter().any(|entry| entry.hash_type == 1)
    }

    /// Does tboot halt? (`g_policy_map`: a policy of type 0 goes on whatever a module is, one of
    /// type 1 with a wrong module, but not with one that the policy does not name.)
    pub fn halts(&self, complaints: &[Complaint]) -> bool {
        complaints.iter().any(|complaint| match self.policy_type {
            0 => false,
            1 => matches!(complaint, Complaint::NotNamed(_)),
            _ => true,
        })
    }
}

impl Entry {
    /// Where the module goes.
    pub fn register(&self) -> Option<u8> {
        (self.pcr != NO_PCR).then_some(self.pcr)
    }

    /// Is this module allowed?
    pub fn allows(&self, hash: &[u8]) -> bool {
        self.hash_type == 0 || self.hashes.iter().any(|allowed| allowed == hash)
    }
}
