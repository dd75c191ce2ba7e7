//! NV indices of a TPM 2.0: what they are, and how the TPM defends its passwords.

/// Attributes of an index: TPMA_NV (TPM 2.0 Library, Part 2, 13.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NvAttributes(pub u32);

impl NvAttributes {
    /// The platform (firmware) may write it.
    pub const PP_WRITE: u32 = 1;
    /// The owner may write it.
    pub const OWNER_WRITE: u32 = 1 << 1;
    /// Who knows its own password may write it.
    pub const AUTH_WRITE: u32 = 1 << 2;
    /// Who satisfies its policy may write it.
    pub const POLICY_WRITE: u32 = 1 << 3;
    /// Type of the index, four bits: 0 is ordinary data.
    pub const TYPE: u32 = 0xf << 4;
    /// It cannot be deleted but by its policy.
    pub const POLICY_DELETE: u32 = 1 << 10;
    /// It is locked against writing.
    pub const WRITE_LOCKED: u32 = 1 << 11;
    /// It can be written as a whole only.
    pub const WRITE_ALL: u32 = 1 << 12;
    /// It can be locked against writing for ever.
    pub const WRITE_DEFINE: u32 = 1 << 13;
    /// It can be locked against writing until the next boot.
    pub const WRITE_ST_CLEAR: u32 = 1 << 14;
    /// The owner may read it.
    pub const OWNER_READ: u32 = 1 << 17;
    /// Who knows its own password may read it.
    pub const AUTH_READ: u32 = 1 << 18;
    /// Wrong passwords for it do not count towards the lockout.
    pub const NO_DA: u32 = 1 << 25;
    /// It is locked against reading.
    pub const READ_LOCKED: u32 = 1 << 28;
    /// It has been written.
    pub const WRITTEN: u32 = 1 << 29;
    /// The platform (firmware) defined it, and only the platform may delete it.
    pub const PLATFORM_CREATE: u32 = 1 << 30;

    /// What the TPM changes by itself; not part of a definition.
    pub const STATE: u32 = Self::WRITE_LOCKED | Self::READ_LOCKED | Self::WRITTEN;

    /// Single bits and their names, as tpm2-tools writes them.
    pub const NAMES: [(u32, &'static str); 23] = [
        (Self::PP_WRITE, "ppwrite"),
        (Self::OWNER_WRITE, "ownerwrite"),
        (Self::AUTH_WRITE, "authwrite"),
        (Self::POLICY_WRITE, "policywrite"),
        (Self::POLICY_DELETE, "policydelete"),
        (Self::WRITE_LOCKED, "writelocked"),
        (Self::WRITE_ALL, "writeall"),
        (Self::WRITE_DEFINE, "writedefine"),
        (Self::WRITE_ST_CLEAR, "write_stclear"),
        (1 << 15, "globallock"),
        (1 << 16, "ppread"),
        (Self::OWNER_READ, "ownerread"),
        (Self::AUTH_READ, "authread"),
        (1 << 19, "policyread"),
        (Self::NO_DA, "no_da"),
        (1 << 26, "orderly"),
        (1 << 27, "clear_stclear"),
        (Self::READ_LOCKED, "readlocked"),
        (Self::WRITTEN, "written"),
        (Self::PLATFORM_CREATE, "platformcreate"),
        (1 << 31, "read_stclear"),
        (1 << 4, "nt=0x1"),
        (1 << 6, "nt=0x4"),
    ];

    /// Is any of these bits set?
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
}

/// What an index is: TPMS_NV_PUBLIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NvPublic {
    /// Its number, 0x0100_0000 to 0x01ff_ffff.
    pub index: u32,
    /// Its attributes.
    pub attributes: NvAttributes,
    /// Size of its data, in bytes.
    pub size: u16,
    /// TPM number of its name's hash algorithm; new ones get SHA-256 (0x0b).
    pub name_algorithm: u16,
    /// Digest of its policy; empty when it has none.
    pub policy: Vec<u8>,
}

impl NvPublic {
    /// An index to be defined, without policy, named with SHA-256.
    pub const fn new(index: u32, attributes: NvAttributes, size: u16) -> Self {
        Self {
            index,
            attributes,
            size,
            name_algorithm: 0x0b,
            policy: Vec::new(),
        }
    }
}

/// Who authorizes an NV command.
#[derive(Clone, Copy)]
pub enum NvAuth<'a> {
    /// The owner, with this password (empty when there is none).
    Owner(&'a [u8]),
    /// The index itself, without password.
    Index,
}

/// How the TPM defends passwords against guessing (Part 1, 19.8).
///
/// The owner's password itself is exempt: wrong ones are not counted, by the specification. What
/// counts are wrong passwords of objects and indices without NO_DA, and of the lockout hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// Failures that count now.
    pub counter: u32,
    /// How many start the lockout.
    pub max_tries: u32,
    /// Seconds after which one failure is forgotten.
    pub interval: u32,
    /// The lockout is active.
    pub locked: bool,
}

impl Lockout {
    /// How many more failures it takes to start the lockout.
    pub const fn tries_left(&self) -> u32 {
        self.max_tries.saturating_sub(self.counter)
    }
}

/// What the TPM is like, as far as NV is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NvState {
    /// The owner hierarchy has a password.
    pub owner_password: bool,
    /// The owner hierarchy can be used: firmware may switch it off until the next boot.
    pub owner_enabled: bool,
    /// The defence of passwords.
    pub lockout: Lockout,
    /// Size of the largest index that can be defined, in bytes.
    pub max_size: u32,
}
