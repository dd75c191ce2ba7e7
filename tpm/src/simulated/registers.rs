//! The platform configuration registers of all three banks.

use std::collections::BTreeMap;

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384};

use crate::{Bank, PcrIndex, PcrSet, PcrValues, TpmError};

const BANKS: [Bank; 3] = [Bank::Sha1, Bank::Sha256, Bank::Sha384];
/// Registers that a dynamic launch resets. Locality 0, which this TPM is called from, may extend
/// none of them (TCG PC Client Platform TPM Profile, 4.6.2).
const DYNAMIC: std::ops::RangeInclusive<u8> = 17..=22;
/// TPM_RC_LOCALITY (TPM 2.0 Library, Part 2, 6.6.3).
const LOCALITY: u32 = 0x907;

#[derive(Debug)]
pub(super) struct Registers(BTreeMap<(Bank, u8), Vec<u8>>);

impl Registers {
    /// As they are when the power comes on.
    pub(super) fn after_reset() -> Self {
        let mut registers = Self(BTreeMap::new());
        for pcr in 0..24 {
            let byte = if DYNAMIC.contains(&pcr) { 0xff } else { 0 };
            registers.set(pcr, byte);
        }
        registers
    }

    pub(super) fn launch(&mut self, hash_data: &[u8], extends: &[(u8, [u8; 32])]) {
        for pcr in DYNAMIC {
            self.set(pcr, 0);
        }
        for bank in BANKS {
            self.extend(bank, 17, &digest(bank, hash_data));
        }
        for (pcr, digest) in extends {
            self.extend(Bank::Sha256, *pcr, digest);
        }
    }

    pub(super) fn read(&self, bank: Bank, pcrs: PcrSet) -> Result<PcrValues, TpmError> {
        let mut values = PcrValues::new(bank);
        for pcr in pcrs.iter() {
            let value = self.0.get(&(bank, pcr.get()));
            let value = value.ok_or(TpmError::NoSuchPcr { bank, pcr })?;
            let inserted = values.insert(pcr, value.clone());
            inserted.map_err(|error| TpmError::BadParameter(error.to_string()))?;
        }
        Ok(values)
    }

    pub(super) fn event(&mut self, pcr: PcrIndex, data: &[u8]) -> Result<(), TpmError> {
        if DYNAMIC.contains(&pcr.get()) {
            return Err(TpmError::Command {
                command: "TPM2_PCR_Extend",
                code: LOCALITY,
                reason: "not from this locality".to_owned(),
            });
        }
        for bank in BANKS {
            self.extend(bank, pcr.get(), &digest(bank, data));
        }
        Ok(())
    }

    fn extend(&mut self, bank: Bank, pcr: u8, with: &[u8]) {
        if let Some(value) = self.0.get_mut(&(bank, pcr)) {
            *value = digest(bank, &[value.as_slice(), with].concat());
        }
    }

    fn set(&mut self, pcr: u8, byte: u8) {
        for bank in BANKS {
            self.0.insert((bank, pcr), vec![byte; bank.digest_len()]);
        }
    }
}

fn digest(bank: Bank, data: &[u8]) -> Vec<u8> {
    match bank {
        Bank::Sha1 => Sha1::digest(data).to_vec(),
        Bank::Sha256 => Sha256::digest(data).to_vec(),
        Bank::Sha384 => Sha384::digest(data).to_vec(),
    }
}
