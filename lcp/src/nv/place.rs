//! Which NV index is for what: the numbers that SINIT and tboot look at.
//!
//! Source: tboot 1.10 and 1.11 (tpm_12.c, tpm_20.c), and what Intel's documents say of the platform
//! supplier's indices.

use std::str::FromStr;

use tpm::family::Family;

/// Which numbers a TPM 2.0 platform uses; its SINIT module says which (`tpm_nv_index_set`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexSet {
    /// Set 0: 0x01200001, 0x01400001, ... of early platforms.
    Set0,
    /// Set 1: 0x01C10106, ... of today's platforms.
    #[default]
    Set1,
}

/// A word that is not a set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no set {0:?}: 0 or 1")]
pub struct UnknownSet(String);

impl FromStr for IndexSet {
    type Err = UnknownSet;

    fn from_str(text: &str) -> Result<Self, UnknownSet> {
        match text {
            "0" => Ok(Self::Set0),
            "1" => Ok(Self::Set1),
            _ => Err(UnknownSet(text.to_owned())),
        }
    }
}

/// What an index is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The owner's launch control policy, which SINIT reads.
    OwnerPolicy,
    /// The verified launch policy, which tboot reads.
    LaunchPolicy,
    /// Where tboot notes why the last launch failed.
    LaunchError,
    /// The platform supplier's launch control policy.
    PlatformPolicy,
    /// SINIT's own notes.
    Auxiliary,
    /// Security version of SGX.
    SgxVersion,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] = [
        Self::OwnerPolicy,
        Self::LaunchPolicy,
        Self::LaunchError,
        Self::PlatformPolicy,
        Self::Auxiliary,
        Self::SgxVersion,
    ];

    /// The name on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OwnerPolicy => "owner",
            Self::LaunchPolicy => "vlp",
            Self::LaunchError => "error",
            Self::PlatformPolicy => "platform",
            Self::Auxiliary => "aux",
            Self::SgxVersion => "sgx",
        }
    }

    /// What it is, in words.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::OwnerPolicy => "the owner's launch control policy",
            Self::LaunchPolicy => "tboot's verified launch policy",
            Self::LaunchError => "tboot's error code",
            Self::PlatformPolicy => "the platform supplier's launch control policy",
            Self::Auxiliary => "SINIT's auxiliary data",
            Self::SgxVersion => "the security version of SGX",
        }
    }

    /// The role of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Its index.
    pub const fn index(self, family: Family, set: IndexSet) -> u32 {
        match (family, set) {
            (Family::Tpm12, _) => match self {
                Self::OwnerPolicy => 0x4000_0001,
                Self::LaunchPolicy => 0x2000_0001,
                Self::LaunchError => 0x2000_0002,
                Self::PlatformPolicy => 0x5000_0001,
                Self::Auxiliary => 0x5000_0002,
                Self::SgxVersion => 0x5000_0004,
            },
            (Family::Tpm20, IndexSet::Set0) => match self {
                Self::OwnerPolicy => 0x0140_0001,
                Self::LaunchPolicy => 0x0120_0001,
                Self::LaunchError => 0x0120_0002,
                Self::PlatformPolicy => 0x0180_0001,
                Self::Auxiliary => 0x0180_0003,
                Self::SgxVersion => 0x0180_0004,
            },
            (Family::Tpm20, IndexSet::Set1) => match self {
                Self::OwnerPolicy => 0x01c1_0106,
                Self::LaunchPolicy => 0x01c1_0131,
                Self::LaunchError => 0x01c1_0132,
                Self::PlatformPolicy => 0x01c1_0103,
                Self::Auxiliary => 0x01c1_0102,
                Self::SgxVersion => 0x01c1_0104,
            },
        }
    }

    /// The role of an index, in either set.
    pub fn of(family: Family, index: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|role| {
            [IndexSet::Set0, IndexSet::Set1]
                .into_iter()
                .any(|set| role.index(family, set) == index)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_one_role_and_every_name_one_meaning() {
        for family in [Family::Tpm12, Family::Tpm20] {
            for set in [IndexSet::Set0, IndexSet::Set1] {
                for role in Role::ALL {
                    assert_eq!(Role::of(family, role.index(family, set)), Some(role));
                    assert_eq!(Role::named(role.name()), Some(role));
                }
            }
        }
        assert_eq!(Role::of(Family::Tpm20, 0x01c0_0002), None);
    }
}
