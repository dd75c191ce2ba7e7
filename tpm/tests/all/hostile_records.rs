//! A sealed record comes from a disk that anyone may write: whatever is in it, the answer is
//! an error, never a panic, and nothing stays loaded.

use std::cell::RefCell;

use crate::machine::{LAUNCH, Machine, launch_policy};
use proptest::{prelude::*, test_runner::TestRunner};
use tpm::{Sealed, Tpm, TpmError};

const SECRET: &[u8] = b"thirty-two bytes of boot secret!";

#[test]
fn random_bytes_are_refused() {
    let machine = Machine::launched();
    let tpm = RefCell::new(machine.open());
    let policy = launch_policy(LAUNCH);
    let parent = tpm.borrow_mut().srk().unwrap().name;
    let bytes = || proptest::collection::vec(any::<u8>(), 0..3000);
    let config = ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..Default::default()
    };
    TestRunner::new(config)
        .run(&(bytes(), bytes()), |(public, private)| {
            let record = Sealed {
                public,
                private,
                parent: parent.clone(),
            };
            let error = tpm
                .borrow_mut()
                .unseal(&record, &policy.clone().into(), None)
                .unwrap_err();
            prop_assert!(matches!(error, TpmError::NotOurs { .. }), "{:?}", error);
            Ok(())
        })
        .unwrap();
    machine.assert_nothing_loaded();
}

#[test]
fn every_flipped_bit_of_a_real_record_is_noticed() {
    let machine = Machine::launched();
    let mut tpm = machine.open();
    let policy = launch_policy(LAUNCH);
    let sealed = tpm.seal(SECRET, &policy.clone().into(), None).unwrap();
    for bit in 0..8 * sealed.public.len() {
        let mut record = sealed.clone();
        record.public[bit / 8] ^= 1 << (bit % 8);
        let error = tpm
            .unseal(&record, &policy.clone().into(), None)
            .unwrap_err();
        assert!(
            matches!(error, TpmError::NotOurs { .. }),
            "public bit {bit}: {error:?}"
        );
    }
    // The private part: one bit of each byte.
    for byte in 0..sealed.private.len() {
        let mut record = sealed.clone();
        record.private[byte] ^= 1 << (byte % 8);
        let error = tpm
            .unseal(&record, &policy.clone().into(), None)
            .unwrap_err();
        assert!(
            matches!(error, TpmError::NotOurs { .. }),
            "private byte {byte}: {error:?}"
        );
    }
    machine.assert_nothing_loaded();
    assert_eq!(
        *tpm.unseal(&sealed, &policy.clone().into(), None).unwrap(),
        SECRET
    );
}

#[test]
fn cut_and_lengthened_records_are_refused() {
    let machine = Machine::launched();
    let mut tpm = machine.open();
    let policy = launch_policy(LAUNCH);
    let sealed = tpm.seal(SECRET, &policy.clone().into(), None).unwrap();
    for length in 0..sealed.private.len() {
        // The length field is made to fit, so that it is the TPM that must notice.
        let mut private = sealed.private[..length].to_vec();
        if let Some(head) = private.get_mut(..2) {
            head.copy_from_slice(&u16::try_from(length - 2).unwrap().to_be_bytes());
        }
        let record = Sealed {
            private,
            ..sealed.clone()
        };
        let error = tpm
            .unseal(&record, &policy.clone().into(), None)
            .unwrap_err();
        assert!(
            matches!(error, TpmError::NotOurs { .. }),
            "{length} bytes: {error:?}"
        );
    }
    let record = Sealed {
        private: [&sealed.private[..], &[0]].concat(),
        ..sealed
    };
    assert!(matches!(
        tpm.unseal(&record, &policy.clone().into(), None),
        Err(TpmError::NotOurs { .. })
    ));
    machine.assert_nothing_loaded();
}
