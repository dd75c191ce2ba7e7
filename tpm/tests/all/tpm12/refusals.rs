//! Secrets that are wrong, and a TPM that is busy.

use tpm::{
    Bank, PcrSet, Tpm,
    tpm12::{KeyUsage, Resource, ReturnCode, Secret},
};

use super::{Machine12, Wire, code, ordinal, owner, sha1};

#[test]
fn each_wrong_secret_is_refused_and_leaves_no_session() {
    let machine = Machine12::new();
    let mut tpm = machine.open();
    let wrong = Secret::from_password(b"wrong");
    let label = sha1(&[b"x"]);
    assert_eq!(code(tpm.owner_flags(&wrong)), ReturnCode::AUTH_FAIL);
    assert_eq!(
        code(tpm.create_key(&wrong, KeyUsage::Storage, &wrong)),
        ReturnCode::AUTH_FAIL
    );
    assert_eq!(
        code(tpm.make_identity(&wrong, &owner(), &label, &wrong)),
        ReturnCode::AUTH_FAIL
    );
    assert!(tpm.handles(Resource::Session).unwrap().is_empty());
}

/// Busy, testing itself, and wanting to be tested: each of them once before every answer.
#[test]
fn a_tpm_that_is_busy_is_asked_again() {
    const CONTINUE_SELF_TEST: u32 = 0x53;
    let machine = Machine12::launched();
    let wire = Wire::default();
    let mut said = 0u8;
    wire.lock().unwrap().forger = Some(Box::new(move |command, _| {
        if ordinal(command) == CONTINUE_SELF_TEST {
            return None;
        }
        said = (said + 1) % 4;
        let code = said.checked_sub(1)?;
        Some(vec![0, 0xc4, 0, 0, 0, 10, 0, 0, 8, code])
    }));
    let values = machine.behind(&wire).pcr_read(Bank::Sha1, PcrSet::LAUNCH);
    assert_eq!(values.unwrap().set(), PcrSet::LAUNCH);
    let tested = |command: &&u32| **command == CONTINUE_SELF_TEST;
    assert!(wire.lock().unwrap().commands.iter().filter(tested).count() >= 5);
    let left = machine.open().handles(Resource::Session).unwrap();
    assert!(left.is_empty(), "{left:x?}");
}
