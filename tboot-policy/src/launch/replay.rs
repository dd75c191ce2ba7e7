//! PCR values from a list of extends.

use std::collections::BTreeMap;

use tpm::pcr::{Bank, PcrIndex, PcrSet, PcrSyntaxError, PcrValues};

use super::{Event, event_type};
use crate::platform::bank_alg;

/// How the digest of HASH_START becomes PCR 17: logs differ, so that a predictor tries both
/// against the live PCR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashStartReading {
    /// The log holds H(data): PCR 17 = H(0 || digest). What a TPM does and what this crate computes.
    Extended,
    /// The log holds the finished value of PCR 17.
    Value,
}

/// The values of PCR 17, 18 and 19 in each bank after these events, and of 20 to 22 where an event
/// extends them. A launch resets 17 to 22 to zeros; a register that nothing extends stays there.
pub fn replay(events: &[Event]) -> Result<BTreeMap<Bank, PcrValues>, PcrSyntaxError> {
    replay_reading(events, HashStartReading::Extended)
}

/// [`replay`] with a choice of how HASH_START is read.
///
/// Events of other registers than 17 to 22 do not count: their values at the launch are not known.
/// A digest whose length is not its bank's is an error.
pub fn replay_reading(
    events: &[Event],
    reading: HashStartReading,
) -> Result<BTreeMap<Bank, PcrValues>, PcrSyntaxError> {
    let mut values: BTreeMap<Bank, PcrValues> = BTreeMap::new();
    for event in events {
        for (bank, digest) in &event.digests {
            if !values.contains_key(bank) {
                values.insert(*bank, after_reset(*bank)?);
            }
            let Some(bank_values) = values.get_mut(bank) else {
                continue;
            };
            if !(17..=22).contains(&event.pcr.get()) {
                continue;
            }
            let whole =
                event.event_type == event_type::HASH_START && reading == HashStartReading::Value;
            let value = if whole {
                digest.clone()
            } else {
                // `insert` checks the length of the result only, so this one is checked here.
                PcrValues::new(*bank).insert(event.pcr, digest.clone())?;
                let zeros = vec![0; bank.digest_len()];
                let old = bank_values.get(event.pcr).unwrap_or(&zeros);
                bank_alg(*bank)
                    .digest_parts(&[old, digest])
                    .as_bytes()
                    .to_vec()
            };
            bank_values.insert(event.pcr, value)?;
        }
    }
    Ok(values)
}

/// PCR 17, 18 and 19 as the launch resets them.
fn after_reset(bank: Bank) -> Result<PcrValues, PcrSyntaxError> {
    let mut values = PcrValues::new(bank);
    for index in PcrSet::LAUNCH.iter().collect::<Vec<PcrIndex>>() {
        values.insert(index, vec![0; bank.digest_len()])?;
    }
    Ok(values)
}
