//! What NV storage is, whichever TPM it is in.

use tpm::{TpmError, family::Family, tpm12::Tpm12Error};
use zeroize::Zeroizing;

/// The owner's secret, as the commands want it.
pub struct Owner(Kind);

enum Kind {
    Password(Zeroizing<Vec<u8>>),
    WellKnown,
}

impl Owner {
    /// A password; no bytes at all are "no password" on a TPM 2.0.
    pub const fn password(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(Kind::Password(bytes))
    }

    /// The secret that everybody knows: 20 zero bytes on a TPM 1.2, none on a TPM 2.0.
    pub const fn well_known() -> Self {
        Self(Kind::WellKnown)
    }

    /// The password's bytes; none for the well-known secret.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::Password(bytes) => Some(bytes),
            Kind::WellKnown => None,
        }
    }
}

/// What owner the TPM has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerState {
    /// One with a password (TPM 1.2 always has one, be it the well-known secret).
    Password,
    /// A TPM 2.0 whose owner has none: whoever reaches the TPM is the owner.
    NoPassword,
    /// Nothing can be done as owner, and why.
    Unusable(String),
}

/// How many wrong passwords the TPM takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// Failures that count now.
    pub counted: u32,
    /// How many start the lockout.
    pub max: u32,
    /// The lockout is active.
    pub locked: bool,
}

impl Tries {
    /// How many are left before the lockout.
    pub const fn left(&self) -> u32 {
        self.max.saturating_sub(self.counted)
    }
}

/// What the TPM is like, as far as NV is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Its owner.
    pub owner: OwnerState,
    /// Defence against wrong passwords; `None` when the TPM does not tell.
    pub tries: Option<Tries>,
    /// Are accesses to NV checked? Always on a TPM 2.0; on a TPM 1.2 after nvLocked was set.
    pub checked: bool,
    /// Largest index that can be defined, in bytes; on a TPM 1.2 with the room it has now.
    pub max_size: u32,
}

/// An index as it shall be defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its number.
    pub number: u32,
    /// Its size, in bytes.
    pub size: u16,
    /// Its attributes: TPMA_NV or TPM_NV_PER bits.
    pub attributes: u32,
    /// Localities that may read and write it, a bit each (TPM 1.2).
    pub localities: u8,
}

/// An index as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its number.
    pub number: u32,
    /// Its size, in bytes.
    pub size: u32,
    /// Its attributes without those that the TPM changes by itself.
    pub attributes: u32,
    /// Names of all its attributes.
    pub names: Vec<&'static str>,
    /// Localities that may read and write it, if it is so restricted (TPM 1.2: always).
    pub localities: Option<[u8; 2]>,
    /// Only the platform's firmware can write or delete it.
    pub platform: bool,
    /// It is locked against writing.
    pub write_locked: bool,
    /// It has a policy without which it cannot be deleted.
    pub policy_delete: bool,
    /// The owner's secret is needed to read it.
    pub owner_read: bool,
}

/// Why something with NV storage failed.
#[derive(Debug, thiserror::Error)]
pub enum NvError {
    /// The owner's password is wrong.
    #[error("the owner's password is wrong; {}", left(*tries, *counted))]
    WrongPassword {
        /// The TPM's defence after it; `None` when the TPM does not tell.
        tries: Option<Tries>,
        /// Did this failure count?
        counted: bool,
    },
    /// The TPM takes no password now.
    #[error(
        "the TPM takes no password now: there were too many wrong ones; leave it powered and wait, \
         or reset the lockout with the lockout password"
    )]
    LockedOut,
    /// Something that TPM 2.0 refused.
    #[error("{explanation}{source}")]
    Tpm20 {
        /// What it means here.
        explanation: &'static str,
        /// What the TPM said.
        source: TpmError,
    },
    /// Something that TPM 1.2 refused.
    #[error(transparent)]
    Tpm12(#[from] Tpm12Error),
    /// There is no such index.
    #[error("there is no NV index {0:#x}")]
    NotDefined(u32),
    /// The index cannot be read in any way that is open to us.
    #[error(
        "NV index {number:#x} cannot be read: its attributes ({attributes}) allow it neither \
         without password nor to the owner"
    )]
    Unreadable {
        /// Its number.
        number: u32,
        /// Names of its attributes.
        attributes: String,
    },
    /// What was done did not show when it was read back.
    #[error("{0}")]
    ReadBack(String),
    /// It cannot be done, and why.
    #[error("{0}")]
    Refused(String),
}

fn left(tries: Option<Tries>, counted: bool) -> String {
    let Some(tries) = tries else {
        return "the TPM does not say how many tries are left before it locks itself".to_owned();
    };
    let (left, of, max) = (tries.left(), tries.counted, tries.max);
    let note = if counted {
        ""
    } else {
        "; this try was not counted: a TPM 2.0 does not count tries of the owner's password"
    };
    format!("{left} tries are left before the lockout ({of} of {max} are counted{note})")
}

/// NV storage of a TPM.
pub trait NvStorage {
    /// Which TPM it is.
    fn family(&self) -> Family;

    /// Owner, lockout, sizes.
    fn state(&mut self) -> Result<State, NvError>;

    /// The numbers of all indices.
    fn list(&mut self) -> Result<Vec<u32>, NvError>;

    /// What an index is; `None` when there is none.
    fn index(&mut self, number: u32) -> Result<Option<Index>, NvError>;

    /// What is in an index; `None` when it was never written. A TPM 1.2 does not know whether it
    /// was: such bytes read 0xff.
    fn read(&mut self, index: &Index, owner: Option<&Owner>) -> Result<Option<Vec<u8>>, NvError>;

    /// Defines an index.
    fn define(&mut self, definition: &Definition, owner: &Owner) -> Result<(), NvError>;

    /// Deletes an index.
    fn release(&mut self, number: u32, owner: &Owner) -> Result<(), NvError>;

    /// Writes the begin of an index.
    fn write(&mut self, number: u32, data: &[u8], owner: &Owner) -> Result<(), NvError>;

    /// Locks an index against writing, if it is one that can be.
    fn lock_index(&mut self, index: &Index, owner: &Owner) -> Result<(), NvError>;

    /// Has the TPM check all accesses from now on: `false` when it did already.
    fn lock_storage(&mut self) -> Result<bool, NvError>;
}
