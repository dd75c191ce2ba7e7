//! PCRs, keys, quotes and randomness of a real TPM 2.0.

use crate::machine::{LAUNCH, Machine, command, launch_policy};
use p256::{
    ecdsa::{Signature, VerifyingKey, signature::Verifier},
    pkcs8::DecodePublicKey,
};
use sha2::{Digest, Sha256, Sha384};
use tpm::{Bank, PcrIndex, PcrSet, Tpm, Tpm2, TpmError};

fn pcr(number: u8) -> PcrIndex {
    PcrIndex::try_from(number).unwrap()
}

#[test]
fn the_policy_digest_is_the_one_a_real_session_has() {
    let machine = Machine::launched();
    let policy = launch_policy(LAUNCH);
    let null = 0x4000_0007u32.to_be_bytes();
    let nonce = [&[0, 16][..], &[1; 16]].concat();
    // Trial session, no symmetric algorithm, SHA-256.
    let start = [0, 0, 0x03, 0x00, 0x10, 0x00, 0x0b];
    let answer = machine
        .swtpm
        .command(&command(0x8001, 0x0176, &[&null, &null, &nonce, &start]))
        .unwrap();
    let session = &answer[10..14];
    let selection = [&[0, 0, 0, 1, 0, 0x0b, 3][..], &policy.pcrs().select_bytes()].concat();
    // An empty digest: the TPM takes the values that its PCRs have.
    let answer = machine
        .swtpm
        .command(&command(0x8001, 0x017f, &[session, &[0, 0], &selection]))
        .unwrap();
    assert_eq!(answer[6..], [0; 4]);
    let answer = machine
        .swtpm
        .command(&command(0x8001, 0x0189, &[session]))
        .unwrap();
    assert_eq!(answer[12..], policy.digest());
}

#[test]
fn all_24_registers_of_each_bank_are_read() {
    let machine = Machine::new();
    let all: PcrSet = (0..24).map(pcr).collect();
    for bank in [Bank::Sha1, Bank::Sha256, Bank::Sha384] {
        let values = machine.open().pcr_read(bank, all).unwrap();
        assert_eq!(values.set(), all);
        assert_eq!(values.get(pcr(16)).unwrap(), vec![0; bank.digest_len()]);
        assert_eq!(values.get(pcr(17)).unwrap(), vec![0xff; bank.digest_len()]);
    }
    assert!(
        machine
            .open()
            .pcr_read(Bank::Sha256, PcrSet::default())
            .unwrap()
            .set()
            .is_empty()
    );
}

#[test]
fn an_event_extends_every_bank_with_its_digest() {
    let machine = Machine::new();
    let mut tpm = machine.open();
    tpm.pcr_event(PcrIndex::LATCH, b"event").unwrap();
    let set = PcrSet::default().with(PcrIndex::LATCH);
    let sha256 = tpm.pcr_read(Bank::Sha256, set).unwrap();
    let expected = Sha256::digest([&[0; 32][..], &Sha256::digest(b"event")].concat());
    assert_eq!(sha256.get(PcrIndex::LATCH).unwrap(), &expected[..]);
    let sha384 = tpm.pcr_read(Bank::Sha384, set).unwrap();
    let expected = Sha384::digest([&[0; 48][..], &Sha384::digest(b"event")].concat());
    assert_eq!(sha384.get(PcrIndex::LATCH).unwrap(), &expected[..]);
    let sha1 = tpm.pcr_read(Bank::Sha1, set).unwrap();
    assert_ne!(sha1.get(PcrIndex::LATCH).unwrap(), [0; 20]);
}

#[test]
fn an_extend_from_the_wrong_locality_is_an_error() {
    let machine = Machine::launched();
    let error = machine.open().pcr_event(pcr(17), b"x").unwrap_err();
    assert!(
        matches!(error, TpmError::Command { code: 0x907, .. }),
        "{error:?}"
    );
}

#[test]
fn the_persistent_storage_key_is_the_derived_one() {
    let mut machine = Machine::new();
    let mut tpm = machine.open();
    let derived = tpm.srk().unwrap();
    assert_eq!(derived.persistent, None);
    let policy = launch_policy(LAUNCH);
    let sealed = tpm.seal(b"x", &policy.clone().into(), None).unwrap();
    assert_eq!(sealed.parent, derived.name);
    let persistent = tpm.persist_srk().unwrap();
    assert_eq!(
        (persistent.persistent, &persistent.name),
        (Some(0x8100_0001), &derived.name)
    );
    assert_eq!(
        tpm.persist_srk().unwrap(),
        persistent,
        "a second time changes nothing"
    );
    assert_eq!(tpm.srk().unwrap(), persistent);
    machine.reboot_launched(LAUNCH);
    let mut tpm = machine.open();
    assert_eq!(tpm.srk().unwrap(), persistent);
    assert_eq!(
        *tpm.unseal(&sealed, &policy.clone().into(), None).unwrap(),
        *b"x"
    );
    machine.assert_nothing_loaded();
}

#[test]
fn an_owner_password_is_named_as_the_cause() {
    let machine = Machine::new();
    // TPM2_HierarchyChangeAuth of the owner hierarchy to "pw".
    let password = [0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0];
    let owner = 0x4000_0001u32.to_be_bytes();
    let answer = machine
        .swtpm
        .command(&command(
            0x8002,
            0x0129,
            &[&owner, &password, &[0, 2], b"pw"],
        ))
        .unwrap();
    assert_eq!(answer[6..10], [0; 4]);
    let mut tpm = machine.open();
    for error in [tpm.srk().unwrap_err(), tpm.persist_srk().unwrap_err()] {
        let owner = matches!(
            error,
            TpmError::HierarchyPassword {
                hierarchy: "owner",
                ..
            }
        );
        assert!(owner, "{error:?}");
    }
}

#[test]
fn a_quote_verifies_with_the_attestation_key() {
    let mut machine = Machine::launched();
    let mut tpm = machine.open();
    let key = tpm.attestation_key().unwrap();
    let policy = launch_policy(LAUNCH);
    let challenge = [0x5a; 32];
    let quote = tpm.quote(&challenge, Bank::Sha256, policy.pcrs()).unwrap();
    let verifier = VerifyingKey::from_public_key_der(&key.spki).unwrap();
    let signature = Signature::from_der(&quote.signature).unwrap();
    verifier.verify(&quote.attest, &signature).unwrap();
    let mut other = quote.attest.clone();
    other[50] ^= 1;
    assert!(verifier.verify(&other, &signature).is_err());
    // TPMS_ATTEST: magic, type, qualified signer, extra data, clock, firmware, quote.
    let attest = &quote.attest[..];
    assert_eq!(attest[..6], [0xff, b'T', b'C', b'G', 0x80, 0x18]);
    let signer = usize::from(u16::from_be_bytes([attest[6], attest[7]]));
    let extra = &attest[8 + signer..];
    assert_eq!(extra[..34], [&[0, 32][..], &challenge].concat());
    let quoted = &extra[34 + 17 + 8..];
    let selection = [&[0, 0, 0, 1, 0, 0x0b, 3][..], &policy.pcrs().select_bytes()].concat();
    assert_eq!(quoted[..10], selection);
    assert_eq!(quoted[10..], [&[0, 32][..], &policy.pcr_digest()].concat());
    machine.assert_nothing_loaded();
    machine.swtpm.reboot().unwrap();
    assert_eq!(
        machine.open().attestation_key().unwrap(),
        key,
        "the same at each boot"
    );
    let error = machine
        .open()
        .quote(&[0; 33], Bank::Sha256, policy.pcrs())
        .unwrap_err();
    assert!(matches!(error, TpmError::BadParameter(_)), "{error:?}");
}

#[test]
fn as_many_random_bytes_come_as_were_asked_for() {
    let machine = Machine::new();
    let mut tpm = machine.open();
    for length in [0, 1, 32, 33, 200] {
        assert_eq!(tpm.random(length).unwrap().len(), length);
    }
    assert_ne!(tpm.random(32).unwrap(), tpm.random(32).unwrap());
    assert!(matches!(
        tpm.random(1 << 20),
        Err(TpmError::BadParameter(_))
    ));
}

#[test]
fn a_tpm_that_is_not_there_is_named() {
    let device = "device:/nonexistent/tpmrm0";
    let error = Tpm2::open(device).err().unwrap();
    assert!(matches!(error, TpmError::Absent { .. }), "{error:?}");
    assert!(error.to_string().contains(device), "{error}");
    let gone = Machine::new().swtpm.tcti();
    let error = Tpm2::open(&gone).err().unwrap();
    assert!(matches!(error, TpmError::Unreachable { .. }), "{error:?}");
}
