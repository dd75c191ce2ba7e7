//! May the PIN be changed, and to what?
//!
//! Root may ask; root could have a record sealed anyway, but does not know the PIN. So it is not told
//! here: the present one has to be given, and after some wrong ones nothing is compared any more in this
//! boot. A passphrase of the volume does instead, for whoever has forgotten the PIN.

use std::sync::atomic::{AtomicU32, Ordering};

use super::protocol::{PinChange, PinProof};
use crate::unlock::{BootSecret, Pin, PinError, PinKey};

/// Wrong PINs in one boot, after which only a passphrase does.
const MOST_WRONG: u32 = 5;
/// The header has 32 tokens.
const MOST_RECORDS: usize = 32;

/// Why the PIN stays as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum PinChangeError {
    #[error("{0}")]
    NewPin(PinError),
    #[error("the present PIN is wrong")]
    Wrong,
    #[error(
        "{MOST_WRONG} wrong PINs were given in this boot: give a passphrase of the volume or the recovery key instead"
    )]
    TooMany,
    #[error(
        "no PIN was typed in this boot, so there is none to change: `taoboot pin set` sets the first one"
    )]
    NoPin,
    #[error("there is a PIN already: `taoboot pin change` sets another")]
    NotTheFirst,
    #[error(
        "the proof is not one of this volume: its key gives another secret than the one that opened this machine"
    )]
    OtherVolume,
    #[error("the request does not have up to {MOST_RECORDS} records and a PIN in hex digits")]
    Form,
    #[error("an earlier change of the PIN was interrupted: restart the machine")]
    Broken,
}

/// Counts wrong PINs.
#[derive(Default)]
pub(super) struct Guard(AtomicU32);

impl Guard {
    /// The try counts before its outcome is known: several at once are no more tries.
    fn one_more(&self) -> Result<(), PinChangeError> {
        let counted = |wrong: u32| (wrong < MOST_WRONG).then(|| wrong.saturating_add(1));
        self.0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, counted)
            .map(drop)
            .map_err(|_| PinChangeError::TooMany)
    }

    fn was_right(&self) {
        self.0.store(0, Ordering::SeqCst);
    }
}

/// The new PIN, stretched with a new salt.
pub(super) fn allowed(
    change: &PinChange,
    present: Option<&PinKey>,
    secret: &BootSecret,
    guard: &Guard,
) -> Result<PinKey, PinChangeError> {
    let is_first = matches!(change.proof, PinProof::First);
    if change.records.len() > MOST_RECORDS || change.records.is_empty() != is_first {
        return Err(PinChangeError::Form);
    }
    let new = change.new_pin.bytes().ok_or(PinChangeError::Form)?;
    let new = Pin::new(&new).map_err(PinChangeError::NewPin)?;
    match &change.proof {
        PinProof::First if present.is_some() => return Err(PinChangeError::NotTheFirst),
        PinProof::First => {}
        PinProof::Pin(given) => {
            let present = present.ok_or(PinChangeError::NoPin)?;
            guard.one_more()?;
            let given = given.bytes().ok_or(PinChangeError::Form)?;
            let is_it = Pin::new(&given).is_ok_and(|given| present.is_of(&given));
            if !is_it {
                return Err(PinChangeError::Wrong);
            }
            guard.was_right();
        }
        PinProof::VolumeKey(_) if present.is_none() => return Err(PinChangeError::NoPin),
        PinProof::VolumeKey(given) => {
            let given = given.bytes().ok_or(PinChangeError::Form)?;
            let expected = secret.volume().pin_change_key();
            let differing = given.iter().zip(expected.iter());
            let differ = differing.fold(0, |all, (one, other)| all | (one ^ other));
            if given.len() != expected.len() || differ != 0 {
                return Err(PinChangeError::OtherVolume);
            }
        }
    }
    PinKey::fresh(&new).map_err(PinChangeError::NewPin)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        reseal::protocol::Confidential,
        unlock::{HostSecret, VolumeSecret},
    };

    fn secret() -> BootSecret {
        BootSecret::new(
            VolumeSecret::generate().unwrap(),
            HostSecret::generate().unwrap(),
        )
    }

    fn change(proof: PinProof, new_pin: Confidential, records: usize) -> PinChange {
        PinChange {
            proof,
            new_pin,
            records: vec![Value::Null; records],
        }
    }

    fn pin(text: &str) -> Confidential {
        Confidential::of(text.as_bytes())
    }

    #[test]
    fn only_the_key_of_this_volume_takes_the_place_of_the_pin() {
        let (own, other) = (secret(), secret());
        let key = PinKey::fresh(&Pin::new(b"present").unwrap()).unwrap();
        let by = |proof: &[u8]| {
            let proof = PinProof::VolumeKey(Confidential::of(proof));
            let change = change(proof, pin("another"), 1);
            allowed(&change, Some(&key), &own, &Guard::default()).map(drop)
        };
        let right = own.volume().pin_change_key();
        by(right.as_slice()).unwrap();
        let others = other.volume().pin_change_key();
        for wrong in [
            others.as_slice(),
            &right[..31],
            &[],
            own.volume().as_bytes(),
        ] {
            assert!(matches!(by(wrong), Err(PinChangeError::OtherVolume)));
        }
    }

    #[test]
    fn a_request_of_another_form_changes_nothing_and_counts_as_no_guess() {
        let own = secret();
        let key = PinKey::fresh(&Pin::new(b"present").unwrap()).unwrap();
        let guard = Guard::default();
        let right = || PinProof::Pin(pin("present"));
        for _ in 0..2 * MOST_WRONG {
            for records in [0, MOST_RECORDS + 1] {
                let change = change(right(), pin("another"), records);
                let error = allowed(&change, Some(&key), &own, &guard).map(drop);
                assert!(matches!(error, Err(PinChangeError::Form)));
            }
            let change = change(right(), pin("short"), 1);
            let error = allowed(&change, Some(&key), &own, &guard).map(drop);
            assert!(matches!(error, Err(PinChangeError::NewPin(_))));
        }
        let change = change(right(), pin("another"), 1);
        let new = allowed(&change, Some(&key), &own, &guard).unwrap();
        assert!(new.is_of(&Pin::new(b"another").unwrap()));
        assert_ne!(new.salt(), key.salt());
    }
}
