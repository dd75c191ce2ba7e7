//! Somebody on the bus answers in the TPM's place: drops the extension of a register and says that
//! it is done, shows other values, repeats an old answer, puts another TPM there. Each is refused.

use std::sync::{Arc, Mutex};

use crate::machine::{
    LAUNCH, Machine,
    bus::{Bus, Forger, exchange},
    launch_policy,
};
use tpm::{AuthPolicy, AuthValue, Bank, Name, PcrIndex, PcrSet, Sealed, Tpm, Tpm2, TpmError};

const PCR_EXTEND: u32 = 0x0182;
const CREATE: u32 = 0x0153;
const PCR_READ: u32 = 0x017e;
const READ_PUBLIC: u32 = 0x0173;
const GET_CAPABILITY: u32 = 0x017a;

fn latch() -> PcrSet {
    PcrSet::default().with(PcrIndex::LATCH)
}

fn code(command: &[u8]) -> u32 {
    u32::from_be_bytes(command[6..10].try_into().unwrap())
}

/// An answer of this tag without or with an authorization area of one session.
fn success(with_session: bool) -> Vec<u8> {
    let mut body = Vec::new();
    if with_session {
        // parameterSize; a nonce; continueSession and audit; an HMAC.
        body.extend([0, 0, 0, 0, 0, 32]);
        body.extend([0x5a; 32]);
        body.extend([0x81, 0, 32]);
        body.extend([0; 32]);
    }
    let tag: u16 = if with_session { 0x8002 } else { 0x8001 };
    let length = u32::try_from(10 + body.len()).unwrap();
    [
        &tag.to_be_bytes()[..],
        &length.to_be_bytes(),
        &[0; 4],
        &body,
    ]
    .concat()
}

/// Answers one command and leaves the others to the TPM.
fn instead_of(wanted: u32, answer: Vec<u8>) -> Option<Forger> {
    Some(Box::new(move |command| {
        (code(command) == wanted).then(|| answer.clone())
    }))
}

/// The TPM's own answer to the first command of this kind.
fn overheard(bus: &Bus, port: u16, wanted: u32, run: impl FnOnce()) -> Vec<u8> {
    let noted: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    let note = Arc::clone(&noted);
    bus.traffic().forger = Some(Box::new(move |command| {
        (code(command) == wanted).then(|| {
            let answer = exchange(port, command);
            note.lock().unwrap().get_or_insert_with(|| answer.clone());
            answer
        })
    }));
    run();
    bus.traffic().forger = None;
    noted.lock().unwrap().take().unwrap()
}

/// The latch is open: what was said to be extended was not.
fn assert_zero(machine: &Machine) {
    let values = machine.open().pcr_read(Bank::Sha256, latch()).unwrap();
    assert_eq!(values.get(PcrIndex::LATCH).unwrap(), [0; 32]);
}

#[test]
fn a_dropped_extension_is_noticed_whatever_the_answer() {
    let machine = Machine::launched();
    let port = machine.swtpm.port();
    let bus = Bus::before(port);
    let open = || Tpm2::open(&bus.tcti()).unwrap();
    let other = PcrIndex::try_from(16).unwrap();
    let replayed = overheard(&bus, port, PCR_EXTEND, || {
        open().pcr_event(other, b"before").unwrap();
    });
    for (answer, has_hmac) in [
        (success(true), true),
        (replayed, true),
        (success(false), false),
    ] {
        bus.traffic().forger = instead_of(PCR_EXTEND, answer);
        let error = open().pcr_event(PcrIndex::LATCH, b"latch").unwrap_err();
        let forged = matches!(error, TpmError::ForgedAnswer { .. });
        assert_eq!(forged, has_hmac, "{error:?}");
        machine.forget_everything();
        let read = open().pcr_event_read(PcrIndex::LATCH, b"latch", Bank::Sha256);
        assert!(read.is_err(), "{read:?}");
        machine.forget_everything();
        bus.traffic().forger = None;
        assert_zero(&machine);
    }
    let values = open().pcr_event_read(PcrIndex::LATCH, b"latch", Bank::Sha256);
    assert_ne!(values.unwrap().get(PcrIndex::LATCH).unwrap(), [0; 32]);
}

/// The TPM's answer, with one value replaced.
fn showing_another(port: u16, value: Vec<u8>) -> Option<Forger> {
    Some(Box::new(move |command| {
        let mut answer = exchange(port, command);
        let place = answer.windows(32).position(|bytes| bytes == value)?;
        answer[place..place + 32].copy_from_slice(&[0x11; 32]);
        Some(answer)
    }))
}

#[test]
fn other_values_than_the_tpm_showed_are_noticed() {
    let machine = Machine::launched();
    let port = machine.swtpm.port();
    let bus = Bus::before(port);
    let read = |pcrs| {
        let values = Tpm2::open(&bus.tcti())
            .unwrap()
            .pcr_read(Bank::Sha256, pcrs);
        machine.forget_everything();
        values
    };
    let is_forged = |error| matches!(error, Err(TpmError::ForgedAnswer { .. }));
    let values = read(PcrSet::LAUNCH).unwrap();
    for (_, value) in values.iter() {
        bus.traffic().forger = showing_another(port, value.to_vec());
        assert!(is_forged(read(PcrSet::LAUNCH)));
    }
    bus.traffic().forger = None;
    // What the TPM itself said a moment ago is not an answer to a new question.
    let before = overheard(&bus, port, PCR_READ, || drop(read(latch()).unwrap()));
    bus.traffic().forger = instead_of(PCR_READ, before);
    assert!(is_forged(read(latch())));
    // Without any session, as a TPM answers a command that had none.
    let plain = crate::machine::command(
        0x8001,
        PCR_READ,
        &[&[0, 0, 0, 1, 0, 0x0b, 3], &latch().select_bytes()],
    );
    bus.traffic().forger = instead_of(PCR_READ, exchange(port, &plain));
    assert!(read(latch()).is_err());
    bus.traffic().forger = None;
    assert_eq!(read(PcrSet::LAUNCH).unwrap(), values);
}

#[test]
fn a_forged_refusal_does_not_keep_a_bank_from_being_extended() {
    let machine = Machine::launched();
    let port = machine.swtpm.port();
    let bus = Bus::before(port);
    let mut tpm = Tpm2::open(&bus.tcti()).unwrap();
    // TPM_RC_HASH for the first extension: anybody can make an error, which has no HMAC.
    let mut first = true;
    let refuse = move |command: &[u8]| {
        let refused = code(command) == PCR_EXTEND && std::mem::take(&mut first);
        refused.then(|| vec![0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0xc3])
    };
    bus.traffic().forger = Some(Box::new(refuse));
    let values = tpm.pcr_event_read(PcrIndex::LATCH, b"latch", Bank::Sha256);
    assert_ne!(values.unwrap().get(PcrIndex::LATCH).unwrap(), [0; 32]);
    // And then a list of banks in which SHA-256 is missing.
    let mut first = true;
    bus.traffic().forger = Some(Box::new(move |command| match code(command) {
        PCR_EXTEND if std::mem::take(&mut first) => Some(vec![0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0xc3]),
        GET_CAPABILITY => {
            let mut answer = exchange(port, command);
            let sha256 = [0, 0x0b, 3, 0xff, 0xff, 0xff];
            let place = answer.windows(6).position(|bytes| bytes == sha256)?;
            answer[place + 3..place + 6].copy_from_slice(&[0; 3]);
            Some(answer)
        }
        _ => None,
    }));
    let error = tpm.pcr_event(PcrIndex::LATCH, b"latch").unwrap_err();
    assert!(
        matches!(
            error,
            TpmError::ForgedAnswer {
                command: "TPM2_GetCapability"
            }
        ),
        "{error:?}"
    );
}

/// Everything is answered by a TPM of the attacker's.
fn put_another_there(bus: &Bus, port: u16) {
    bus.traffic().forger = Some(Box::new(move |command| Some(exchange(port, command))));
}

#[test]
fn another_tpm_does_not_answer_for_the_one_that_is_known() {
    let (machine, other) = (Machine::launched(), Machine::launched());
    let bus = Bus::before(machine.swtpm.port());
    let policy = launch_policy(LAUNCH);
    let sealed = machine
        .open()
        .seal(b"secret", &policy.clone().into(), None)
        .unwrap();
    // Known from the secret that it released.
    let mut tpm = Tpm2::open(&bus.tcti()).unwrap();
    tpm.unseal(&sealed, &policy.clone().into(), None).unwrap();
    put_another_there(&bus, other.swtpm.port());
    for _ in 0..2 {
        let error = tpm.pcr_event_read(PcrIndex::LATCH, b"latch", Bank::Sha256);
        let error = error.unwrap_err();
        assert!(matches!(error, TpmError::WrongSrk { .. }), "{error:?}");
    }
    // Known because it is pinned: from the first command on.
    let mut tpm = Tpm2::open(&bus.tcti()).unwrap();
    tpm.pin_srk(sealed.parent.clone());
    for error in [
        tpm.pcr_event(PcrIndex::LATCH, b"latch").unwrap_err(),
        tpm.pcr_read(Bank::Sha256, PcrSet::LAUNCH).unwrap_err(),
    ] {
        assert!(matches!(error, TpmError::WrongSrk { .. }), "{error:?}");
    }
    bus.traffic().forger = None;
    let values = tpm.pcr_read(Bank::Sha256, latch()).unwrap();
    assert_eq!(values.get(PcrIndex::LATCH).unwrap(), [0; 32]);
}

/// With an authorization value, or without.
fn seal(tpm: &mut Tpm2, way: usize, known: Option<&Name>) -> Result<Sealed, TpmError> {
    let policy: AuthPolicy = launch_policy(LAUNCH).into();
    let auth = AuthValue::new(b"an authorization value").unwrap();
    match way {
        0 => tpm.seal(b"secret", &policy, known),
        _ => tpm.seal_with_auth(b"secret", &policy, known, &auth),
    }
}

/// The right TPM shows its registers; from the next question for a storage key on the other one answers.
fn put_another_there_after_a_look(bus: &Bus, port: u16) {
    let (mut looked, mut there) = (false, false);
    bus.traffic().forger = Some(Box::new(move |command| {
        there |= looked && code(command) == READ_PUBLIC;
        looked |= code(command) == PCR_READ;
        there.then(|| exchange(port, command))
    }));
}

/// Its session would be salted to the interposer's key: he would read secret and authorization value.
#[test]
fn another_tpm_is_sent_nothing_to_seal_where_the_storage_key_is_known() {
    let (machine, other) = (Machine::launched(), Machine::launched());
    let bus = Bus::before(machine.swtpm.port());
    let known = machine.open().srk().unwrap().name;
    for given in [Some(&known), None] {
        for way in 0..2 {
            let mut tpm = Tpm2::open(&bus.tcti()).unwrap();
            if given.is_none() {
                tpm.pin_srk(known.clone());
            }
            put_another_there_after_a_look(&bus, other.swtpm.port());
            let error = seal(&mut tpm, way, given).unwrap_err();
            assert!(matches!(error, TpmError::WrongSrk { .. }), "{error:?}");
            bus.traffic().forger = None;
        }
    }
    assert!(!bus.traffic().commands.contains(&CREATE));
    // Where nothing is known, he is sent it: the first enrolment, as SECURITY.md says.
    for way in 0..2 {
        put_another_there_after_a_look(&bus, other.swtpm.port());
        let mut tpm = Tpm2::open(&bus.tcti()).unwrap();
        let sealed = seal(&mut tpm, way, None).unwrap();
        assert_ne!(sealed.parent, known);
    }
    assert!(bus.traffic().commands.contains(&CREATE));
    bus.traffic().forger = None;
    let mut tpm = Tpm2::open(&bus.tcti()).unwrap();
    for way in 0..2 {
        let sealed = seal(&mut tpm, way, Some(&known)).unwrap();
        assert_eq!(sealed.parent, known);
    }
}

/// What srk_name is for: a premise of SECURITY.md, not a wish.
#[test]
fn without_a_known_key_another_tpm_is_believed() {
    let (machine, other) = (Machine::launched(), Machine::launched());
    let bus = Bus::before(machine.swtpm.port());
    put_another_there(&bus, other.swtpm.port());
    let mut tpm = Tpm2::open(&bus.tcti()).unwrap();
    tpm.pcr_event_read(PcrIndex::LATCH, b"latch", Bank::Sha256)
        .unwrap();
    let values = machine.open().pcr_read(Bank::Sha256, latch()).unwrap();
    assert_eq!(values.get(PcrIndex::LATCH).unwrap(), [0; 32]);
}
