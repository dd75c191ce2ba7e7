//! A secret is released for the launch it was sealed to, by the TPM it was sealed to, and for
//! nothing else.

use crate::machine::{Machine, OTHER_LAUNCH, launch_policy};
use tpm::{Bank, Name, PcrIndex, PcrSet, Sealed, Tpm, TpmError};

const SECRET: &[u8] = b"thirty-two bytes of boot secret!";

#[test]
fn the_predicted_launch_opens_the_secret() {
    let machine = Machine::launched();
    let policy = launch_policy(crate::machine::LAUNCH);
    let mut tpm = machine.open();
    let found = tpm.pcr_read(Bank::Sha256, policy.pcrs()).unwrap();
    assert_eq!(
        &found,
        policy.values(),
        "the prediction is what the TPM shows"
    );
    let sealed = tpm.seal(SECRET, &policy.clone().into(), None).unwrap();
    assert_eq!(
        *tpm.unseal(&sealed, &policy.clone().into(), None).unwrap(),
        SECRET
    );
    assert_eq!(
        *tpm.unseal(&sealed, &policy.clone().into(), Some(&sealed.parent))
            .unwrap(),
        SECRET
    );
}

#[test]
fn a_secret_survives_a_reboot_with_the_same_launch() {
    let mut machine = Machine::new();
    let policy = launch_policy(crate::machine::LAUNCH);
    // Sealed on a machine that was not launched: the policy is a prediction.
    let sealed = machine
        .open()
        .seal(SECRET, &policy.clone().into(), None)
        .unwrap();
    machine.reboot_launched(crate::machine::LAUNCH);
    assert_eq!(
        *machine
            .open()
            .unseal(&sealed, &policy.clone().into(), None)
            .unwrap(),
        SECRET
    );
}

#[test]
fn without_a_launch_the_secret_stays_sealed() {
    let machine = Machine::new();
    let mut tpm = machine.open();
    let policy = launch_policy(crate::machine::LAUNCH);
    let sealed = tpm.seal(SECRET, &policy.clone().into(), None).unwrap();
    let found = tpm.pcr_read(Bank::Sha256, PcrSet::LAUNCH).unwrap();
    assert!(
        found.iter().all(|(_, value)| value == [0xff; 32]),
        "{found:?}"
    );
    assert_policy_failed(tpm.unseal(&sealed, &policy.clone().into(), None));
}

#[test]
fn another_launch_does_not_open_the_secret() {
    let mut machine = Machine::new();
    let policy = launch_policy(crate::machine::LAUNCH);
    let sealed = machine
        .open()
        .seal(SECRET, &policy.clone().into(), None)
        .unwrap();
    machine.reboot_launched(OTHER_LAUNCH);
    assert_policy_failed(machine.open().unseal(&sealed, &policy.clone().into(), None));
    // Nor when the record is changed to name the values that this launch has: then only the
    // TPM knows better, and says so when the object is used.
    let lie = launch_policy(OTHER_LAUNCH);
    let error = machine
        .open()
        .unseal(&sealed, &lie.clone().into(), None)
        .unwrap_err();
    assert!(
        matches!(error, TpmError::PolicyFailed { code: 0x99d }),
        "{error:?}"
    );
}

#[test]
fn the_latch_closes_the_secret() {
    let machine = Machine::launched();
    let policy = launch_policy(crate::machine::LAUNCH);
    let mut tpm = machine.open();
    let sealed = tpm.seal(SECRET, &policy.clone().into(), None).unwrap();
    tpm.unseal(&sealed, &policy.clone().into(), None).unwrap();
    tpm.pcr_event(PcrIndex::LATCH, b"closed").unwrap();
    assert_policy_failed(tpm.unseal(&sealed, &policy.clone().into(), None));
}

#[test]
fn another_tpm_is_named_as_such() {
    let policy = launch_policy(crate::machine::LAUNCH);
    let (one, other) = (Machine::launched(), Machine::launched());
    let sealed = one
        .open()
        .seal(SECRET, &policy.clone().into(), None)
        .unwrap();
    let error = other
        .open()
        .unseal(&sealed, &policy.clone().into(), None)
        .unwrap_err();
    let TpmError::WrongSrk { expected, found } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*expected, sealed.parent);
    assert_eq!(*found, other.open().srk().unwrap().name);
    // Renaming the parent does not help: the blob is not that TPM's.
    let renamed = Sealed {
        parent: found.clone(),
        ..sealed
    };
    let error = other
        .open()
        .unseal(&renamed, &policy.clone().into(), None)
        .unwrap_err();
    assert!(
        matches!(error, TpmError::NotOurs { code: 0x1df, .. }),
        "{error:?}"
    );
}

#[test]
fn a_record_under_another_key_than_the_pinned_one_is_refused() {
    let machine = Machine::launched();
    let policy = launch_policy(crate::machine::LAUNCH);
    let mut tpm = machine.open();
    let sealed = tpm.seal(SECRET, &policy.clone().into(), None).unwrap();
    let pinned = Name::from_bytes(&[&[0, 0x0b][..], &[7; 32]].concat()).unwrap();
    let error = tpm
        .unseal(&sealed, &policy.clone().into(), Some(&pinned))
        .unwrap_err();
    assert!(matches!(error, TpmError::NotOurs { .. }), "{error:?}");
    assert!(error.to_string().contains(&pinned.to_string()), "{error}");
}

#[test]
fn secrets_from_1_to_128_bytes_fit_and_no_others() {
    let machine = Machine::launched();
    let policy = launch_policy(crate::machine::LAUNCH);
    let mut tpm = machine.open();
    for length in [1, 32, 127, 128] {
        let secret = vec![0xa5; length];
        let sealed = tpm.seal(&secret, &policy.clone().into(), None).unwrap();
        assert_eq!(
            *tpm.unseal(&sealed, &policy.clone().into(), None).unwrap(),
            secret
        );
    }
    for length in [0, 129, 5000] {
        let error = tpm
            .seal(&vec![0; length], &policy.clone().into(), None)
            .unwrap_err();
        assert!(matches!(error, TpmError::BadParameter(_)), "{error:?}");
    }
}

#[test]
fn nothing_stays_loaded_after_50_seals_unseals_and_failures() {
    let machine = Machine::launched();
    let (right, wrong) = (
        launch_policy(crate::machine::LAUNCH),
        launch_policy(OTHER_LAUNCH),
    );
    let mut tpm = machine.open();
    for round in 0..50 {
        let sealed = tpm.seal(SECRET, &right.clone().into(), None).unwrap();
        tpm.unseal(&sealed, &right.clone().into(), None).unwrap();
        assert_policy_failed(tpm.unseal(&sealed, &wrong.clone().into(), None));
        let mut damaged = sealed;
        let middle = damaged.private.len() / 2;
        damaged.private[middle] ^= 1;
        let error = tpm
            .unseal(&damaged, &right.clone().into(), None)
            .unwrap_err();
        assert!(
            matches!(error, TpmError::NotOurs { .. }),
            "{round}: {error:?}"
        );
    }
    machine.assert_nothing_loaded();
}

fn assert_policy_failed<T>(result: Result<T, TpmError>) {
    match result {
        Ok(_) => panic!("the secret was released"),
        Err(TpmError::PolicyFailed { .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
}
