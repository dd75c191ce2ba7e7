//! The simulated TPM and swtpm: the same operations have the same outcomes.

use crate::machine::{LAUNCH, Launch, Machine, OTHER_LAUNCH, launch_policy};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey, signature::Verifier};
use p256::pkcs8::DecodePublicKey;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use tpm::{
    Approval, AuthPolicy, Bank, CounterLimit, LaunchPolicy, Name, PcrIndex, PcrSet,
    PolicySignature, PolicySigner, Sealed, Tpm, Tpm2, TpmError,
    simulated::{Call, SimulatedTpm},
};

const SECRET: &[u8] = b"thirty-two bytes of boot secret!";
const COUNTER: u32 = 0x0180_74a1;
/// Scripts that are drawn. Each starts an swtpm.
const SCRIPTS: u32 = 12;

/// What is done with both.
#[derive(Clone, Debug)]
enum Step {
    Reboot(Option<usize>),
    Read(u8),
    Event(u8),
    /// Policy, or the signer's; with a limit of the counter's first value plus this.
    Seal(Sealing),
    /// A thing that was sealed, the approval that is shown, and what is done to the record.
    Unseal(usize, Sealing, Damage),
    Create,
    Raise,
    Delete,
}

#[derive(Clone, Copy, Debug)]
struct Sealing {
    launch: usize,
    limit: Option<u64>,
    signed: bool,
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    None,
    Pinned,
    OtherPin,
    Parent,
    Private,
    Policy,
    Cut,
    Signature,
}

const LAUNCHES: [Launch; 2] = [LAUNCH, OTHER_LAUNCH];

/// Both, and what was sealed in each of them.
struct Pair {
    machine: Machine,
    real: Tpm2,
    simulated: SimulatedTpm,
    sealed: Vec<(Sealed, Sealed)>,
    key: SigningKey,
}

impl Pair {
    fn new() -> Self {
        let machine = Machine::new();
        Pair {
            real: machine.open(),
            machine,
            simulated: SimulatedTpm::new(1),
            sealed: Vec::new(),
            key: SigningKey::from_slice(&[7; 32]).unwrap(),
        }
    }

    /// One step; the outcomes of the real and of the simulated one.
    fn step(&mut self, step: &Step) -> (String, String) {
        match step {
            Step::Reboot(launch) => {
                self.reboot(*launch);
                (String::new(), String::new())
            }
            Step::Read(pcr) => {
                let set = PcrSet::default().with(index(*pcr)).with(index(17));
                let (real, simulated) = (&mut self.real, &mut self.simulated);
                // swtpm's SHA-1 bank is off.
                let mut both = (String::new(), String::new());
                for bank in [Bank::Sha256, Bank::Sha384] {
                    both.0 += &outcome(real.pcr_read(bank, set));
                    both.1 += &outcome(simulated.pcr_read(bank, set));
                }
                both
            }
            Step::Event(pcr) => {
                let call = |tpm: &mut dyn Tpm| outcome(tpm.pcr_event(index(*pcr), b"event"));
                (call(&mut self.real), call(&mut self.simulated))
            }
            Step::Seal(sealing) => self.seal(*sealing),
            Step::Unseal(number, approval, damage) => self.unseal(*number, *approval, *damage),
            Step::Create => (
                outcome(self.real.rollback_counter_create(COUNTER, b"")),
                outcome(self.simulated.rollback_counter_create(COUNTER)),
            ),
            Step::Raise => (
                outcome(self.real.rollback_counter_raise(COUNTER, b"")),
                outcome(self.simulated.rollback_counter_raise(COUNTER)),
            ),
            Step::Delete => {
                // That there is nothing to delete is not an outcome of interest.
                drop(self.real.nv_undefine(COUNTER, b""));
                self.simulated.rollback_counter_delete(COUNTER);
                (
                    outcome(self.real.rollback_counter_value(COUNTER)),
                    outcome(Ok(self.simulated.rollback_counter_value(COUNTER))),
                )
            }
        }
    }

    fn reboot(&mut self, launch: Option<usize>) {
        self.simulated.reboot();
        match launch.map(|launch| LAUNCHES[launch]) {
            Some((data, extended)) => {
                self.machine.reboot_launched((data, extended));
                let extends = [17, 18, 19]
                    .map(|pcr: u8| (pcr, Sha256::digest(extended[usize::from(pcr) - 17]).into()));
                self.simulated.launch(data, &extends);
            }
            None => self.machine.swtpm.reboot().unwrap(),
        }
        self.real = self.machine.open();
    }

    fn seal(&mut self, sealing: Sealing) -> (String, String) {
        let policy = if sealing.signed {
            AuthPolicy::Signed(self.signer())
        } else {
            AuthPolicy::Launch(launch(sealing))
        };
        let real = self.real.seal(SECRET, &policy).unwrap();
        let simulated = self.simulated.seal(SECRET, &policy).unwrap();
        let shape = |sealed: &Sealed| {
            let public = &sealed.public;
            format!("{:?} {}", &public[..48], public.len())
        };
        let outcomes = (shape(&real), shape(&simulated));
        self.sealed.push((real, simulated));
        outcomes
    }

    fn unseal(&mut self, number: usize, sealing: Sealing, damage: Damage) -> (String, String) {
        let Some(number) = number.checked_rem(self.sealed.len()) else {
            return (String::new(), String::new());
        };
        let approval = self.approval(sealing, damage);
        let (real, simulated) = self.sealed[number].clone();
        let call = |tpm: &mut dyn Tpm, mut sealed: Sealed| {
            let other = Name::from_bytes(&[&[0, 0x0b][..], &[7; 32]].concat()).unwrap();
            let mut pinned = None;
            match damage {
                Damage::None | Damage::Signature => {}
                Damage::Pinned => pinned = Some(sealed.parent.clone()),
                Damage::OtherPin => pinned = Some(other),
                Damage::Parent => sealed.parent = other,
                Damage::Private => *sealed.private.last_mut().unwrap() ^= 1,
                Damage::Policy => sealed.public[20] ^= 1,
                Damage::Cut => drop(sealed.public.pop()),
            }
            outcome(tpm.unseal(&sealed, &approval, pinned.as_ref()))
        };
        (
            call(&mut self.real, real),
            call(&mut self.simulated, simulated),
        )
    }

    fn approval(&self, sealing: Sealing, damage: Damage) -> Approval {
        use p256::ecdsa::signature::hazmat::PrehashSigner;
        let launch = launch(sealing);
        if !sealing.signed {
            return Approval::literal(launch);
        }
        let digest = PolicySigner::signed_digest(&launch);
        let signature: Signature = self.key.sign_prehash(&digest).unwrap();
        let mut r_and_s: [u8; 64] = signature.to_bytes().into();
        if matches!(damage, Damage::Signature) {
            r_and_s[40] ^= 1;
        }
        let signer = self.signer();
        Approval::signed(launch, PolicySignature { signer, r_and_s })
    }

    fn signer(&self) -> PolicySigner {
        let point = self.key.verifying_key().to_sec1_point(false);
        PolicySigner::from_point(point.as_bytes()).unwrap()
    }
}

fn launch(sealing: Sealing) -> LaunchPolicy {
    let index = COUNTER;
    let limit = sealing.limit.map(|limit| CounterLimit { index, limit });
    LaunchPolicy::new(launch_policy(LAUNCHES[sealing.launch]), limit)
}

fn index(pcr: u8) -> PcrIndex {
    PcrIndex::try_from(pcr).unwrap()
}

/// What is compared: values, kinds of errors, response codes and what they name. Names of keys
/// differ.
fn outcome<T: std::fmt::Debug>(result: Result<T, TpmError>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(TpmError::Command { command, code, .. }) => format!("{command} {code:#x}"),
        Err(TpmError::NotOurs { code, .. }) => format!("not ours {code:#x}"),
        Err(TpmError::WrongSrk { .. }) => "wrong SRK".to_owned(),
        Err(TpmError::BadParameter(_)) => "bad parameter".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

fn sealing() -> impl Strategy<Value = Sealing> {
    (
        0..2_usize,
        proptest::option::weighted(0.3, 0..4_u64),
        any::<bool>(),
    )
        .prop_map(|(launch, limit, signed)| Sealing {
            launch,
            limit,
            signed,
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
    };
    let limited = |limit| Sealing {
        limit: Some(limit),
        ..plain(0)
    };
    let signed = |launch| Sealing {
        signed: true,
        ..plain(launch)
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
        let error = tpm.seal(SECRET, &policy).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    tpm.seal(SECRET, &policy).unwrap();
    assert!(tpm.srk().is_err());
    assert!(tpm.srk().is_ok());
}
