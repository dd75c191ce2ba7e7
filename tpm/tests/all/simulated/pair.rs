//! swtpm and the simulated TPM, to which the same is done.

use crate::machine::{LAUNCH, Launch, Machine, OTHER_LAUNCH, launch_policy};
use p256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner};
use sha2::{Digest, Sha256};
use tpm::{
    Approval, AuthPolicy, AuthValue, Bank, CounterLimit, LaunchPolicy, Name, PcrIndex, PcrSet,
    PolicySignature, PolicySigner, Sealed, Tpm, Tpm2, TpmError, simulated::SimulatedTpm,
};

const SECRET: &[u8] = b"thirty-two bytes of boot secret!";
const COUNTER: u32 = 0x0180_74a1;

/// What is done with both.
#[derive(Clone, Debug)]
pub enum Step {
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
pub struct Sealing {
    pub launch: usize,
    pub limit: Option<u64>,
    pub signed: bool,
    /// With an authorization value: which.
    pub auth: Option<u8>,
}

#[derive(Clone, Copy, Debug)]
pub enum Damage {
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
pub struct Pair {
    machine: Machine,
    real: Tpm2,
    simulated: SimulatedTpm,
    sealed: Vec<(Sealed, Sealed)>,
    key: SigningKey,
}

impl Pair {
    pub fn new() -> Self {
        let machine = Machine::new();
        Self {
            real: machine.open(),
            machine,
            simulated: SimulatedTpm::new(1),
            sealed: Vec::new(),
            key: SigningKey::from_slice(&[7; 32]).unwrap(),
        }
    }

    /// One step; the outcomes of the real and of the simulated one.
    pub fn step(&mut self, step: &Step) -> (String, String) {
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
        let call = |tpm: &mut dyn Tpm| match value(sealing) {
            Some(auth) => tpm.seal_with_auth(SECRET, &policy, None, &auth).unwrap(),
            None => tpm.seal(SECRET, &policy, None).unwrap(),
        };
        let real = call(&mut self.real);
        let simulated = call(&mut self.simulated);
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
            let pinned = pinned.as_ref();
            let opened = match value(sealing) {
                Some(auth) => tpm.unseal_with_auth(&sealed, &approval, pinned, &auth),
                None => tpm.unseal(&sealed, &approval, pinned),
            };
            outcome(opened) + &outcome(tpm.lockout())
        };
        (
            call(&mut self.real, real),
            call(&mut self.simulated, simulated),
        )
    }

    fn approval(&self, sealing: Sealing, damage: Damage) -> Approval {
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

fn value(sealing: Sealing) -> Option<AuthValue> {
    sealing
        .auth
        .map(|byte| AuthValue::new(&[byte; 32]).unwrap())
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
