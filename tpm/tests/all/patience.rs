//! TPMs as people have them: busy, testing themselves, limiting writes; with an owner's or maker's keys and
//! passwords in place. What works elsewhere works there, or one sentence says what to do.

use std::process::Command;

use crate::machine::{LAUNCH, Machine, bus::Bus, command, launch_policy};
use tpm::{AuthPolicy, Bank, PcrIndex, PcrSet, Sealed, Tpm, Tpm2, TpmError};

const SECRET: &[u8] = b"thirty-two bytes of boot secret!";
const COUNTER: u32 = 0x0180_0a11;

const CONTEXT_LOAD: u32 = 0x0161;
const CONTEXT_SAVE: u32 = 0x0162;

const RC_YIELDED: u32 = 0x908;
const RC_TESTING: u32 = 0x90a;
const RC_NV_RATE: u32 = 0x920;
const RC_RETRY: u32 = 0x922;

fn code(command: &[u8]) -> u32 {
    u32::from_be_bytes(command[6..10].try_into().unwrap())
}

/// What a boot, an enrolment and a host ask of a TPM.
fn work(tpm: &mut Tpm2, sealed: &Sealed) -> Result<(), TpmError> {
    let policy: AuthPolicy = launch_policy(LAUNCH).into();
    tpm.pcr_read(Bank::Sha256, PcrSet::LAUNCH)?;
    assert_eq!(
        *tpm.unseal(sealed, &launch_policy(LAUNCH).into(), None)?,
        SECRET
    );
    tpm.seal(SECRET, &policy, Some(&sealed.parent))?;
    tpm.pcr_event_read(PcrIndex::try_from(16).unwrap(), b"event", Bank::Sha256)?;
    tpm.rollback_counter_value(COUNTER)?;
    tpm.rollback_counter_raise(COUNTER, b"")?;
    tpm.quote(b"nonce", Bank::Sha256, PcrSet::LAUNCH)?;
    Ok(())
}

/// A machine on which [`work`] is possible, and a secret.
fn machine() -> (Machine, Sealed) {
    let machine = Machine::launched();
    let mut tpm = machine.open();
    let sealed = tpm.seal(SECRET, &launch_policy(LAUNCH).into(), None);
    tpm.rollback_counter_create(COUNTER, b"").unwrap();
    (machine, sealed.unwrap())
}

/// Answers the first `times` commands of this kind with a response code.
fn answer_first(bus: &Bus, wanted: u32, times: u32, response: u32) {
    let mut left = times;
    bus.traffic().forger = Some(Box::new(move |command| {
        let refuses = code(command) == wanted && left > 0;
        left -= u32::from(refuses);
        refuses.then(|| [&[0x80, 1, 0, 0, 0, 10][..], &response.to_be_bytes()].concat())
    }));
}

/// Each kind of command that the work needs.
fn kinds(bus: &Bus, sealed: &Sealed) -> Vec<u32> {
    bus.traffic().commands.clear();
    work(&mut Tpm2::open(&bus.tcti()).unwrap(), sealed).unwrap();
    let mut kinds = bus.traffic().commands.clone();
    kinds.sort_unstable();
    kinds.dedup();
    assert!(kinds.len() > 12, "{kinds:x?}");
    kinds
}

#[test]
fn a_busy_tpm_is_asked_again_whatever_it_was_asked() {
    let (machine, sealed) = machine();
    let bus = Bus::before(machine.swtpm.port());
    for kind in kinds(&bus, &sealed) {
        for response in [RC_RETRY, RC_YIELDED, RC_TESTING] {
            answer_first(&bus, kind, 2, response);
            let opened = Tpm2::open(&bus.tcti());
            let done = opened.and_then(|mut tpm| work(&mut tpm, &sealed));
            assert!(done.is_ok(), "{kind:x} {response:x}: {done:?}");
            machine.assert_nothing_loaded();
        }
    }
}

#[test]
fn a_tpm_that_never_gets_ready_is_named_as_busy_and_keeps_nothing() {
    let (machine, sealed) = machine();
    let bus = Bus::before(machine.swtpm.port());
    for kind in kinds(&bus, &sealed) {
        answer_first(&bus, kind, u32::MAX, RC_RETRY);
        let opened = Tpm2::open(&bus.tcti());
        let error = opened.and_then(|mut tpm| work(&mut tpm, &sealed));
        bus.traffic().forger = None;
        // A key that cannot be saved, or loaded again, is derived each time.
        match error {
            Ok(()) => assert!([CONTEXT_LOAD, CONTEXT_SAVE].contains(&kind), "{kind:x}"),
            Err(error) => assert!(error.to_string().contains("busy"), "{kind:x}: {error}"),
        }
        machine.forget_everything();
    }
}

/// Only writes are limited.
#[test]
fn a_tpm_that_limits_writes_is_named_as_such_and_keeps_its_counter() {
    const INCREMENT: u32 = 0x0134;
    let (machine, sealed) = machine();
    let bus = Bus::before(machine.swtpm.port());
    let value = machine.open().rollback_counter_value(COUNTER).unwrap();
    answer_first(&bus, INCREMENT, u32::MAX, RC_NV_RATE);
    let error = work(&mut Tpm2::open(&bus.tcti()).unwrap(), &sealed).unwrap_err();
    assert!(error.to_string().contains("wait a minute"), "{error}");
    machine.assert_nothing_loaded();
    assert_eq!(
        machine.open().rollback_counter_value(COUNTER).unwrap(),
        value
    );
}

/// Debian's tools with this TPM.
fn tpm2_tools(machine: &Machine, script: &str) {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new("sh")
        .args(["-ec", script])
        .env("TPM2TOOLS_TCTI", machine.tcti())
        .current_dir(directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{script}: {said}");
    machine.forget_everything();
}

/// As Windows, or another distribution's tools, left it.
#[test]
fn another_systems_rsa_storage_key_at_the_reserved_handle_is_used() {
    let machine = Machine::launched();
    let derived = machine.open().srk().unwrap();
    tpm2_tools(
        &machine,
        "tpm2_createprimary -Q -C o -G rsa2048 -c key; tpm2_evictcontrol -Q -C o -c key 0x81000001",
    );
    let mut tpm = machine.open();
    let srk = tpm.srk().unwrap();
    assert_eq!(srk.persistent, Some(0x8100_0001));
    assert_ne!(srk.name, derived.name);
    let policy: AuthPolicy = launch_policy(LAUNCH).into();
    let sealed = tpm.seal(SECRET, &policy, Some(&srk.name)).unwrap();
    assert_eq!(sealed.parent, srk.name);
    let unsealed = tpm
        .unseal(&sealed, &launch_policy(LAUNCH).into(), Some(&srk.name))
        .unwrap();
    assert_eq!(*unsealed, SECRET);
    machine.assert_nothing_loaded();
}

/// What lies there is somebody's signing key: the derived key is used, and that one stays.
#[test]
fn a_key_at_the_reserved_handle_that_stores_nothing_is_passed_over() {
    let machine = Machine::launched();
    let derived = machine.open().srk().unwrap();
    tpm2_tools(
        &machine,
        "tpm2_createprimary -Q -C o -G ecc256:ecdsa-sha256:null -c key \
         -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign'; \
         tpm2_evictcontrol -Q -C o -c key 0x81000001",
    );
    let mut tpm = machine.open();
    assert_eq!(tpm.srk().unwrap(), derived);
    let policy: AuthPolicy = launch_policy(LAUNCH).into();
    let sealed = tpm.seal(SECRET, &policy, None).unwrap();
    assert_eq!(
        *tpm.unseal(&sealed, &launch_policy(LAUNCH).into(), None)
            .unwrap(),
        SECRET
    );
    let error = tpm.persist_srk().unwrap_err().to_string();
    assert!(error.contains("another object"), "{error}");
    machine.assert_nothing_loaded();
}

/// A password of the lockout hierarchy concerns nobody here. One of the endorsement hierarchy, where the
/// attestation key is, forbids to quote and nothing else.
#[test]
fn with_an_endorsement_and_a_lockout_password_all_is_possible_but_to_quote() {
    let (machine, sealed) = machine();
    tpm2_tools(&machine, "tpm2_changeauth -c l locked");
    work(&mut machine.open(), &sealed).unwrap();
    tpm2_tools(&machine, "tpm2_changeauth -c e maker");
    let value = machine.open().rollback_counter_value(COUNTER).unwrap();
    let error = work(&mut machine.open(), &sealed).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("endorsement hierarchy has a password"),
        "{error}"
    );
    // All that comes before the quote is done.
    let raised = machine.open().rollback_counter_value(COUNTER).unwrap();
    assert_eq!(raised, value.map(|value| value + 1));
    machine.assert_nothing_loaded();
}

/// No elliptic curves: the answer of a TPM that has RSA alone.
#[test]
fn a_tpm_without_the_curve_is_named_with_the_way_out() {
    const CREATE_PRIMARY: u32 = 0x0131;
    // TPM_RC_CURVE of parameter 2.
    const RC_CURVE_2: u32 = 0x2e6;
    let machine = Machine::launched();
    let bus = Bus::before(machine.swtpm.port());
    answer_first(&bus, CREATE_PRIMARY, u32::MAX, RC_CURVE_2);
    let mut tpm = Tpm2::open(&bus.tcti()).unwrap();
    let sealed = tpm.seal(SECRET, &launch_policy(LAUNCH).into(), None);
    let sentence = sealed.unwrap_err().to_string();
    assert!(
        sentence.contains("lacks an algorithm") && sentence.contains("P-256"),
        "{sentence}"
    );
    machine.assert_nothing_loaded();
    // TPM2_SelfTest, as firmware may have left it undone: nothing is in its way.
    let answer = machine
        .swtpm
        .command(&command(0x8001, 0x0143, &[&[0]]))
        .unwrap();
    assert_eq!(answer[6..10], [0; 4]);
}
