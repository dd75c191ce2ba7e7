//! What shall be in the NV, from the files of a policy.

use tpm::{family::Family, nv::NvAttributes, tpm12::Attributes};
use txt::policy::{DATA_SIGNATURE, Policy};

use super::{
    place::{IndexSet, Role},
    storage::{Definition, NvError},
};

/// Owner writes, everybody reads, wrong passwords do not count: 0x0204000a, as tboot's documentation
/// has it.
const POLICY_ATTRIBUTES_20: u32 = NvAttributes::OWNER_WRITE
    | NvAttributes::POLICY_WRITE
    | NvAttributes::AUTH_READ
    | NvAttributes::NO_DA;
/// Everybody writes and reads.
const ERROR_ATTRIBUTES_20: u32 =
    NvAttributes::AUTH_WRITE | NvAttributes::AUTH_READ | NvAttributes::NO_DA;
/// All five localities.
const ANY_LOCALITY: u8 = 0x1f;
/// Localities 0 to 2: Linux and tboot.
const TBOOT_LOCALITIES: u8 = 0x07;
/// Size of the verified launch policy's index in tboot's documentation, in bytes.
pub const LAUNCH_POLICY_SIZE: u16 = 256;
/// Largest verified launch policy that tboot takes, in bytes.
pub const MAX_LAUNCH_POLICY: usize = 2124;
/// Size of tboot's error code, in bytes.
const ERROR_SIZE: u16 = 8;

/// One index as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What it is for.
    pub role: Role,
    /// Its definition.
    pub definition: Definition,
    /// A larger index does as well.
    pub larger_will_do: bool,
    /// What shall stand at its begin; `None`: anything.
    pub data: Option<Vec<u8>>,
}

impl Wish {
    /// The owner's launch control policy.
    ///
    /// # Errors
    /// [`NvError::Refused`] when the file is none, or one for the other TPM.
    pub fn owner_policy(family: Family, set: IndexSet, file: &[u8]) -> Result<Self, NvError> {
        if file.starts_with(&DATA_SIGNATURE) {
            return Err(NvError::Refused(
                "this is a policy data file: it is loaded by GRUB as a module; the policy, which \
                 is much shorter, belongs in the NV"
                    .to_owned(),
            ));
        }
        let policy = Policy::parse(file)
            .map_err(|error| NvError::Refused(format!("no launch control policy: {error}")))?;
        match (&policy, family) {
            (Policy::Tpm12(_), Family::Tpm12) | (Policy::Tpm20(_), Family::Tpm20) => {}
            (Policy::Tpm12(_), Family::Tpm20) => {
                return Err(NvError::Refused(
                    "the policy is one for a TPM 1.2 (version 2.x), the TPM is a TPM 2.0: make \
                     one of version 3.0 to 3.2"
                        .to_owned(),
                ));
            }
            (Policy::Tpm20(_), Family::Tpm12) => {
                return Err(NvError::Refused(
                    "the policy is one for a TPM 2.0 (version 3.x), the TPM is a TPM 1.2: make \
                     one of version 2.0 to 2.4"
                        .to_owned(),
                ));
            }
        }
        Ok(Self {
            role: Role::OwnerPolicy,
            definition: Definition {
                number: Role::OwnerPolicy.index(family, set),
                size: size(file.len())?,
                attributes: match family {
                    Family::Tpm12 => Attributes::OWNER_WRITE,
                    Family::Tpm20 => POLICY_ATTRIBUTES_20,
                },
                localities: ANY_LOCALITY,
            },
            // SINIT takes the size for the hash algorithm's.
            larger_will_do: false,
            data: Some(file.to_vec()),
        })
    }

    /// tboot's verified launch policy.
    ///
    /// # Errors
    /// [`NvError::Refused`] when the file is none, or too long for tboot.
    pub fn launch_policy(family: Family, set: IndexSet, file: &[u8]) -> Result<Self, NvError> {
        let refused = |why: String| NvError::Refused(format!("no verified launch policy: {why}"));
        if Policy::parse(file).is_ok() || file.starts_with(&DATA_SIGNATURE) {
            return Err(refused(
                "this is a launch control policy, which belongs in another index (--policy)"
                    .to_owned(),
            ));
        }
        match file {
            [2, 0..=2, _, _, _, _, _, _, _, _, _, _, ..] => {}
            [2, ..] => {
                return Err(refused(
                    "its policy_type is not 0, 1 or 2, or it has fewer than 12 bytes".to_owned(),
                ));
            }
            [found, ..] => {
                return Err(refused(format!("its version is {found}, expected 2")));
            }
            [] => return Err(refused("the file is empty".to_owned())),
        }
        if file.len() > MAX_LAUNCH_POLICY {
            return Err(refused(format!(
                "it has {} bytes, tboot takes at most {MAX_LAUNCH_POLICY}",
                file.len()
            )));
        }
        Ok(Self {
            role: Role::LaunchPolicy,
            definition: Definition {
                number: Role::LaunchPolicy.index(family, set),
                size: size(file.len())?.max(LAUNCH_POLICY_SIZE),
                attributes: match family {
                    Family::Tpm12 => Attributes::OWNER_WRITE,
                    Family::Tpm20 => POLICY_ATTRIBUTES_20,
                },
                localities: ANY_LOCALITY,
            },
            larger_will_do: true,
            data: Some(file.to_vec()),
        })
    }

    /// Where tboot notes why a launch failed (with `ignore_prev_err=false` only).
    pub fn launch_error(family: Family, set: IndexSet) -> Self {
        Self {
            role: Role::LaunchError,
            definition: Definition {
                number: Role::LaunchError.index(family, set),
                size: ERROR_SIZE,
                attributes: match family {
                    Family::Tpm12 => 0,
                    Family::Tpm20 => ERROR_ATTRIBUTES_20,
                },
                localities: TBOOT_LOCALITIES,
            },
            larger_will_do: true,
            data: None,
        }
    }
}

fn size(length: usize) -> Result<u16, NvError> {
    u16::try_from(length)
        .map_err(|_| NvError::Refused(format!("{length} bytes do not fit into an NV index")))
}
