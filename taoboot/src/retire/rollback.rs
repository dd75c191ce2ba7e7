//! The rollback counter as a limit of new approvals.

use agent::unlock::ROLLBACK_COUNTER;
use anyhow::Result;
use tpm::{CounterLimit, Tpm2};

use crate::volume::passphrase::Passphrase;

/// Has the TPM a rollback counter?
pub fn is_there(tpm: &mut Tpm2) -> Result<bool> {
    Ok(tpm.rollback_counter_value(ROLLBACK_COUNTER)?.is_some())
}

/// The present limit, or that of a counter which is not made: a new one begins near it.
pub fn limit_to_be(tpm: &mut Tpm2) -> Result<CounterLimit> {
    let index = ROLLBACK_COUNTER;
    let limit = tpm.rollback_counter_value(index)?.unwrap_or(0);
    Ok(CounterLimit { index, limit })
}

/// Approved until the counter is raised the next time. Makes the counter if there is none.
pub fn present_limit(tpm: &mut Tpm2, owner: &Passphrase) -> Result<CounterLimit> {
    let index = ROLLBACK_COUNTER;
    let limit = match tpm.rollback_counter_value(index)? {
        Some(value) => value,
        None => {
            let value = tpm.rollback_counter_create(index, owner.without_newline())?;
            eprintln!("taoboot: made the rollback counter (NV index {index:#x}), it is at {value}");
            value
        }
    };
    Ok(CounterLimit { index, limit })
}
