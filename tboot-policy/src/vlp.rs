//! The verified launch policy: which modules tboot accepts and which PCR each is measured into.
//!
//! `tb_policy_t` version 2 (tboot's include/tb_policy.h): a header of 12 bytes, then entries of 8
//! bytes each followed by its digests; little-endian, packed. It stands in a TPM NV index, or in a
//! custom element of the platform owner's launch control policy, or tboot uses a built-in one.

use tpm::pcr::PcrIndex;
use txt::hash::{Digest, HashAlg};

mod codec;
mod edit;
mod element;
mod lint;
mod words;

pub use codec::VlpError;
pub use edit::RemoveError;
pub use element::{ElementKind, UnwrapError};
pub use lint::{NV_INDEX_LEN_TPM12, Warning};
pub use words::{WordError, pcr_from_word};

/// Longest policy that tboot reads, in bytes.
pub const MAX_LEN: usize = 2124;

/// tboot's built-in policy on TPM 2.0: module 0 is not extended again (PCR 17 has it anyway),
/// every other module goes into PCR 17, NV index 0x40000010 (where there is one) into PCR 22.
pub const DEFAULT_TPM2: [u8; 36] = [
    0x02, 0x00, 0x0b, 0x01, 0, 0, 0, 0, 0, 0, 0, 3, // nonfatal, sha256, extend PCR 17
    0x00, 0xff, 0x00, 0, 0, 0, 0, 0, // module 0: no PCR, any hash
    0x81, 0x11, 0x00, 0, 0, 0, 0, 0, // any module: PCR 17, any hash
    0x83, 0x16, 0x00, 0x10, 0x00, 0x00, 0x40, 0, // NV index 0x40000010 raw: PCR 22
];

/// tboot's built-in policy on TPM 1.2 with legacy PCR mapping: modules go into PCR 19.
pub const DEFAULT_TPM12: [u8; 36] = [
    0x02, 0x00, 0x04, 0x01, 0, 0, 0, 0, 0, 0, 0, 3, //
    0x00, 0xff, 0x00, 0, 0, 0, 0, 0, //
    0x81, 0x13, 0x00, 0, 0, 0, 0, 0, //
    0x83, 0x16, 0x00, 0x10, 0x00, 0x00, 0x40, 0,
];

/// What tboot does when a module is not as the policy wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyType {
    /// 0: goes on whatever happens.
    NonFatal,
    /// 1: goes on unless the error is fatal.
    Continue,
    /// 2: halts.
    Halt,
}

/// Which object an entry speaks of (`mod_num`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// One module, counted from 0 after tboot has taken SINIT and policy data off the list.
    Module(ModuleNumber),
    /// 129: any module that no earlier entry names.
    AnyModule,
    /// 130: the hash of an NV index's content (TPM 1.2 with measure_nv=true only).
    NvHashed,
    /// 131: the content of an NV index, taken as a digest (TPM 1.2 with measure_nv=true only).
    NvRaw,
}

/// A module number, 0 to 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModuleNumber(u8);

impl ModuleNumber {
    /// The number; `None` above 127.
    pub const fn new(number: u8) -> Option<Self> {
        if number < 128 {
            Some(ModuleNumber(number))
        } else {
            None
        }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// Whether an entry compares (`hash_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// 0: whatever the module is.
    Any,
    /// 1: the module's hash must be one of the entry's.
    Image,
}

/// One entry of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it speaks of.
    pub object: Object,
    /// The PCR that the object's hash is extended into, if any.
    pub pcr: Option<PcrIndex>,
    /// Whether the hash must be one of `hashes`.
    pub check: Check,
    /// The NV index, for the NV objects; else 0.
    pub nv_index: u32,
    /// The allowed hashes. tb_polgen keeps them when an entry becomes [`Check::Any`].
    pub hashes: Vec<Digest>,
}

impl Entry {
    /// An entry that measures a module into a PCR and accepts whatever it is.
    pub const fn measure(object: Object, pcr: Option<PcrIndex>) -> Self {
        Entry {
            object,
            pcr,
            check: Check::Any,
            nv_index: 0,
            hashes: Vec::new(),
        }
    }
}

/// A policy that tboot accepts: at most [`MAX_LEN`] bytes, every digest of its algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    policy_type: PolicyType,
    alg: HashAlg,
    control: u32,
    reserved: u32,
    entries: Vec<Entry>,
}

impl Policy {
    /// Bit 0 of the control field: the policy's own hash is extended into PCR 17.
    pub const EXTEND_PCR17: u32 = 1;

    /// A policy from its parts; refused when a digest is of another algorithm, when it would be
    /// longer than tboot reads, or when the algorithm is one that tboot's policy doesn't know.
    pub fn new(
        policy_type: PolicyType,
        alg: HashAlg,
        control: u32,
        entries: Vec<Entry>,
    ) -> Result<Self, VlpError> {
        let policy = Policy {
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
        Policy {
            policy_type: PolicyType::NonFatal,
            alg: HashAlg::Sha256,
            control: Self::EXTEND_PCR17,
            reserved: 0,
            entries: default_entries(17),
        }
    }

    /// tboot's built-in policy on TPM 1.2 with legacy PCR mapping.
    pub fn default_tpm12() -> Self {
        Policy {
            alg: HashAlg::Sha1,
            entries: default_entries(19),
            ..Self::default_tpm2()
        }
    }

    /// tboot's built-in policy on TPM 1.2 with details/authorities mapping.
    pub fn default_tpm12_da() -> Self {
        Policy {
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
    /// zeros when the control field doesn't ask for it. `alg` is the algorithm tboot extends with.
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
        Entry::measure(Object::Module(ModuleNumber(0)), None),
        Entry::measure(Object::AnyModule, pcr(modules_pcr)),
        Entry {
            nv_index: 0x4000_0010,
            ..Entry::measure(Object::NvRaw, pcr(22))
        },
    ]
}
