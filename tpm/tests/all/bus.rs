//! What crosses the bus: few commands, no secret in the clear, and a retry when a PCR changes
//! at the wrong moment.

use crate::machine::{LAUNCH, Machine, bus::Bus, launch_policy};
use tpm::{Tpm, Tpm2, TpmError};

const SECRET: &[u8] = b"thirty-two bytes of boot secret!";

const READ_PUBLIC: u32 = 0x0173;
const CREATE_PRIMARY: u32 = 0x0131;
const LOAD: u32 = 0x0157;
const START_AUTH_SESSION: u32 = 0x0176;
const POLICY_PCR: u32 = 0x017f;
const UNSEAL: u32 = 0x015e;
const FLUSH_CONTEXT: u32 = 0x0165;
const PCR_READ: u32 = 0x017e;
const CONTEXT_LOAD: u32 = 0x0161;

#[test]
fn a_pcr_that_changes_between_policy_and_unseal_costs_a_retry() {
    let machine = Machine::launched();
    let bus = Bus::before(machine.swtpm.port());
    let policy = launch_policy(LAUNCH);
    let mut tpm = Tpm2::open(&bus.tcti()).unwrap();
    let sealed = tpm.seal(SECRET, &policy.clone().into(), None).unwrap();
    bus.traffic().disturb = 3;
    assert_eq!(
        *tpm.unseal(&sealed, &policy.clone().into(), None).unwrap(),
        SECRET
    );
    let unseals = bus
        .traffic()
        .commands
        .iter()
        .filter(|code| **code == UNSEAL)
        .count();
    assert_eq!(unseals, 4);
    machine.assert_nothing_loaded();
}

#[test]
fn a_pcr_that_never_rests_is_named_as_the_cause() {
    let machine = Machine::launched();
    let bus = Bus::before(machine.swtpm.port());
    let policy = launch_policy(LAUNCH);
    let mut tpm = Tpm2::open(&bus.tcti()).unwrap();
    let sealed = tpm.seal(SECRET, &policy.clone().into(), None).unwrap();
    bus.traffic().disturb = 1000;
    let error = tpm
        .unseal(&sealed, &policy.clone().into(), None)
        .unwrap_err();
    assert!(
        matches!(error, TpmError::PcrsKeepChanging { attempts: 8 }),
        "{error:?}"
    );
    machine.assert_nothing_loaded();
}

#[test]
fn the_secret_never_crosses_the_bus_in_the_clear() {
    let machine = Machine::launched();
    let bus = Bus::before(machine.swtpm.port());
    let policy = launch_policy(LAUNCH);
    let mut tpm = Tpm2::open(&bus.tcti()).unwrap();
    let sealed = tpm.seal(SECRET, &policy.clone().into(), None).unwrap();
    tpm.unseal(&sealed, &policy.clone().into(), None).unwrap();
    let traffic = bus.traffic();
    // That something was overheard at all: the blob did cross it.
    assert!(contains(&traffic.bytes, &sealed.private[2..]));
    assert!(!contains(&traffic.bytes, &SECRET[..8]));
}

#[test]
fn a_session_whose_hmac_is_refused_is_replaced() {
    let machine = Machine::launched();
    let bus = Bus::before(machine.swtpm.port());
    let policy = launch_policy(LAUNCH);
    let mut tpm = Tpm2::open(&bus.tcti()).unwrap();
    let sealed = tpm.seal(SECRET, &policy.clone().into(), None).unwrap();
    bus.traffic().spoil = 2;
    assert_eq!(
        *tpm.unseal(&sealed, &policy.clone().into(), None).unwrap(),
        SECRET
    );
    assert!(bus.traffic().refused >= 2);
    bus.traffic().spoil = 1000;
    let error = tpm
        .unseal(&sealed, &policy.clone().into(), None)
        .unwrap_err();
    assert!(
        matches!(error, TpmError::Command { code: 0x9a2, .. }),
        "{error:?}"
    );
    machine.assert_nothing_loaded();
}

#[test]
fn a_boot_sends_no_needless_command() {
    let machine = Machine::launched();
    let bus = Bus::before(machine.swtpm.port());
    let policy = launch_policy(LAUNCH);
    let mut tpm = Tpm2::open(&bus.tcti()).unwrap();
    assert!(bus.traffic().commands.is_empty(), "opening asks nothing");
    let sealed = tpm.seal(SECRET, &policy.clone().into(), None).unwrap();
    let derivations = |bus: &Bus| {
        let commands = bus.traffic().commands.clone();
        commands
            .into_iter()
            .filter(|c| *c == CREATE_PRIMARY)
            .count()
    };
    assert_eq!(derivations(&bus), 1, "it is derived once");
    let derived = [
        READ_PUBLIC,
        CONTEXT_LOAD,
        START_AUTH_SESSION,
        PCR_READ,
        FLUSH_CONTEXT,
        FLUSH_CONTEXT,
        READ_PUBLIC,
        CONTEXT_LOAD,
        LOAD,
        START_AUTH_SESSION,
        POLICY_PCR,
        UNSEAL,
        FLUSH_CONTEXT,
        FLUSH_CONTEXT,
        FLUSH_CONTEXT,
    ];
    let sent = commands_of(&bus, || {
        tpm.pcr_read(tpm::Bank::Sha256, policy.pcrs()).unwrap();
        tpm.unseal(&sealed, &policy.clone().into(), None).unwrap();
    });
    assert_eq!(sent, derived);
    tpm.persist_srk().unwrap();
    let persistent = [
        READ_PUBLIC,
        READ_PUBLIC,
        LOAD,
        START_AUTH_SESSION,
        POLICY_PCR,
        UNSEAL,
        FLUSH_CONTEXT,
        FLUSH_CONTEXT,
    ];
    let sent = commands_of(&bus, || {
        drop(tpm.unseal(&sealed, &policy.clone().into(), None).unwrap())
    });
    assert_eq!(sent, persistent);
}

/// The commands of a run in which no session had to be replaced for the library's sake.
fn commands_of(bus: &Bus, mut run: impl FnMut()) -> Vec<u32> {
    for _ in 0..10 {
        bus.traffic().refused = 0;
        bus.traffic().commands.clear();
        run();
        if bus.traffic().refused == 0 {
            return bus.traffic().commands.clone();
        }
    }
    panic!("the TPM refused a session in each of ten runs");
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
