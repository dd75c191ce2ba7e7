//! Unsealing with a PIN: three tries, of which the TPM counts the wrong ones itself.

use tpm::{Tpm, TpmError};

use super::{
    ask_pin::{AskPin, PIN_TRIES},
    pin::{Pin, PinKey, PinSalt},
    pin_seal::opened,
    pinned::{Pinned, check_released},
    record::SealedRecord,
    secret::BootSecret,
    unseal_error::UnsealError,
};

/// Of these records, which are for the launch that runs, the newest that is whole is opened.
pub(super) fn unseal_with_pin<'r>(
    tpm: &mut dyn Tpm,
    mut records: Vec<&'r SealedRecord>,
    pinned: Pinned<'_>,
    person: &mut dyn AskPin,
) -> Result<(BootSecret, &'r SealedRecord), UnsealError> {
    records.sort_by_key(|record| std::cmp::Reverse(record.created()));
    let mut wrong = None;
    for number in 1..=PIN_TRIES {
        let typed = person
            .ask(number, wrong.as_deref())
            .map_err(UnsealError::NoPin)?;
        // What cannot be the PIN is not shown to the TPM: it would count.
        let pin = match Pin::new(&typed) {
            Ok(pin) => pin,
            Err(error) => {
                wrong = Some(error.to_string());
                continue;
            }
        };
        match one_try(tpm, &records, pinned, &pin) {
            Err(UnsealError::Tpm(TpmError::WrongAuthValue { .. })) => wrong = Some(said(tpm)),
            Err(UnsealError::Tpm(error @ TpmError::LockedOut { .. })) => {
                return Err(UnsealError::LockedOut(error));
            }
            done => return done,
        }
    }
    Err(UnsealError::WrongPins {
        tries: PIN_TRIES,
        last: wrong.unwrap_or_else(|| "nothing was typed".into()),
    })
}

/// Records of two PINs lie beside each other while the PIN is changed: either opens then.
const MOST_SALTS: usize = 2;

/// A wrong PIN counts with each record that it is tried on: once for each salt, of which there are two after a
/// change of the PIN that was interrupted. With others it is the end of the try.
fn one_try<'r>(
    tpm: &mut dyn Tpm,
    records: &[&'r SealedRecord],
    pinned: Pinned<'_>,
    pin: &Pin,
) -> Result<(BootSecret, &'r SealedRecord), UnsealError> {
    let mut first_error = None;
    let mut wrong_with: Vec<Option<&PinSalt>> = Vec::with_capacity(MOST_SALTS);
    let mut wrong = None;
    for record in records {
        if wrong_with.contains(&record.pin()) {
            continue;
        }
        match unseal_one(tpm, record, pinned, pin) {
            Ok(secret) => return Ok((secret, record)),
            Err(error @ UnsealError::Tpm(TpmError::LockedOut { .. })) => return Err(error),
            Err(error @ UnsealError::Tpm(TpmError::WrongAuthValue { .. })) => {
                wrong_with.push(record.pin());
                if wrong_with.len() >= MOST_SALTS {
                    return Err(error);
                }
                wrong = Some(error);
            }
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    Err(wrong.or(first_error).unwrap_or(UnsealError::NoRecords))
}

fn unseal_one(
    tpm: &mut dyn Tpm,
    record: &SealedRecord,
    pinned: Pinned<'_>,
    pin: &Pin,
) -> Result<BootSecret, UnsealError> {
    let salt = record.pin().ok_or(UnsealError::RecordWithoutPin)?;
    let key = PinKey::derive(pin, salt);
    let auth = key.auth_value().map_err(UnsealError::Tpm)?;
    let released = tpm
        .unseal_with_auth(record.sealed(), record.approval(), pinned.srk, &auth)
        .map_err(UnsealError::Tpm)?;
    let secret = opened(&released, key).ok_or(UnsealError::NotOfThisPin)?;
    check_released(&secret, record, pinned)?;
    Ok(secret)
}

/// What is to be said of a wrong PIN.
fn said(tpm: &mut dyn Tpm) -> String {
    match tpm.lockout() {
        Ok(lockout) => format!(
            "the PIN is wrong (the TPM has counted {}, and locks itself at {})",
            lockout.failed, lockout.most
        ),
        Err(_) => "the PIN is wrong".into(),
    }
}
