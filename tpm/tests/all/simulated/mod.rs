//! The simulated TPM and swtpm: the same operations have the same outcomes.

mod pair;

use crate::machine::{LAUNCH, Machine, launch_policy};
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier};
use p256::pkcs8::DecodePublicKey;
use pair::{Damage, Pair, Sealing, Step};
use proptest::prelude::*;
use tpm::{
    AuthPolicy, Bank, PcrSet, Tpm, TpmError,
    simulated::{Call, SimulatedTpm},
};

const SECRET: &[u8] = b"thirty-two bytes of boot secret!";
/// Scripts that are drawn. Each starts an swtpm.
const SCRIPTS: u32 = 12;

fn sealing() -> impl Strategy<Value = Sealing> {
    (
        0..2_usize,
        proptest::option::weighted(0.3, 0..4_u64),
        any::<bool>(),
        proptest::option::weighted(0.3, 1..3_u8),
    )
        .prop_map(|(launch, limit, signed, auth)| Sealing {
            launch,
            limit,
            signed,
            auth,
        })
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        6 => Just(Damage::None),
        1 => Just(Damage::Pinned),
        1 => Just(Damage::OtherPin),
        1 => Just(Damage::Parent),
        1 => Just(Damage::Private),
        1 => Just(Damage::Policy),
        1 => Just(Damage::Cut),
        1 => Just(Damage::Signature),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => proptest::option::weighted(0.8, 0..2_usize).prop_map(Step::Reboot),
        1 => (0..24_u8).prop_map(Step::Read),
        1 => prop_oneof![Just(15_u8), 0..24_u8].prop_map(Step::Event),
        3 => sealing().prop_map(Step::Seal),
        8 => (0..8_usize, sealing(), damage()).prop_map(|(n, s, d)| Step::Unseal(n, s, d)),
        1 => Just(Step::Create),
        1 => Just(Step::Raise),
        1 => Just(Step::Delete),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: SCRIPTS, max_shrink_iters: 64, ..ProptestConfig::default() })]
    #[test]
    fn it_decides_as_swtpm_does(steps in proptest::collection::vec(step(), 24)) {
        let mut pair = Pair::new();
        for (number, step) in steps.iter().enumerate() {
            let (real, simulated) = pair.step(step);
            prop_assert_eq!(real, simulated, "step {}: {:?}", number, step);
        }
    }
}

/// The way of a machine's life, so that each outcome of interest is met for certain.
#[test]
fn each_decision_is_the_one_of_swtpm() {
    let plain = |launch| Sealing {
        launch,
        limit: None,
        signed: false,
        auth: None,
    };
    let limited = |limit| Sealing {
        limit: Some(limit),
        ..plain(0)
    };
    let signed = |launch| Sealing {
        signed: true,
        ..plain(launch)
    };
    let secured = |auth, sealing| Sealing {
        auth: Some(auth),
        ..sealing
    };
    let unseal = |number, sealing| Step::Unseal(number, sealing, Damage::None);
    let script = [
        Step::Seal(plain(0)),
        Step::Seal(signed(0)),
        Step::Seal(limited(1)),
        unseal(0, plain(0)),
        Step::Reboot(Some(0)),
        unseal(0, plain(0)),
        unseal(0, plain(1)),
        unseal(1, plain(0)),
        unseal(1, signed(0)),
        unseal(1, signed(1)),
        unseal(0, signed(0)),
        unseal(2, limited(1)),
        Step::Create,
        Step::Create,
        unseal(2, limited(1)),
        Step::Raise,
        unseal(2, limited(1)),
        unseal(2, limited(2)),
        Step::Delete,
        Step::Raise,
        Step::Create,
        unseal(2, limited(1)),
        Step::Unseal(0, plain(0), Damage::Pinned),
        Step::Unseal(0, plain(0), Damage::OtherPin),
        Step::Unseal(0, plain(0), Damage::Parent),
        Step::Unseal(0, plain(0), Damage::Private),
        Step::Unseal(0, plain(0), Damage::Policy),
        Step::Unseal(0, plain(0), Damage::Cut),
        Step::Unseal(1, signed(0), Damage::Signature),
        Step::Seal(secured(1, plain(0))),
        Step::Seal(secured(1, signed(0))),
        unseal(3, plain(0)),
        unseal(0, secured(1, plain(0))),
        unseal(3, secured(1, plain(1))),
        unseal(3, secured(2, plain(1))),
        unseal(3, secured(2, plain(0))),
        unseal(3, secured(1, plain(0))),
        unseal(4, secured(2, signed(0))),
        unseal(4, secured(1, signed(0))),
        unseal(4, secured(2, signed(0))),
        // Locked: neither the right one, nor what is sealed without is concerned.
        unseal(4, secured(1, signed(0))),
        unseal(3, secured(1, plain(0))),
        unseal(0, plain(0)),
        Step::Event(17),
        Step::Event(15),
        Step::Read(15),
        unseal(0, plain(0)),
        Step::Reboot(Some(1)),
        unseal(0, plain(0)),
        unseal(0, plain(1)),
    ];
    let mut pair = Pair::new();
    for (number, step) in script.iter().enumerate() {
        let (real, simulated) = pair.step(step);
        assert_eq!(real, simulated, "step {number}: {step:?}");
    }
}

#[test]
fn its_quotes_verify_and_have_the_form_of_real_ones() {
    let machine = Machine::new();
    let mut real = machine.open();
    let mut simulated = SimulatedTpm::new(1);
    let pcrs = PcrSet::LAUNCH;
    let quotes = [&mut real as &mut dyn Tpm, &mut simulated].map(|tpm| {
        let key = VerifyingKey::from_public_key_der(&tpm.attestation_key().unwrap().spki).unwrap();
        let quote = tpm.quote(b"nonce", Bank::Sha256, pcrs).unwrap();
        let signature = Signature::from_der(&quote.signature).unwrap();
        key.verify(&quote.attest, &signature).unwrap();
        quote.attest
    });
    let [real, simulated] = quotes;
    assert_eq!(real.len(), simulated.len());
    // Magic, type; the qualifying data; then, behind clock and firmware, what is quoted.
    let signer = 6..42;
    let clock = 49..74;
    for (place, (one, other)) in real.iter().zip(&simulated).enumerate() {
        if !signer.contains(&place) && !clock.contains(&place) {
            assert_eq!(one, other, "byte {place}");
        }
    }
}

#[test]
fn failures_come_when_they_are_asked_for_and_once() {
    let mut tpm = SimulatedTpm::new(1);
    let absent = |reason: &str| TpmError::Unreachable {
        tcti: "simulated".to_owned(),
        reason: reason.to_owned(),
    };
    tpm.fail_next(Call::Seal, absent("first"));
    tpm.fail_next(Call::Srk, absent("another call"));
    tpm.fail_next(Call::Seal, absent("second"));
    let policy: AuthPolicy = launch_policy(LAUNCH).into();
    for words in ["first", "second"] {
        let error = tpm.seal(SECRET, &policy, None).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    tpm.seal(SECRET, &policy, None).unwrap();
    assert!(tpm.srk().is_err());
    assert!(tpm.srk().is_ok());
}
