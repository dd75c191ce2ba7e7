//! Sealed to an approved launch and the open latch: released there, and nowhere else.

use tpm::{
    Approval, AuthPolicy, AuthValue, Bank, CounterLimit, LaunchPolicy, PcrIndex, PcrSet, Sealed,
    Tpm, TpmError,
    tpm12::{KnownTpm12, PcrInfoLong, ReturnCode, Secret, SrkSecret, Tpm12, Tpm12Error},
};

use super::{LAUNCH, Machine12, OTHER_LAUNCH, Wire, deciding, launch_policy};

/// A boot secret's 64 bytes.
const SECRET: [u8; 64] = [0xb7; 64];

fn sealed(tpm: &mut KnownTpm12) -> Sealed {
    let policy: AuthPolicy = launch_policy(LAUNCH).into();
    tpm.seal(&SECRET, &policy, None).unwrap()
}

fn unseal(tpm: &mut KnownTpm12, sealed: &Sealed) -> Result<Vec<u8>, TpmError> {
    tpm.unseal(sealed, &launch_policy(LAUNCH).into(), None)
        .map(|secret| secret.to_vec())
}

fn is_refused<T>(result: &Result<T, TpmError>) -> bool {
    matches!(result, Err(TpmError::PolicyFailed { code: 0x18 }))
}

#[test]
fn a_secret_sealed_before_the_first_launch_opens_in_that_launch_until_the_latch_is_closed() {
    let mut machine = Machine12::new();
    let sealed = sealed(&mut machine.known());
    // No launch: 17 to 19 are ff..ff.
    assert!(is_refused(&unseal(&mut machine.known(), &sealed)));
    machine.reboot_launched(LAUNCH);
    // As a boot does it: by what the record holds.
    let mut tpm = KnownTpm12::for_record(machine.open(), &sealed).unwrap();
    let seen = tpm.pcr_read(Bank::Sha1, deciding()).unwrap();
    assert_eq!(&seen, launch_policy(LAUNCH).values());
    let pinned = tpm.srk().unwrap().name;
    assert_eq!(pinned, sealed.parent);
    let released = tpm.unseal(&sealed, &launch_policy(LAUNCH).into(), Some(&pinned));
    assert_eq!(**released.unwrap(), SECRET);
    let latched = tpm.pcr_event_read(PcrIndex::LATCH, b"closed", Bank::Sha1);
    let latched = latched.unwrap();
    assert_ne!(latched.get(PcrIndex::LATCH).unwrap(), [0; 20]);
    let read = tpm.pcr_read(Bank::Sha1, latched.set()).unwrap();
    assert_eq!(read, latched);
    assert!(is_refused(&unseal(&mut tpm, &sealed)));
    drop(tpm);
    // Two boots in a row, the second with another kernel, the third as approved again.
    machine.reboot_launched(OTHER_LAUNCH);
    assert!(is_refused(&unseal(&mut machine.known(), &sealed)));
    machine.reboot_launched(LAUNCH);
    assert_eq!(unseal(&mut machine.known(), &sealed).unwrap(), SECRET);
}

#[test]
fn another_locality_is_refused_and_linux_cannot_extend_the_launchs_registers() {
    let machine = Machine12::launched();
    let sealed = sealed(&mut machine.known());
    for locality in [1, 2, 3, 4] {
        let there = machine.swtpm.at_locality(locality).unwrap();
        let mut tpm = KnownTpm12::new(Tpm12::over(Box::new(there)), machine.key.clone());
        let error = unseal(&mut tpm, &sealed).unwrap_err();
        assert!(
            matches!(&error, TpmError::Tpm12Failed(refused)
                if refused.code() == Some(ReturnCode::BAD_LOCALITY)),
            "{locality}: {error:?}"
        );
    }
    let mut tpm = machine.known();
    let error = tpm
        .pcr_event(PcrIndex::try_from(17).unwrap(), b"x")
        .unwrap_err();
    assert!(error.to_string().contains("locality"), "{error}");
    assert_eq!(unseal(&mut tpm, &sealed).unwrap(), SECRET);
}

#[test]
fn a_changed_blob_and_another_machines_open_nothing() {
    let (machine, other) = (Machine12::launched(), Machine12::other());
    let good = sealed(&mut machine.known());
    let mut tpm = machine.known();
    // A byte of each part: tag, registers, localities, digest at release, sealed data.
    for place in [0, 8, 10, 11, 17, 50, 70, good.private.len() - 1] {
        let mut changed = good.clone();
        changed.private[place] ^= 1;
        let error = unseal(&mut tpm, &changed).unwrap_err();
        assert!(
            matches!(error, TpmError::NotOurs { .. }),
            "{place}: {error:?}"
        );
    }
    // The record of another TPM, whose key this one does not have.
    let foreign = sealed(&mut other.known());
    let error = unseal(&mut tpm, &foreign).unwrap_err();
    assert!(matches!(error, TpmError::WrongSrk { .. }), "{error:?}");
    drop(tpm);
    let mut deceived = KnownTpm12::for_record(machine.open(), &foreign).unwrap();
    let error = unseal(&mut deceived, &foreign).unwrap_err();
    assert!(matches!(error, TpmError::OtherSrk { .. }), "{error:?}");
    drop(deceived);
    let mut tpm = machine.known();
    // Its blob under this one's name.
    let mixed = Sealed {
        private: foreign.private,
        ..good.clone()
    };
    let error = unseal(&mut tpm, &mixed).unwrap_err();
    assert!(matches!(error, TpmError::NotOurs { .. }), "{error:?}");
    assert_eq!(unseal(&mut tpm, &good).unwrap(), SECRET);
}

/// Who has the TPM can seal to anything under its key: what a record says of its blob must be so.
#[test]
fn a_blob_that_asks_for_less_than_its_record_says_is_not_asked_for() {
    let machine = Machine12::launched();
    let SrkSecret::Spelled(spelling) = machine.key.secret else {
        panic!("a secret of its own")
    };
    let good = sealed(&mut machine.known());
    let approved = PcrInfoLong::new(launch_policy(LAUNCH).values());
    let fewer = launch_policy(LAUNCH).values().select(PcrSet::LAUNCH);
    let mut anywhere = approved.clone();
    anywhere.release_localities = 0x1f;
    let blob_secret = Secret::well_known();
    for less in [PcrInfoLong::new(&fewer.unwrap()), anywhere] {
        let mut tpm = machine.open();
        let srk = spelling.secret();
        let blob = tpm.seal(&srk, &blob_secret, &less, &SECRET).unwrap();
        // The TPM itself gives it.
        assert_eq!(**tpm.unseal(&srk, &blob_secret, &blob).unwrap(), SECRET);
        drop(tpm);
        let planted = Sealed {
            private: blob.as_bytes().to_vec(),
            ..good.clone()
        };
        let error = unseal(&mut machine.known(), &planted).unwrap_err();
        assert!(
            matches!(error, TpmError::NotOurs { code: 0, .. }),
            "{error:?}"
        );
    }
}

#[test]
fn a_pin_is_the_blobs_own_secret_and_wrong_ones_are_counted() {
    let machine = Machine12::launched();
    let mut tpm = machine.known();
    let policy = launch_policy(LAUNCH);
    let pin = AuthValue::new(b"a stretched PIN").unwrap();
    let sealed = tpm
        .seal_with_auth(&SECRET, &policy.clone().into(), None, &pin)
        .unwrap();
    let approval: Approval = policy.into();
    let wrong = AuthValue::new(b"another").unwrap();
    let before = tpm.lockout().unwrap();
    for result in [
        tpm.unseal_with_auth(&sealed, &approval, None, &wrong),
        tpm.unseal(&sealed, &approval, None),
    ] {
        let error = result.unwrap_err();
        assert!(
            matches!(error, TpmError::WrongAuthValue { .. }),
            "{error:?}"
        );
    }
    let after = tpm.lockout().unwrap();
    assert!(after.failed > before.failed, "{before:?} {after:?}");
    let opened = tpm.unseal_with_auth(&sealed, &approval, None, &pin);
    assert_eq!(**opened.unwrap(), SECRET);
    // Until it takes none any more, the right one neither; and no secret of the storage root key, so that
    // nothing at all can be asked that has an HMAC.
    let most = u32::from(u8::MAX);
    let locked = (0..most).find(|_| {
        let result = tpm.unseal_with_auth(&sealed, &approval, None, &wrong);
        matches!(result, Err(TpmError::LockedOut { .. }))
    });
    assert!(locked.is_some());
    for error in [
        tpm.unseal_with_auth(&sealed, &approval, None, &pin).err(),
        tpm.pcr_event(PcrIndex::LATCH, b"closed").err(),
    ] {
        assert!(
            matches!(error, Some(TpmError::LockedOut { .. })),
            "{error:?}"
        );
    }
}

#[test]
fn what_a_tpm_1_2_cannot_do_is_one_sentence() {
    let machine = Machine12::launched();
    let mut tpm = machine.known();
    let launch = launch_policy(LAUNCH);
    let counted = CounterLimit {
        index: 0x0180_0000,
        limit: 1,
    };
    let counted = LaunchPolicy::new(launch.clone(), Some(counted));
    let signer = tpm::PolicySigner::new([1; 32], [2; 32]);
    let errors = [
        tpm.seal(&SECRET, &AuthPolicy::Launch(counted), None).err(),
        tpm.seal(&SECRET, &AuthPolicy::Signed(signer), None).err(),
        tpm.pcr_read(Bank::Sha256, deciding()).err(),
        tpm.attestation_key().err(),
        tpm.quote(&[], Bank::Sha1, deciding()).err(),
    ];
    for error in errors {
        let text = error.unwrap().to_string();
        assert!(
            text.starts_with("this is not possible with a TPM 1.2: "),
            "{text}"
        );
    }
    for length in [0, 129] {
        let policy = launch.clone().into();
        assert!(tpm.seal(&vec![1; length], &policy, None).is_err());
    }
}

/// The commands of a boot: registers read, unsealed, latched. On a slow TPM each counts.
#[test]
fn a_boot_takes_ten_commands_and_the_secret_crosses_the_bus_in_none() {
    let machine = Machine12::launched();
    let wire = Wire::default();
    let mut tpm = machine.behind(&wire);
    let sealed = sealed(&mut tpm);
    drop(tpm);
    wire.lock().unwrap().commands.clear();
    let mut tpm = machine.behind(&wire);
    tpm.pcr_read(Bank::Sha1, deciding()).unwrap();
    assert_eq!(unseal(&mut tpm, &sealed).unwrap(), SECRET);
    tpm.pcr_event_read(PcrIndex::LATCH, b"closed", Bank::Sha1)
        .unwrap();
    drop(tpm);
    let traffic = wire.lock().unwrap();
    let (oiap, establish, execute, flush) = (0x0a, 0xe6, 0xe7, 0xba);
    let expected = [
        oiap, establish, execute, execute, execute, execute, oiap, execute, execute, flush,
    ];
    assert_eq!(traffic.commands, expected);
    assert!(!traffic.bytes.windows(16).any(|part| part == &SECRET[..16]));
}

#[test]
fn a_wrong_password_of_the_storage_root_key_is_said_to_be_one() {
    let machine = Machine12::launched();
    let mut key = machine.key.clone();
    key.secret = SrkSecret::Given(Secret::from_password(b"wrong"));
    let mut tpm = KnownTpm12::new(machine.open(), key);
    let error = tpm.srk().unwrap_err();
    assert!(
        matches!(&error, TpmError::Tpm12Failed(Tpm12Error::Refused { code, .. })
            if *code == ReturnCode::AUTH_FAIL),
        "{error:?}"
    );
}
