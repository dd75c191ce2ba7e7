//! An authorization value beside the policy: both are needed, wrong ones count, and the value does not
//! cross the bus.

use crate::machine::{LAUNCH, Machine, OTHER_LAUNCH, bus::Bus, launch_policy};
use tpm::{Approval, AuthPolicy, AuthValue, Tpm, Tpm2, TpmError, with_auth_value};

const SECRET: &[u8] = b"thirty-two bytes of boot secret!";
const RIGHT: [u8; 32] = *b"the right authorization value ..";

fn value(bytes: &[u8]) -> AuthValue {
    AuthValue::new(bytes).unwrap()
}

fn policy() -> AuthPolicy {
    launch_policy(LAUNCH).into()
}

fn approval() -> Approval {
    launch_policy(LAUNCH).into()
}

#[test]
fn a_wrong_value_counts_and_the_right_one_opens() {
    let machine = Machine::launched();
    let mut tpm = machine.open();
    // Zeros at the end are none for the TPM.
    for right in [&RIGHT[..], b"short", b"zeros\0\0\0"] {
        let sealed = tpm
            .seal_with_auth(SECRET, &policy(), None, &value(right))
            .unwrap();
        assert_eq!(
            *tpm.unseal_with_auth(&sealed, &approval(), Some(&sealed.parent), &value(right))
                .unwrap(),
            SECRET
        );
    }
    let sealed = tpm
        .seal_with_auth(SECRET, &policy(), None, &value(&RIGHT))
        .unwrap();
    assert_eq!(tpm.lockout().unwrap().failed, 0);
    let error = tpm
        .unseal_with_auth(&sealed, &approval(), None, &value(b"wrong"))
        .unwrap_err();
    assert!(
        matches!(error, TpmError::WrongAuthValue { code: 0x98e }),
        "{error:?}"
    );
    assert_eq!(tpm.lockout().unwrap().failed, 1);
    machine.assert_nothing_loaded();
    assert_eq!(
        *tpm.unseal_with_auth(&sealed, &approval(), None, &value(&RIGHT))
            .unwrap(),
        SECRET
    );
}

#[test]
fn after_too_many_wrong_values_the_right_one_is_refused_with_the_time_to_wait() {
    let mut machine = Machine::launched();
    let mut tpm = machine.open();
    let sealed = tpm
        .seal_with_auth(SECRET, &policy(), None, &value(&RIGHT))
        .unwrap();
    let most = tpm.lockout().unwrap().most;
    for _ in 0..most {
        let error = tpm
            .unseal_with_auth(&sealed, &approval(), None, &value(b"wrong"))
            .unwrap_err();
        assert!(
            matches!(error, TpmError::WrongAuthValue { .. }),
            "{error:?}"
        );
    }
    drop(tpm);
    // A restart does not help.
    machine.reboot_launched(LAUNCH);
    let error = machine
        .open()
        .unseal_with_auth(&sealed, &approval(), None, &value(&RIGHT))
        .unwrap_err();
    let TpmError::LockedOut {
        lockout: Some(lockout),
    } = error
    else {
        panic!("{error:?}");
    };
    assert!(lockout.locked && lockout.left() == 0);
    let text = error.to_string();
    assert!(text.contains(&format!("{most} of {most}")), "{text}");
    assert!(text.contains("16 min 40 s"), "{text}");
    machine.assert_nothing_loaded();
}

#[test]
fn in_another_launch_the_right_value_is_worth_nothing_and_no_value_counts() {
    let mut machine = Machine::launched();
    let sealed = machine
        .open()
        .seal_with_auth(SECRET, &policy(), None, &value(&RIGHT))
        .unwrap();
    machine.reboot_launched(OTHER_LAUNCH);
    let mut tpm = machine.open();
    for tried in [&RIGHT[..], b"wrong"] {
        for shown in [LAUNCH, OTHER_LAUNCH] {
            let error = tpm
                .unseal_with_auth(&sealed, &launch_policy(shown).into(), None, &value(tried))
                .unwrap_err();
            assert!(matches!(error, TpmError::PolicyFailed { .. }), "{error:?}");
        }
    }
    assert_eq!(tpm.lockout().unwrap().failed, 0);
}

#[test]
fn what_is_sealed_with_a_value_is_not_opened_without_and_the_other_way_round() {
    let machine = Machine::launched();
    let mut tpm = machine.open();
    let with = tpm
        .seal_with_auth(SECRET, &policy(), None, &value(&RIGHT))
        .unwrap();
    let without = tpm.seal(SECRET, &policy(), None).unwrap();
    for (error, words) in [
        (tpm.unseal(&with, &approval(), None), "with a PIN"),
        (
            tpm.unseal_with_auth(&without, &approval(), None, &value(&RIGHT)),
            "without a PIN",
        ),
    ] {
        let error = error.unwrap_err();
        assert!(
            matches!(error, TpmError::NotOurs { code: 0, .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains(words), "{error}");
    }
    // A blob that is made to look like the other kind is none for the TPM itself.
    let mut forged = with;
    forged.public[8] |= 0x04;
    let error = tpm.unseal(&forged, &approval(), None).unwrap_err();
    assert!(
        matches!(error, TpmError::NotOurs { code, .. } if code != 0),
        "{error:?}"
    );
    assert_eq!(tpm.lockout().unwrap().failed, 0);
}

#[test]
fn neither_the_value_nor_the_secret_crosses_the_bus_in_the_clear() {
    let machine = Machine::launched();
    let bus = Bus::before(machine.swtpm.port());
    let mut tpm = Tpm2::open(&bus.tcti()).unwrap();
    let sealed = tpm
        .seal_with_auth(SECRET, &policy(), None, &value(&RIGHT))
        .unwrap();
    tpm.unseal_with_auth(&sealed, &approval(), None, &value(&RIGHT))
        .unwrap();
    let traffic = bus.traffic();
    let contains = |part: &[u8]| traffic.bytes.windows(part.len()).any(|bytes| bytes == part);
    // That something was overheard at all.
    assert!(contains(&sealed.private[2..]));
    assert!(contains(&with_auth_value(policy().digest())));
    assert!(!contains(&RIGHT[..8]) && !contains(&SECRET[..8]));
}

#[test]
fn a_session_that_the_tpm_refuses_for_the_librarys_sake_is_no_wrong_value() {
    let machine = Machine::launched();
    let bus = Bus::before(machine.swtpm.port());
    let mut tpm = Tpm2::open(&bus.tcti()).unwrap();
    let sealed = tpm
        .seal_with_auth(SECRET, &policy(), None, &value(&RIGHT))
        .unwrap();
    bus.traffic().spoil_random = 2;
    assert_eq!(
        *tpm.unseal_with_auth(&sealed, &approval(), None, &value(&RIGHT))
            .unwrap(),
        SECRET
    );
    assert!(bus.traffic().refused >= 2);
    assert_eq!(tpm.lockout().unwrap().failed, 0);
}

/// What README and SECURITY say of a power cut.
#[test]
fn a_power_cut_after_a_value_was_used_counts_as_a_wrong_one_and_a_shutdown_does_not() {
    let mut machine = Machine::launched();
    let sealed = machine
        .open()
        .seal_with_auth(SECRET, &policy(), None, &value(&RIGHT))
        .unwrap();
    let open = |machine: &Machine| {
        let mut tpm = machine.open();
        tpm.unseal_with_auth(&sealed, &approval(), None, &value(&RIGHT))
            .unwrap();
        tpm.lockout().unwrap().failed
    };
    assert_eq!(open(&machine), 0);
    machine.reboot_launched(LAUNCH);
    assert_eq!(open(&machine), 0);
    machine.swtpm.cut_power().unwrap();
    assert_eq!(machine.open().lockout().unwrap().failed, 1);
    // Nothing was used: it does not count once more.
    machine.swtpm.cut_power().unwrap();
    assert_eq!(machine.open().lockout().unwrap().failed, 1);
}
