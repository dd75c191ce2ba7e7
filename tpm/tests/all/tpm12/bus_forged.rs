//! Somebody on the bus answers in the TPM's place: shows other registers, drops an extension, repeats
//! an old answer, puts another TPM there. Each is refused.

use std::sync::{Arc, Mutex};

use tpm::{Bank, PcrIndex, PcrSet, Tpm, TpmError, tpm12::transport};

use super::{Forger, LAUNCH, Machine12, OTHER_LAUNCH, Wire, deciding, launch_policy, ordinal};

const OIAP: u32 = 0x0a;
const EXECUTE_TRANSPORT: u32 = 0xe7;
const ESTABLISH_TRANSPORT: u32 = 0xe6;

fn latch() -> PcrSet {
    PcrSet::default().with(PcrIndex::LATCH)
}

fn forge(wire: &Wire, forger: Forger) {
    wire.lock().unwrap().forger = Some(forger);
}

/// The latch is open: what was said to be extended was not.
fn assert_open(machine: &Machine12) {
    let values = machine.known().pcr_read(Bank::Sha1, latch()).unwrap();
    assert_eq!(values.get(PcrIndex::LATCH).unwrap(), [0; 20]);
}

#[test]
fn a_read_outside_of_a_transport_session_can_be_a_lie_and_decides_nothing() {
    let machine = Machine12::new();
    let wire = Wire::default();
    let (lie, mut asked) = (launch_policy(LAUNCH), Vec::new());
    let shown = lie.values().get(PcrIndex::try_from(17).unwrap()).unwrap();
    let answer = [&[0, 0xc4, 0, 0, 0, 30, 0, 0, 0, 0][..], shown].concat();
    forge(
        &wire,
        Box::new(move |command, _| {
            asked.push(ordinal(command));
            (ordinal(command) == 0x15).then(|| answer.clone())
        }),
    );
    // A premise: this answer has no HMAC.
    let mut plain = machine.over(&wire);
    assert_eq!(plain.pcr_read(17).unwrap(), shown);
    drop(plain);
    let values = machine.behind(&wire).pcr_read(Bank::Sha1, deciding());
    assert_ne!(values.unwrap(), *lie.values());
}

#[test]
fn a_changed_bit_of_any_answer_is_noticed() {
    let machine = Machine12::launched();
    let wire = Wire::default();
    let values = machine.known().pcr_read(Bank::Sha1, latch()).unwrap();
    for place in [0, 6, 12, 20, 24, 28, 38, 60, 80, 90] {
        forge(
            &wire,
            Box::new(move |command, tpm| {
                let mut answer = tpm.transmit(command).unwrap();
                if ordinal(command) == EXECUTE_TRANSPORT && place < answer.len() {
                    answer[place] ^= 0x10;
                }
                Some(answer)
            }),
        );
        let read = machine.behind(&wire).pcr_read(Bank::Sha1, latch());
        let error = read.unwrap_err();
        assert!(
            matches!(
                error,
                TpmError::ForgedAnswer { .. } | TpmError::Tpm12Failed(_)
            ),
            "{place}: {error:?}"
        );
    }
    wire.lock().unwrap().forger = None;
    assert_eq!(
        machine.behind(&wire).pcr_read(Bank::Sha1, latch()).unwrap(),
        values
    );
}

#[test]
fn a_dropped_extension_is_noticed_and_an_old_answer_is_none() {
    let machine = Machine12::launched();
    let wire = Wire::default();
    let mut tpm = machine.behind(&wire);
    let other = PcrIndex::try_from(16).unwrap();
    let heard: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    let note = Arc::clone(&heard);
    forge(
        &wire,
        Box::new(move |command, tpm| {
            let answer = tpm.transmit(command).unwrap();
            if ordinal(command) == EXECUTE_TRANSPORT {
                note.lock().unwrap().replace(answer.clone());
            }
            Some(answer)
        }),
    );
    tpm.pcr_event(other, b"before").unwrap();
    let old = heard.lock().unwrap().take().unwrap();
    for answer in [old, vec![0, 0xc4, 0, 0, 0, 10, 0, 0, 0, 0]] {
        let replay = answer.clone();
        forge(
            &wire,
            Box::new(move |command, _| {
                (ordinal(command) == EXECUTE_TRANSPORT).then(|| replay.clone())
            }),
        );
        // In the session that it is of, and in a new one.
        for _ in 0..2 {
            let error = tpm.pcr_event_read(PcrIndex::LATCH, b"closed", Bank::Sha1);
            assert!(
                matches!(
                    error,
                    Err(TpmError::ForgedAnswer { .. } | TpmError::Tpm12Failed(_))
                ),
                "{error:?}"
            );
        }
    }
    wire.lock().unwrap().forger = None;
    drop(tpm);
    assert_open(&machine);
}

#[test]
fn a_refusal_that_somebody_makes_up_is_no_answer_of_the_tpm() {
    let machine = Machine12::launched();
    let wire = Wire::default();
    let mut tpm = machine.behind(&wire);
    let policy = launch_policy(LAUNCH);
    let sealed = tpm.seal(b"secret", &policy.clone().into(), None).unwrap();
    // The inner answer to TPM_Unseal is replaced by TPM_WRONGPCRVAL; its HMAC is not.
    forge(
        &wire,
        Box::new(move |command, tpm| {
            let answer = tpm.transmit(command).unwrap();
            if ordinal(command) != EXECUTE_TRANSPORT {
                return Some(answer);
            }
            let mut refused = vec![0, 0xc5, 0, 0, 0, 77, 0, 0, 0, 0];
            refused.extend(&answer[10..22]);
            refused.extend([0, 0, 0, 10, 0, 0xc4, 0, 0, 0, 10, 0, 0, 0, 0x18]);
            refused.extend(&answer[answer.len() - 41..]);
            Some(refused)
        }),
    );
    let error = tpm.unseal(&sealed, &policy.into(), None).unwrap_err();
    assert!(matches!(error, TpmError::ForgedAnswer { .. }), "{error:?}");
}

#[test]
fn another_tpm_does_not_answer_for_the_one_that_is_known() {
    let (machine, other) = (Machine12::new(), Machine12::other());
    machine.launch(OTHER_LAUNCH);
    other.launch(LAUNCH);
    let wire = Wire::default();
    let tcti = other.swtpm.tcti();
    let mut there: Option<Box<dyn transport::Transport>> = None;
    forge(
        &wire,
        Box::new(move |command, _| {
            let tpm = there.get_or_insert_with(|| transport::open(&tcti).unwrap());
            Some(tpm.transmit(command).unwrap())
        }),
    );
    // From the first command on: the other TPM has the approved launch, and not the key.
    let policy = launch_policy(LAUNCH).into();
    let mut tpm = machine.behind(&wire);
    for error in [
        tpm.pcr_read(Bank::Sha1, deciding()).err(),
        tpm.pcr_event(PcrIndex::LATCH, b"closed").err(),
        tpm.seal(b"secret", &policy, None).map(drop).err(),
        tpm.srk().map(drop).err(),
    ] {
        let error = error.unwrap();
        assert!(matches!(error, TpmError::OtherSrk { .. }), "{error:?}");
    }
    let traffic = wire.lock().unwrap();
    assert!(!traffic.commands.contains(&EXECUTE_TRANSPORT));
    assert!(!traffic.bytes.windows(6).any(|part| part == b"secret"));
}

#[test]
fn another_tpm_that_takes_over_in_between_is_noticed() {
    let (machine, other) = (Machine12::launched(), Machine12::other());
    let wire = Wire::default();
    let mut tpm = machine.behind(&wire);
    tpm.pcr_read(Bank::Sha1, deciding()).unwrap();
    let tcti = other.swtpm.tcti();
    let mut there: Option<Box<dyn transport::Transport>> = None;
    forge(
        &wire,
        Box::new(move |command, _| {
            let tpm = there.get_or_insert_with(|| transport::open(&tcti).unwrap());
            Some(tpm.transmit(command).unwrap())
        }),
    );
    for _ in 0..2 {
        let error = tpm.pcr_event_read(PcrIndex::LATCH, b"closed", Bank::Sha1);
        assert!(
            matches!(
                error,
                Err(TpmError::OtherSrk { .. } | TpmError::Tpm12Failed(_))
            ),
            "{error:?}"
        );
    }
    drop(tpm);
    wire.lock().unwrap().forger = None;
    assert_open(&machine);
}

/// He knows the storage root key's well-known secret, and so can answer OIAP and make the HMAC of
/// TPM_EstablishTransport; he cannot read the session's secret.
#[test]
fn who_opens_the_transport_session_himself_cannot_answer_in_it() {
    let machine = Machine12::launched();
    let wire = Wire::default();
    let mut established = None;
    forge(
        &wire,
        Box::new(move |command, tpm| match ordinal(command) {
            ESTABLISH_TRANSPORT => {
                let answer = tpm.transmit(command).unwrap();
                established = Some(answer.clone());
                Some(answer)
            }
            OIAP => None,
            EXECUTE_TRANSPORT if established.is_some() => {
                // All zeros in the right form: no register that was extended, no HMAC.
                let mut answer = vec![0, 0xc5, 0, 0, 0, 97, 0, 0, 0, 0];
                answer.extend([0; 12]);
                answer.extend([0, 0, 0, 30, 0, 0xc4, 0, 0, 0, 30, 0, 0, 0, 0]);
                answer.extend([0; 20]);
                answer.extend([0; 20]);
                answer.push(1);
                answer.extend([0; 20]);
                Some(answer)
            }
            _ => None,
        }),
    );
    let error = machine.behind(&wire).pcr_read(Bank::Sha1, latch());
    assert!(
        matches!(error, Err(TpmError::ForgedAnswer { .. })),
        "{error:?}"
    );
}
