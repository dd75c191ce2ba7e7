//! PCR values that a measured launch has written, and no others.
//!
//! A bank counts only when the launch extended it. tboot extends one bank (its option `extpol=`,
//! sha256 since 1.9.12 and sha1 before); the others keep what SINIT put there, which knows nothing
//! of the kernel. Whatever is sealed to such values is open to every kernel. SINIT extends PCR 17
//! and 18, tboot 17 to 19: PCR 19 is at zeros exactly where tboot wrote nothing.

use std::ops::Deref;

use sha2::{Digest as _, Sha256};
use tpm::{Bank, PcrIndex, PcrSet, PcrValues};

use super::explain::is_no_launch;

/// SHA-256 values of at least PCR 17, 18 and 19, each of them written by a launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchPcrs(PcrValues);

/// Why values are not those of a measured launch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchPcrsError {
    /// All ones.
    #[error("no measured launch has taken place (PCR 17 or a later one is all ones)")]
    NoLaunch,
    /// All zeros: reset by the launch, then left alone.
    #[error(
        "the launch measured nothing into PCR {0} of the sha256 bank (it is all zeros), so that the values do not depend on what was booted: put extpol=sha256 on tboot's command line (not sha1 or embedded; tboot before 1.9.12 extends sha1 by default), and a policy of tboot that measures the initramfs into PCR 19"
    )]
    NotWritten(PcrIndex),
    /// All zeros, on a TPM 1.2.
    #[error(
        "the launch measured nothing into PCR {0} (it is all zeros), so that the values do not depend on what was booted: tboot needs a policy that measures the initramfs into PCR 19"
    )]
    NotWrittenTpm12(PcrIndex),
    /// PCR 17 after a hash of no bytes.
    #[error("PCR 17 holds the hash of nothing: a launch began, but nothing was measured in it")]
    HashOfNothing,
    /// A register that depends on what was booted is not among the values.
    #[error(
        "there is no value for PCR {0}: without PCR 17, 18 and 19 the key does not depend on tboot, kernel and initramfs"
    )]
    Missing(PcrIndex),
    /// Another bank.
    #[error("the values are of the {0} bank: a secret is sealed to the sha256 bank")]
    OtherBank(Bank),
}

impl LaunchPcrs {
    /// Takes values that a launch has written; further registers may be among them.
    ///
    /// # Errors
    /// When the bank is another, a register from 17 to 19 is missing, or nothing was measured
    /// into one.
    pub fn new(values: PcrValues) -> Result<Self, LaunchPcrsError> {
        Self::check(&values)?;
        Ok(Self(values))
    }

    /// Are these the values of a measured launch?
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn check(values: &PcrValues) -> Result<(), LaunchPcrsError> {
        if values.bank() != Bank::Sha256 {
            return Err(LaunchPcrsError::OtherBank(values.bank()));
        }
        Self::check_written(values)
    }

    /// The same for a TPM 1.2, whose only values are SHA-1. In a TPM 2.0 these are of a bank that tboot
    /// need not have extended: the caller knows which TPM they are of, or for.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn check_tpm12(values: &PcrValues) -> Result<(), LaunchPcrsError> {
        if values.bank() != Bank::Sha1 {
            return Err(LaunchPcrsError::OtherBank(values.bank()));
        }
        Self::check_written(values)
    }

    fn check_written(values: &PcrValues) -> Result<(), LaunchPcrsError> {
        if is_no_launch(values) {
            return Err(LaunchPcrsError::NoLaunch);
        }
        for pcr in PcrSet::LAUNCH.iter() {
            let value = values.get(pcr).ok_or(LaunchPcrsError::Missing(pcr))?;
            if value.iter().all(|byte| *byte == 0) {
                return Err(match values.bank() {
                    Bank::Sha1 => LaunchPcrsError::NotWrittenTpm12(pcr),
                    Bank::Sha256 | Bank::Sha384 => LaunchPcrsError::NotWritten(pcr),
                });
            }
            if value == hash_of_nothing() || value == HASH_OF_NOTHING_TPM12 {
                return Err(LaunchPcrsError::HashOfNothing);
            }
        }
        Ok(())
    }

    /// The values as such.
    pub fn into_values(self) -> PcrValues {
        self.0
    }
}

impl Deref for LaunchPcrs {
    type Target = PcrValues;
    fn deref(&self) -> &PcrValues {
        &self.0
    }
}

/// SHA1(0^20 || SHA1("")): the same as below in a TPM 1.2.
const HASH_OF_NOTHING_TPM12: [u8; 20] = [
    0x31, 0xa2, 0xdc, 0x4c, 0x22, 0xf9, 0xc5, 0x44, 0x4a, 0x41, 0x62, 0x5d, 0x05, 0xf9, 0x58, 0x98,
    0xe0, 0x55, 0xf7, 0x50,
];

/// PCR 17 after TPM_HASH_START and TPM_HASH_END with no data between them.
fn hash_of_nothing() -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update([0; 32]);
    hash.update(Sha256::digest([]));
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(changed: &[(u8, Vec<u8>)]) -> PcrValues {
        let mut values = PcrValues::new(Bank::Sha256);
        let written = (17..=19).map(|pcr| (pcr, vec![pcr; 32]));
        for (pcr, value) in written.chain(changed.iter().cloned()) {
            values
                .insert(PcrIndex::try_from(pcr).unwrap(), value)
                .unwrap();
        }
        values
    }

    #[test]
    fn values_that_a_launch_wrote_are_taken() {
        let values = launch(&[(7, vec![0; 32])]);
        assert_eq!(
            LaunchPcrs::new(values.clone()).unwrap().into_values(),
            values
        );
    }

    #[test]
    fn values_that_no_launch_wrote_are_refused() {
        for pcr in 17..=19 {
            let index = PcrIndex::try_from(pcr).unwrap();
            for (value, error) in [
                (vec![0; 32], LaunchPcrsError::NotWritten(index)),
                (vec![0xff; 32], LaunchPcrsError::NoLaunch),
                (hash_of_nothing().to_vec(), LaunchPcrsError::HashOfNothing),
            ] {
                assert_eq!(LaunchPcrs::check(&launch(&[(pcr, value)])), Err(error));
            }
            let all = launch(&[]);
            let mut without = PcrValues::new(Bank::Sha256);
            for (other, value) in all.iter().filter(|(other, _)| *other != index) {
                without.insert(other, value.to_vec()).unwrap();
            }
            assert_eq!(
                LaunchPcrs::check(&without),
                Err(LaunchPcrsError::Missing(index))
            );
        }
        let mut old = PcrValues::new(Bank::Sha1);
        for pcr in 17..=19 {
            let index = PcrIndex::try_from(pcr).unwrap();
            old.insert(index, vec![pcr; 20]).unwrap();
        }
        // A launch of a TPM 1.2, and of no other.
        assert_eq!(LaunchPcrs::check_tpm12(&old), Ok(()));
        assert!(LaunchPcrs::check(&old).is_err());
        assert!(LaunchPcrs::check_tpm12(&launch(&[])).is_err());
        let seventeen = PcrIndex::try_from(17).unwrap();
        for (value, error) in [
            (vec![0; 20], LaunchPcrsError::NotWrittenTpm12(seventeen)),
            (vec![0xff; 20], LaunchPcrsError::NoLaunch),
            (
                HASH_OF_NOTHING_TPM12.to_vec(),
                LaunchPcrsError::HashOfNothing,
            ),
        ] {
            let mut values = old.clone();
            values.insert(seventeen, value).unwrap();
            assert_eq!(LaunchPcrs::check_tpm12(&values), Err(error));
        }
        let sha1 = PcrValues::new(Bank::Sha1);
        assert_eq!(
            LaunchPcrs::check(&sha1),
            Err(LaunchPcrsError::OtherBank(Bank::Sha1))
        );
    }
}
