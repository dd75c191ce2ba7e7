//! Asks the TPM for the boot secret, and says in words why it is not given.

use tpm::{Bank, PcrIndex, PcrSet, PcrValues, Tpm, TpmError};
use zeroize::Zeroizing;

use super::{
    ask_pin::{AskPin, Nobody},
    explain::explain,
    launch_pcrs::{LaunchPcrs, LaunchPcrsError},
    pinned::{Pinned, check_released},
    record::SealedRecord,
    secret::BootSecret,
    unseal_error::UnsealError,
    unseal_pin::unseal_with_pin,
};
use crate::config::Require;

/// The registers that decide about these records: those they name, the launch's and the latch.
pub fn deciding_pcrs(records: &[SealedRecord]) -> PcrSet {
    let named = records
        .iter()
        .flat_map(|record| record.expected().set().iter());
    named
        .chain(PcrSet::LAUNCH.iter())
        .chain([PcrIndex::LATCH])
        .collect()
}

/// The records that would open in this state, or the reason why none does: first of all the
/// state must be one that a launch has written. Asks no TPM.
pub fn matching<'r>(
    records: &'r [SealedRecord],
    seen: &PcrValues,
) -> Result<Vec<&'r SealedRecord>, UnsealError> {
    if records.is_empty() {
        return Err(UnsealError::NoRecords);
    }
    let measured = match seen.bank() {
        // Only a TPM 1.2 is asked for SHA-1 values (`Tpm::bank`).
        Bank::Sha1 => LaunchPcrs::check_tpm12(seen),
        Bank::Sha256 | Bank::Sha384 => LaunchPcrs::check(seen),
    };
    match measured {
        Ok(()) => {}
        Err(LaunchPcrsError::NoLaunch) => return Err(UnsealError::NoLaunch),
        Err(error) => return Err(UnsealError::Unmeasured(error)),
    }
    let records: Vec<&SealedRecord> = records
        .iter()
        .filter(|record| record.expected().bank() == seen.bank())
        .collect();
    if records.is_empty() {
        return Err(UnsealError::OtherKindOfTpm);
    }
    let differences = |record: &SealedRecord| explain(record.expected(), seen, record.components());
    let matching: Vec<_> = records
        .iter()
        .copied()
        .filter(|record| differences(record).is_empty())
        .collect();
    if !matching.is_empty() {
        return Ok(matching);
    }
    // The record with the fewest differences is most likely the one that was meant.
    let nearest = records
        .into_iter()
        .map(|record| (record, differences(record)));
    let Some((record, differences)) = nearest.min_by_key(|(_, found)| found.len()) else {
        return Err(UnsealError::NoRecords);
    };
    if differences
        .iter()
        .all(|difference| difference.pcr == PcrIndex::LATCH)
    {
        return Err(UnsealError::LatchClosed);
    }
    Err(UnsealError::NotApproved {
        label: record.label().to_owned(),
        differences,
    })
}

/// What asking for the boot secret gave.
pub struct Unsealing<'r> {
    /// The registers, read once: the answer was decided on these values.
    pub seen: PcrValues,
    /// The secret with the record that held it, or why there is none.
    pub released: Result<(BootSecret, &'r SealedRecord), UnsealError>,
}

/// Gets the boot secret from the TPM: reads the PCRs once, picks the record of this launch
/// (others are not tried), unseals it as pinned and verifies the record.
///
/// Where two records fit the launch and the first is damaged, the next is tried.
///
/// # Errors
/// When the PCRs cannot be read. That the TPM gives no secret is an answer.
pub fn unseal<'r>(
    tpm: &mut dyn Tpm,
    records: &'r [SealedRecord],
    pinned: Pinned<'_>,
) -> Result<Unsealing<'r>, TpmError> {
    unseal_asking(tpm, records, pinned, &mut Nobody)
}

/// [`unseal`], where somebody can be asked for a PIN. Nobody is before it is known that there is a record
/// with a PIN for this very launch.
///
/// # Errors
/// As for [`unseal`].
pub fn unseal_asking<'r>(
    tpm: &mut dyn Tpm,
    records: &'r [SealedRecord],
    pinned: Pinned<'_>,
    person: &mut dyn AskPin,
) -> Result<Unsealing<'r>, TpmError> {
    let seen = tpm.pcr_read(tpm.bank(), deciding_pcrs(records))?;
    let released = release(tpm, records, &seen, pinned, person);
    Ok(Unsealing { seen, released })
}

fn release<'r>(
    tpm: &mut dyn Tpm,
    records: &'r [SealedRecord],
    seen: &PcrValues,
    pinned: Pinned<'_>,
    person: &mut dyn AskPin,
) -> Result<(BootSecret, &'r SealedRecord), UnsealError> {
    let (with_pin, without): (Vec<_>, Vec<_>) = matching(records, seen)?
        .into_iter()
        .partition(|record| record.pin().is_some());
    match pinned.require {
        // A record that somebody kept from before the PIN opens nothing here.
        Require::TpmAndPin if with_pin.is_empty() => return Err(UnsealError::RecordWithoutPin),
        Require::TpmAndPin => return unseal_with_pin(tpm, with_pin, pinned, person),
        Require::Tpm if without.is_empty() => return Err(UnsealError::PinNotRequired),
        Require::Tpm => {}
    }
    let mut first_error = None;
    for record in without {
        match unseal_one(tpm, record, pinned) {
            Ok(secret) => return Ok((secret, record)),
            Err(error) => first_error.get_or_insert(error),
        };
    }
    Err(first_error.unwrap_or(UnsealError::NoRecords))
}

fn unseal_one(
    tpm: &mut dyn Tpm,
    record: &SealedRecord,
    pinned: Pinned<'_>,
) -> Result<BootSecret, UnsealError> {
    let bytes: Zeroizing<Vec<u8>> = tpm
        .unseal(record.sealed(), record.approval(), pinned.srk)
        .map_err(UnsealError::Tpm)?;
    let secret = BootSecret::from_bytes(&bytes).map_err(UnsealError::NotASecret)?;
    check_released(&secret, record, pinned)?;
    Ok(secret)
}
