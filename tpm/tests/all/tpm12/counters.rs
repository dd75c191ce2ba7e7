//! Monotonic counters.

use tpm::{
    TpmError,
    tpm12::{ReturnCode, Secret},
};

use super::{Machine12, Wire, code, owner};

#[test]
fn a_counter_only_grows_over_boots_and_over_its_own_release() {
    let mut machine = Machine12::new();
    let own = Secret::from_password(b"the counter's");
    let mut tpm = machine.open();
    assert_eq!(
        code(tpm.counter_create(&own, *b"tao1", &own)),
        ReturnCode::AUTH_FAIL
    );
    let (handle, first) = tpm.counter_create(&owner(), *b"tao1", &own).unwrap();
    assert_eq!(first.label, *b"tao1");
    assert_eq!(
        code(tpm.counter_increment(handle, &owner())),
        ReturnCode::AUTH_FAIL
    );
    let second = tpm.counter_increment(handle, &own).unwrap();
    assert_eq!(second.value, first.value + 1);
    assert_eq!(tpm.counter_read(handle).unwrap(), second);
    drop(tpm);
    machine.swtpm.reboot().unwrap();
    let mut tpm = machine.open();
    assert_eq!(tpm.counter_read(handle).unwrap(), second);
    assert_eq!(
        code(tpm.counter_release(handle, &owner())),
        ReturnCode::AUTH_FAIL
    );
    tpm.counter_release(handle, &own).unwrap();
    assert_eq!(code(tpm.counter_read(handle)), ReturnCode::BAD_COUNTER);
    let (handle, third) = tpm.counter_create(&owner(), *b"tao2", &own).unwrap();
    assert!(third.value > second.value);
    tpm.counter_release_as_owner(handle, &owner()).unwrap();
    assert_eq!(code(tpm.counter_read(handle)), ReturnCode::BAD_COUNTER);
}

#[test]
fn a_counter_that_is_read_in_a_transport_session_is_not_another_ones_number() {
    let machine = Machine12::new();
    let own = Secret::from_password(b"the counter's");
    let (handle, first) = machine
        .open()
        .counter_create(&owner(), *b"tao1", &own)
        .unwrap();
    let wire = Wire::default();
    let mut tpm = machine.behind(&wire);
    let read = tpm.within(|tpm| tpm.counter_read(handle));
    assert_eq!(read.unwrap(), first);
    wire.lock().unwrap().forger = Some(Box::new(|command, tpm| {
        let mut answer = tpm.transmit(command).unwrap();
        let counter = answer.len().checked_sub(42)?;
        answer[counter] ^= 1;
        Some(answer)
    }));
    let error = tpm.within(|tpm| tpm.counter_read(handle)).unwrap_err();
    assert!(matches!(error, TpmError::ForgedAnswer { .. }), "{error:?}");
}
