//! The parts of a policy.

use tpm::pcr::PcrIndex;
use txt::hash::Digest;

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
    /// The first module, which tboot starts.
    pub const FIRST: Self = Self(0);

    /// The number; `None` above 127.
    pub const fn new(number: u8) -> Option<Self> {
        if number < 128 {
            Some(Self(number))
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
        Self {
            object,
            pcr,
            check: Check::Any,
            nv_index: 0,
            hashes: Vec::new(),
        }
    }
}
