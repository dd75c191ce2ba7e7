//! Rollback counters: 64 bits that only go up.

use std::collections::BTreeMap;

use crate::{CounterLimit, TpmError};

/// TPM_RC_NV_DEFINED (TPM 2.0 Library, Part 2, 6.6.3).
const NV_DEFINED: u32 = 0x14c;

#[derive(Debug, Default)]
pub(super) struct Counters {
    values: BTreeMap<u32, u64>,
    /// The highest value that any of them ever had: a new one begins there.
    highest: u64,
}

impl Counters {
    pub(super) fn create(&mut self, index: u32) -> Result<u64, TpmError> {
        if self.values.contains_key(&index) {
            return Err(TpmError::Command {
                command: "TPM2_NV_DefineSpace",
                code: NV_DEFINED,
                reason: "the index exists".to_owned(),
            });
        }
        self.values.insert(index, self.highest);
        self.raise(index)
    }

    pub(super) fn raise(&mut self, index: u32) -> Result<u64, TpmError> {
        let Some(value) = self.values.get_mut(&index) else {
            return Err(TpmError::BadParameter(format!(
                "there is no NV index {index:#x}"
            )));
        };
        *value = value.saturating_add(1);
        self.highest = self.highest.max(*value);
        Ok(*value)
    }

    pub(super) fn value(&self, index: u32) -> Option<u64> {
        self.values.get(&index).copied()
    }

    pub(super) fn delete(&mut self, index: u32) {
        self.values.remove(&index);
    }

    /// TPM2_PolicyNV: is the counter not above the limit?
    pub(super) fn compare(&self, limit: &CounterLimit) -> Result<(), TpmError> {
        let CounterLimit { index, limit } = *limit;
        match self.values.get(&index) {
            None => Err(TpmError::NoCounter { index }),
            Some(value) if *value > limit => Err(TpmError::Retired { index, limit }),
            Some(_) => Ok(()),
        }
    }
}
