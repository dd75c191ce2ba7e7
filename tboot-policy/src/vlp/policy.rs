//! A whole policy.

use tpm::pcr::PcrIndex;
use txt::hash::{Digest, HashAlg};

use super::{
    entry::{Entry, ModuleNumber, Object, PolicyType},
    error::VlpError,
};

/// A policy that tboot accepts: at most [`MAX_LEN`] bytes, every digest of its algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(super) policy_type: PolicyType,
    pub(super) alg: HashAlg,
    pub(super) control: u32,
    pub(super) reserved: u32,
    pub(super) entries: Vec<Entry>,
}

impl Policy {
    /// Bit 0 of the control field: the policy's own hash is extended into PCR 17.
    pub const EXTEND_PCR17: u32 = 1;

    /// A policy from its parts; refused when a digest is of another algorithm, when it would be
    /// longer than tboot reads, or when the algorithm is one that tboot's policy does not know.
    pub fn new(
        policy_type: PolicyType,
        alg: HashAlg,
        control: u32,
        entries: Vec<Entry>,
    ) -> Result<Self, VlpError> {
        let policy = Self {
            policy_type,
            alg,
            control,
            reserved: 0,
            entries,
        };
        policy.check()?;
        Ok(policy)
    }

    /// tboot's built-in policy on TPM 2.0.
    pub fn default_tpm2() -> Self {
        Self {
            policy_type: PolicyType::NonFatal,
            alg: HashAlg::Sha256,
            control: Self::EXTEND_PCR17,
            reserved: 0,
            entries: default_entries(17),
        }
    }

    /// tboot's built-in policy on TPM 1.2 with legacy PCR mapping.
    pub fn default_tpm12() -> Self {
        Self {
            alg: HashAlg::Sha1,
            entries: default_entries(19),
            ..Self::default_tpm2()
        }
    }

    /// tboot's built-in policy on TPM 1.2 with details/authorities mapping.
    pub fn default_tpm12_da() -> Self {
        Self {
            alg: HashAlg::Sha1,
            ..Self::default_tpm2()
        }
    }

    /// What tboot does on a mismatch.
    pub const fn policy_type(&self) -> PolicyType {
        self.policy_type
    }

    /// The algorithm of every digest in it.
    pub const fn alg(&self) -> HashAlg {
        self.alg
    }

    /// The length of its bytes.
    pub fn byte_len(&self) -> usize {
        self.to_bytes().len()
    }

    /// The control field; bit 0 is [`Policy::EXTEND_PCR17`].
    pub const fn control(&self) -> u32 {
        self.control
    }

    /// The entries in order: the first that fits a module counts.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry that tboot applies to a module: the first that names it or any.
    pub fn entry_for(&self, module: usize) -> Option<&Entry> {
        self.entries.iter().find(|entry| match entry.object {
            Object::Module(number) => usize::from(number.get()) == module,
            Object::AnyModule => true,
            Object::NvHashed | Object::NvRaw => false,
        })
    }

    /// What tboot extends for the policy itself: H( control || H(policy) ), the inner digest being
    /// zeros when the control field does not ask for it. `alg` is the algorithm tboot extends with.
    pub fn measurement(&self, alg: HashAlg) -> Digest {
        self.measurement_of(alg, alg)
    }

    /// The same with another algorithm for the inner digest, as tboot does where it extends several
    /// banks.
    pub fn measurement_of(&self, alg: HashAlg, inner: HashAlg) -> Digest {
        let inner = if self.control & Self::EXTEND_PCR17 == 0 {
            Digest::zero(inner)
        } else {
            inner.digest(&self.to_bytes())
        };
        alg.digest_parts(&[&self.control.to_le_bytes(), inner.as_bytes()])
    }
}

/// The entries of the built-in policies, which differ in one PCR.
fn default_entries(modules_pcr: u8) -> Vec<Entry> {
    let pcr = |number| PcrIndex::try_from(number).ok();
    vec![
        Entry::measure(Object::Module(ModuleNumber::FIRST), None),
        Entry::measure(Object::AnyModule, pcr(modules_pcr)),
        Entry {
            nv_index: 0x4000_0010,
            ..Entry::measure(Object::NvRaw, pcr(22))
        },
    ]
}
