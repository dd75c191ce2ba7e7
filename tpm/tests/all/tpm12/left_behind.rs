//! Nothing stays in the TPM, whatever fails and wherever.

use tpm::{
    Bank, Tpm,
    tpm12::{KeyUsage, Resource, Secret, SrkSecret, Tpm12},
};

use super::{LAUNCH, Machine12, Wire, deciding, launch_policy, owner, sha1};

/// TPM_FlushSpecific.
const FLUSH: u32 = 0xba;

fn assert_nothing(tpm: &mut Tpm12, when: &str) {
    for kind in [Resource::Key, Resource::Session, Resource::Transport] {
        let left = tpm.handles(kind).unwrap();
        assert!(left.is_empty(), "{when}: {kind:?} {left:x?}");
    }
}

/// Each way to use the TPM once; what comes of it does not matter.
fn use_it(machine: &Machine12, wire: &Wire) {
    let SrkSecret::Spelled(spelling) = machine.key.secret else {
        panic!("a secret of its own")
    };
    let (srk, own) = (spelling.secret(), Secret::from_password(b"own"));
    let mut tpm = machine.behind(wire);
    let policy = launch_policy(LAUNCH);
    drop(tpm.pcr_read(Bank::Sha1, deciding()));
    if let Ok(sealed) = tpm.seal(b"secret", &policy.clone().into(), None) {
        drop(tpm.unseal(&sealed, &policy.into(), None));
    }
    drop(tpm);
    let mut tpm = machine.over(wire);
    drop(tpm.owner_flags(&owner()));
    if let Ok(key) = tpm.create_key(&srk, KeyUsage::Signing, &own) {
        drop(tpm.with_key(&srk, &key, |tpm, handle| tpm.key_public(handle, &own)));
    }
    drop(tpm.make_identity(&srk, &owner(), &sha1(&[b"x"]), &own));
}

/// OIAP, OSAP, TPM_LoadKey2 (by itself), TPM_EstablishTransport: their answers say what was opened.
const OPENING: [u32; 4] = [0x0a, 0x0b, 0x41, 0xe6];

#[test]
fn whatever_answer_is_exchanged_cut_off_or_changed_nothing_stays_open() {
    let machine = Machine12::launched();
    let wire = Wire::default();
    use_it(&machine, &wire);
    let commands = wire.lock().unwrap().commands.clone();
    assert!(commands.len() > 20, "{commands:x?}");
    assert_nothing(&mut machine.open(), "after what succeeds");
    for (number, disturbed) in commands.iter().enumerate() {
        let mut count = 0;
        // Nobody can close what nobody knows the handle of: there a byte is changed and no more.
        let way = if OPENING.contains(disturbed) {
            1
        } else {
            number % 3
        };
        wire.lock().unwrap().forger = Some(Box::new(move |command, tpm| {
            count += 1;
            if count != number + 1 || super::ordinal(command) == FLUSH {
                return None;
            }
            let mut answer = tpm.transmit(command).unwrap();
            match way {
                // A refusal, although it was done.
                0 => return Some(vec![0, 0xc4, 0, 0, 0, 10, 0, 0, 0, 9]),
                1 => *answer.last_mut().unwrap() ^= 1,
                _ => {
                    answer.pop();
                }
            }
            Some(answer)
        }));
        use_it(&machine, &wire);
        wire.lock().unwrap().forger = None;
        assert_nothing(
            &mut machine.open(),
            &format!("answer {number} to {disturbed:#x}"),
        );
    }
}
