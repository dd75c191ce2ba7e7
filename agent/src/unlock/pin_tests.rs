//! Unsealing with a PIN on a simulated TPM: what is asked, what counts, and which attacks end where.

use std::collections::{BTreeMap, VecDeque};

use tpm::{
    AuthPolicy, Bank, PcrIndex, PcrPolicy, PcrSet, Tpm, TpmError,
    simulated::{Call, SimulatedTpm},
};
use zeroize::Zeroizing;

use super::{
    AskPin, BootSecret, EnrolledRecord, KnownTpms, NoAnswer, Pin, PinKey, Pinned, RecordError,
    RecordParts, SealedRecord, UnsealError, close_latch, pin_seal,
    simulated_tests::{identity, secret},
    unseal, unseal_asking,
};
use crate::config::Require;

const PIN: &str = "correct horse";

/// Answers in turn, then nothing more; and what was said before each question.
#[derive(Default)]
struct Script {
    answers: VecDeque<&'static str>,
    said: Vec<Option<String>>,
}

impl Script {
    fn of(answers: &[&'static str]) -> Self {
        Self {
            answers: answers.iter().copied().collect(),
            said: Vec::new(),
        }
    }
}

impl AskPin for Script {
    fn ask(&mut self, number: usize, wrong: Option<&str>) -> Result<Zeroizing<Vec<u8>>, NoAnswer> {
        self.said.push(wrong.map(str::to_owned));
        assert_eq!(number, self.said.len());
        let answer = self.answers.pop_front().ok_or(NoAnswer::Declined)?;
        Ok(Zeroizing::new(answer.as_bytes().to_vec()))
    }
}

fn launched(number: u8, kernel: u8) -> SimulatedTpm {
    let mut tpm = SimulatedTpm::new(number);
    launch(&mut tpm, kernel);
    tpm
}

fn launch(tpm: &mut SimulatedTpm, kernel: u8) {
    tpm.launch(
        b"SINIT",
        &[(17, [1; 32]), (18, [kernel; 32]), (19, [3; 32])],
    );
}

fn key(pin: &str) -> PinKey {
    PinKey::fresh(&Pin::new(pin.as_bytes()).unwrap()).unwrap()
}

/// A record for the launch that the TPM shows, made at that time.
fn parts(
    tpm: &mut SimulatedTpm,
    secret: &BootSecret,
    key: Option<&PinKey>,
    created: u64,
) -> RecordParts {
    let pcrs = PcrSet::LAUNCH.with(PcrIndex::LATCH);
    let values = tpm.pcr_read(Bank::Sha256, pcrs).unwrap();
    let policy = AuthPolicy::from(PcrPolicy::new(values).unwrap());
    RecordParts {
        keyslot: 1,
        volume: identity(),
        sealed: pin_seal::seal(tpm, secret, key, &policy, None).unwrap(),
        policy,
        label: created.to_string(),
        swap: None,
        created,
        components: BTreeMap::new(),
        escrow: None,
        pin: key.map(|key| key.salt().clone()),
    }
}

fn record(tpm: &mut SimulatedTpm, secret: &BootSecret, key: Option<&PinKey>) -> SealedRecord {
    genuine(parts(tpm, secret, key, 1), secret)
}

fn genuine(parts: RecordParts, secret: &BootSecret) -> SealedRecord {
    SealedRecord::literal(EnrolledRecord::new(parts, secret.volume()).unwrap()).unwrap()
}

fn requiring(require: Require) -> Pinned<'static> {
    Pinned {
        require,
        ..Pinned::default()
    }
}

/// What comes of it, in an image that requires a PIN.
fn asked<'r>(
    tpm: &mut SimulatedTpm,
    records: &'r [SealedRecord],
    script: &mut Script,
) -> Result<(BootSecret, &'r SealedRecord), UnsealError> {
    unseal_asking(tpm, records, requiring(Require::TpmAndPin), script)
        .unwrap()
        .released
}

#[test]
fn the_right_pin_after_a_wrong_one_opens_and_is_kept_for_the_next_launch() {
    let mut tpm = launched(1, 2);
    let (secret, key) = (secret(), key(PIN));
    let records = [record(&mut tpm, &secret, Some(&key))];
    let mut script = Script::of(&["wrong horse", PIN]);
    let (released, _) = asked(&mut tpm, &records, &mut script).unwrap();
    assert_eq!(released.to_bytes(), secret.to_bytes());
    assert_eq!(released.pin().unwrap().to_bytes(), key.to_bytes());
    assert_eq!(tpm.lockout().unwrap().failed, 1);
    let said = script.said[1].as_deref().unwrap();
    assert!(
        said.contains("has counted 1, and locks itself at 3"),
        "{said}"
    );
}

#[test]
fn three_wrong_pins_are_the_end_of_it_and_then_the_tpm_takes_none() {
    let mut tpm = launched(1, 2);
    let (secret, key) = (secret(), key(PIN));
    let records = [record(&mut tpm, &secret, Some(&key))];
    let mut script = Script::of(&["wrong 1", "wrong 2", "wrong 3", PIN]);
    let error = asked(&mut tpm, &records, &mut script)
        .map(drop)
        .unwrap_err();
    assert!(
        matches!(error, UnsealError::WrongPins { tries: 3, .. }),
        "{error}"
    );
    // Also in the next boot, and with the right one.
    tpm.reboot();
    launch(&mut tpm, 2);
    let mut script = Script::of(&[PIN, PIN, PIN]);
    let error = asked(&mut tpm, &records, &mut script)
        .map(drop)
        .unwrap_err();
    assert!(matches!(error, UnsealError::LockedOut(_)), "{error}");
    assert_eq!(script.said.len(), 1, "nobody is asked again");
    let text = error.to_string();
    assert!(
        text.contains("16 min 40 s") && text.contains("recovery key"),
        "{text}"
    );
    // The latch is closed all the same.
    close_latch(&mut tpm, &KnownTpms::one("/none", false)).unwrap();
    tpm.clear_lockout();
    let error = asked(&mut tpm, &records, &mut Script::of(&[PIN])).map(drop);
    assert!(matches!(error, Err(UnsealError::LatchClosed)));
}

#[test]
fn what_cannot_be_a_pin_is_not_shown_to_the_tpm_and_no_pin_is_none() {
    let mut tpm = launched(1, 2);
    let (secret, key) = (secret(), key(PIN));
    let records = [record(&mut tpm, &secret, Some(&key))];
    let mut script = Script::of(&["short", "tab\there", PIN]);
    asked(&mut tpm, &records, &mut script).unwrap();
    assert!(script.said[1].as_deref().unwrap().contains("6 to 128"));
    let error = asked(&mut tpm, &records, &mut Script::default()).map(drop);
    assert!(matches!(error, Err(UnsealError::NoPin(_))));
    let error = unseal(&mut tpm, &records, requiring(Require::TpmAndPin)).unwrap();
    assert!(matches!(error.released, Err(UnsealError::NoPin(_))));
    assert_eq!(tpm.lockout().unwrap().failed, 0);
}

/// The attack of a stolen PIN: other software, or another machine.
#[test]
fn in_another_launch_and_behind_the_latch_nobody_is_asked() {
    let mut tpm = launched(1, 2);
    let (secret, key) = (secret(), key(PIN));
    let records = [record(&mut tpm, &secret, Some(&key))];
    tpm.reboot();
    let mut script = Script::of(&[PIN]);
    launch(&mut tpm, 9);
    let error = asked(&mut tpm, &records, &mut script).map(drop);
    assert!(matches!(error, Err(UnsealError::NotApproved { .. })));
    tpm.reboot();
    launch(&mut tpm, 2);
    close_latch(&mut tpm, &KnownTpms::one("/none", false)).unwrap();
    let error = asked(&mut tpm, &records, &mut script).map(drop);
    assert!(matches!(error, Err(UnsealError::LatchClosed)));
    assert!(script.said.is_empty());
    // Nor does the PIN help with another TPM, in the same launch.
    let mut other = launched(2, 2);
    let error = asked(&mut other, &records, &mut script).map(drop);
    assert!(matches!(
        error,
        Err(UnsealError::Tpm(TpmError::WrongSrk { .. }))
    ));
}

/// The attack of a stolen disk whose records are from before the PIN: genuine, for this very launch.
#[test]
fn a_genuine_record_without_a_pin_opens_nothing_where_one_is_required() {
    let mut tpm = launched(1, 2);
    let secret = secret();
    let records = [record(&mut tpm, &secret, None)];
    let mut script = Script::of(&[PIN]);
    let error = asked(&mut tpm, &records, &mut script)
        .map(drop)
        .unwrap_err();
    assert!(matches!(error, UnsealError::RecordWithoutPin), "{error}");
    assert!(error.to_string().contains("enroll --pin"), "{error}");
    assert!(script.said.is_empty());
    // Beside one with a PIN it is not used either.
    let with = record(&mut tpm, &secret, Some(&key(PIN)));
    let both = [records[0].clone(), with];
    let error = asked(
        &mut tpm,
        &both,
        &mut Script::of(&["wrong 1", "wrong 2", "wrong 3"]),
    );
    assert!(matches!(
        error.map(drop),
        Err(UnsealError::WrongPins { .. })
    ));
}

#[test]
fn a_record_with_a_pin_needs_an_image_that_asks_for_one() {
    let mut tpm = launched(1, 2);
    let secret = secret();
    let with = record(&mut tpm, &secret, Some(&key(PIN)));
    let mut script = Script::of(&[PIN]);
    let tpm_alone = requiring(Require::Tpm);
    let records = [with.clone()];
    let answer = unseal_asking(&mut tpm, &records, tpm_alone, &mut script).unwrap();
    let error = answer.released.map(drop).unwrap_err();
    assert!(matches!(error, UnsealError::PinNotRequired), "{error}");
    // Another of the same launch does without.
    let both = [with, record(&mut tpm, &secret, None)];
    let answer = unseal_asking(&mut tpm, &both, tpm_alone, &mut script).unwrap();
    assert!(answer.released.unwrap().1.pin().is_none());
    assert!(script.said.is_empty());
}

/// The attack of a downgraded record: somebody strikes the PIN from it, or puts one in.
#[test]
fn a_record_whose_pin_was_struck_out_or_exchanged_opens_nothing() {
    let mut tpm = launched(1, 2);
    let (secret, own) = (secret(), key(PIN));
    let token = record(&mut tpm, &secret, Some(&own));
    let token = token.record().to_token().unwrap();
    let changed = |pin: Option<serde_json::Value>| {
        let mut token = token.clone();
        match pin {
            Some(pin) => token["pin"] = pin,
            None => drop(token.as_object_mut().unwrap().remove("pin")),
        }
        EnrolledRecord::from_token(&token).map(|record| SealedRecord::literal(record).unwrap())
    };
    // Struck out: neither kind of image takes it.
    let struck = [changed(None).unwrap()];
    let error = asked(&mut tpm, &struck, &mut Script::of(&[PIN])).map(drop);
    assert!(matches!(error, Err(UnsealError::RecordWithoutPin)));
    let error = unseal(&mut tpm, &struck, requiring(Require::Tpm)).unwrap();
    let error = error.released.map(drop).unwrap_err();
    assert!(error.to_string().contains("sealed with a PIN"), "{error}");
    // Another salt: the PIN leads to another value.
    let other = serde_json::json!("A".repeat(43) + "=");
    let exchanged = [changed(Some(other)).unwrap()];
    let error = asked(&mut tpm, &exchanged, &mut Script::of(&[PIN])).map(drop);
    assert!(matches!(error, Err(UnsealError::NoPin(_))));
    assert_eq!(tpm.lockout().unwrap().failed, 1);
    for junk in [
        serde_json::json!(""),
        serde_json::json!("AAAA"),
        serde_json::json!(7),
    ] {
        let error = changed(Some(junk)).map(drop).unwrap_err();
        assert!(matches!(error, RecordError::Damaged(_)), "{error}");
    }
}

/// A record by somebody who does not know the PIN, with a secret of his own.
#[test]
fn a_record_that_was_not_sealed_with_the_pin_opens_nothing_although_the_tpm_gives_it() {
    let mut tpm = launched(1, 2);
    let (secret, own) = (secret(), key(PIN));
    let mut parts = parts(&mut tpm, &secret, Some(&own), 1);
    let auth = own.auth_value().unwrap();
    let plain = secret.to_bytes();
    parts.sealed = tpm
        .seal_with_auth(plain.as_slice(), &parts.policy, None, &auth)
        .unwrap();
    let records = [genuine(parts, &secret)];
    let error = asked(&mut tpm, &records, &mut Script::of(&[PIN])).map(drop);
    assert!(matches!(error, Err(UnsealError::NotOfThisPin)));
}

#[test]
fn a_wrong_pin_counts_once_however_many_records_there_are_and_a_damaged_one_is_passed_over() {
    let mut tpm = launched(1, 2);
    let (secret, own) = (secret(), key(PIN));
    let of = |tpm: &mut SimulatedTpm, created| {
        genuine(parts(tpm, &secret, Some(&own), created), &secret)
    };
    let records = [of(&mut tpm, 1), of(&mut tpm, 3), of(&mut tpm, 2)];
    let mut script = Script::of(&["wrong horse", PIN]);
    let (_, used) = asked(&mut tpm, &records, &mut script).unwrap();
    assert_eq!(used.label(), "3");
    assert_eq!(tpm.lockout().unwrap().failed, 1);
    tpm.fail_next(Call::Unseal, TpmError::BadParameter("broken".into()));
    let (_, used) = asked(&mut tpm, &records, &mut Script::of(&[PIN])).unwrap();
    assert_eq!(used.label(), "2");
}

#[test]
fn while_a_pin_is_changed_either_opens_and_a_wrong_one_counts_twice_at_most() {
    let mut tpm = launched(1, 2);
    let (secret, old, new) = (secret(), key(PIN), key("another horse"));
    let records = [
        genuine(parts(&mut tpm, &secret, Some(&old), 1), &secret),
        genuine(parts(&mut tpm, &secret, Some(&new), 1), &secret),
    ];
    let opens = |tpm: &mut SimulatedTpm, records: &[SealedRecord], pin: &'static str| {
        asked(tpm, records, &mut Script::of(&[pin])).is_ok()
    };
    assert!(opens(&mut tpm, &records, PIN));
    assert_eq!(tpm.lockout().unwrap().failed, 0);
    assert!(opens(&mut tpm, &records, "another horse"));
    assert_eq!(tpm.lockout().unwrap().failed, 1);
    // However many salts somebody puts into the header. (The TPM locks itself at three.)
    tpm.clear_lockout();
    let mut many: Vec<SealedRecord> = Vec::new();
    for created in 0..6 {
        let other = key("of somebody else");
        many.push(genuine(
            parts(&mut tpm, &secret, Some(&other), created),
            &secret,
        ));
    }
    assert!(!opens(&mut tpm, &many, PIN));
    assert_eq!(tpm.lockout().unwrap().failed, 2);
}

#[test]
fn the_pin_of_a_record_is_authenticated_and_read_back() {
    let mut tpm = launched(1, 2);
    let (secret, own) = (secret(), key(PIN));
    let made = record(&mut tpm, &secret, Some(&own));
    let token = made.record().to_token().unwrap();
    let read = EnrolledRecord::from_token(&token).unwrap();
    assert_eq!(read.parts().pin.as_ref(), Some(own.salt()));
    read.verify_mac(secret.volume()).unwrap();
    let mut parts = read.parts().clone();
    parts.pin = None;
    let without = EnrolledRecord::new(parts, secret.volume()).unwrap();
    assert_ne!(without.to_token().unwrap()["mac"], token["mac"]);
}
