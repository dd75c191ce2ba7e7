//! Taking ownership, the endorsement key, and the storage root key's secret in its spellings.

use tpm::{
    Tpm,
    swtpm::Swtpm,
    tpm12::{KnownTpm12, ReturnCode, Secret, SrkSecret, SrkSpelling, StorageKey, Tpm12},
};

use super::{Machine12, Wire, code, over};

#[test]
fn ownership_is_taken_once_and_the_storage_root_key_has_the_secret_that_was_given() {
    let new = Secret::from_password(b"new owner");
    let own = Secret::from_password(b"the key's own");
    let wishes = SrkSpelling::ALL.map(|spelling| (spelling.secret(), Some(spelling)));
    for (secret, spelling) in wishes.into_iter().chain([(own.clone(), None)]) {
        let swtpm = Swtpm::start_tpm12(None).unwrap();
        let mut tpm = Tpm12::open(&swtpm.tcti()).unwrap();
        assert_eq!(code(tpm.srk_public(&new)), ReturnCode::NO_SRK);
        let endorsement = tpm.read_endorsement().unwrap();
        let public = tpm.take_ownership(&endorsement, &new, &secret).unwrap();
        assert!(tpm.has_owner().unwrap());
        assert_eq!(tpm.srk_public(&new).unwrap(), public);
        assert_eq!(tpm.endorsement_public(&new).unwrap(), endorsement);
        let again = tpm.take_ownership(&endorsement, &new, &secret);
        assert_eq!(code(again), ReturnCode::OWNER_SET);
        // Each wrong one is a guess that the TPM counts, so that nothing is tried twice here.
        let found = StorageKey::of_owner(&mut tpm, &new, None);
        if spelling.is_none() {
            let text = found.map(drop).unwrap_err().to_string();
            assert!(text.contains("must be given"), "{text}");
            let given = StorageKey::of_owner(&mut tpm, &new, Some(own.clone())).unwrap();
            let mut known = KnownTpm12::new(tpm, given);
            assert_eq!(known.srk().unwrap().name, public.name());
        } else {
            assert!(
                matches!(found.unwrap().secret, SrkSecret::Spelled(it) if Some(it) == spelling)
            );
        }
    }
}

#[test]
fn an_endorsement_key_that_was_changed_on_the_way_is_noticed() {
    let swtpm = Swtpm::start_tpm12(None).unwrap();
    let wire = Wire::default();
    let mut tpm = over(&swtpm, &wire);
    let key = tpm.read_endorsement().unwrap();
    for place in [60, 200, 300] {
        wire.lock().unwrap().forger = Some(Box::new(move |command, tpm| {
            let mut answer = tpm.transmit(command).unwrap();
            answer[place] ^= 1;
            Some(answer)
        }));
        let text = tpm.read_endorsement().unwrap_err().to_string();
        assert!(text.contains("checksum"), "{text}");
    }
    wire.lock().unwrap().forger = None;
    assert_eq!(tpm.read_endorsement().unwrap(), key);
}

#[test]
fn swtpms_own_set_up_spells_a_secret_that_is_found() {
    let machine = Machine12::new();
    assert!(matches!(
        machine.key.secret,
        SrkSecret::Spelled(SrkSpelling::HashOfZeros)
    ));
    let mut tpm = machine.open();
    // Nobody but the owner is shown the keys.
    assert_eq!(code(tpm.read_endorsement()), ReturnCode::DISABLED_CMD);
    let srk = 0x4000_0000;
    let secret = SrkSpelling::HashOfZeros.secret();
    assert_eq!(
        code(tpm.key_public(srk, &secret)),
        ReturnCode::INVALID_KEYHANDLE
    );
}
