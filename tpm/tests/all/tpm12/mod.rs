//! The TPM 1.2 client against a real software TPM 1.2 (swtpm).

mod attesting;
mod bus_forged;
mod counters;
mod keys;
mod left_behind;
mod nv;
mod owner;
mod refusals;
mod sealing;

use std::{
    io,
    sync::{Arc, Mutex},
};

use sha1::{Digest, Sha1};
use tpm::{
    Bank, PcrIndex, PcrPolicy, PcrSet, PcrValues,
    swtpm::{Extend12, Swtpm},
    tpm12::{
        KnownTpm12, ReturnCode, Secret, StorageKey, Tpm12, Tpm12Error,
        transport::{self, Transport},
    },
};

/// The owner's password of [`Machine12`].
const OWNER: &str = "ownerpw";
/// That of another machine.
const OTHER_OWNER: &str = "another owner";

/// What a launch hashes into PCR 17, and extends into 17, 18, 19.
type Launch = (&'static [u8], [&'static [u8]; 3]);

const LAUNCH: Launch = (b"SINIT", [b"policy", b"kernel", b"initramfs"]);
const OTHER_LAUNCH: Launch = (b"SINIT", [b"policy", b"kernel, changed", b"initramfs"]);

fn owner() -> Secret {
    Secret::from_password(OWNER.as_bytes())
}

fn code<T>(result: Result<T, Tpm12Error>) -> ReturnCode {
    result.err().unwrap().code().unwrap()
}

fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    Sha1::digest(parts.concat()).into()
}

/// A machine with an owned TPM 1.2.
struct Machine12 {
    swtpm: Swtpm,
    key: StorageKey,
}

impl Machine12 {
    /// Powered on, not launched.
    fn new() -> Self {
        Self::owned_with(OWNER)
    }

    /// Another machine: the TPMs of one owner's password are copies of one TPM.
    fn other() -> Self {
        Self::owned_with(OTHER_OWNER)
    }

    fn owned_with(password: &str) -> Self {
        let swtpm = Swtpm::start_tpm12(Some(password)).unwrap();
        let mut tpm = Tpm12::open(&swtpm.tcti()).unwrap();
        let owner = Secret::from_password(password.as_bytes());
        let key = StorageKey::of_owner(&mut tpm, &owner, None).unwrap();
        Self { swtpm, key }
    }

    /// Powered on and launched as approved.
    fn launched() -> Self {
        let machine = Self::new();
        machine.launch(LAUNCH);
        machine
    }

    fn reboot_launched(&mut self, launch: Launch) {
        self.swtpm.reboot().unwrap();
        self.launch(launch);
    }

    fn launch(&self, (hash_data, extended): Launch) {
        let extends = [17, 18, 19].map(|pcr| Extend12 {
            locality: 2,
            pcr,
            digest: sha1(&[extended[usize::from(pcr) - 17]]),
        });
        self.swtpm.launch_tpm12(hash_data, &extends).unwrap();
    }

    fn open(&self) -> Tpm12 {
        Tpm12::open(&self.swtpm.tcti()).unwrap()
    }

    fn known(&self) -> KnownTpm12 {
        KnownTpm12::new(self.open(), self.key.clone())
    }

    /// Behind a wire that is listened to, and on which somebody may answer.
    fn behind(&self, wire: &Wire) -> KnownTpm12 {
        KnownTpm12::new(self.over(wire), self.key.clone())
    }

    fn over(&self, wire: &Wire) -> Tpm12 {
        over(&self.swtpm, wire)
    }
}

/// A TPM behind a wire.
fn over(swtpm: &Swtpm, wire: &Wire) -> Tpm12 {
    Tpm12::over(Box::new(Relay {
        wire: wire.clone(),
        tpm: transport::open(&swtpm.tcti()).unwrap(),
    }))
}

/// The policy for a launch: its PCR 17, 18, 19 computed here, and the latch open.
fn launch_policy((hash_data, extended): Launch) -> PcrPolicy {
    let start = sha1(&[&[0; 20], &sha1(&[hash_data])]);
    let mut values = PcrValues::new(Bank::Sha1);
    values.insert(PcrIndex::LATCH, vec![0; 20]).unwrap();
    for (pcr, before, data) in [
        (17, start, extended[0]),
        (18, [0; 20], extended[1]),
        (19, [0; 20], extended[2]),
    ] {
        let value = sha1(&[&before, &sha1(&[data])]);
        let index = PcrIndex::try_from(pcr).unwrap();
        values.insert(index, value.to_vec()).unwrap();
    }
    PcrPolicy::for_tpm12(values).unwrap()
}

fn deciding() -> PcrSet {
    PcrSet::LAUNCH.with(PcrIndex::LATCH)
}

/// Answers a command in the TPM's place, which may be asked; or leaves it to the TPM.
type Forger = Box<dyn FnMut(&[u8], &mut dyn Transport) -> Option<Vec<u8>> + Send>;

/// What went over the wire, and who answers there.
#[derive(Default)]
struct Traffic {
    /// Ordinals in order.
    commands: Vec<u32>,
    bytes: Vec<u8>,
    forger: Option<Forger>,
}

type Wire = Arc<Mutex<Traffic>>;

struct Relay {
    wire: Wire,
    tpm: Box<dyn Transport>,
}

impl Transport for Relay {
    fn transmit(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        let mut wire = self.wire.lock().unwrap();
        wire.commands.push(ordinal(command));
        wire.bytes.extend(command);
        let forged = match &mut wire.forger {
            Some(forge) => forge(command, self.tpm.as_mut()),
            None => None,
        };
        let answer = match forged {
            Some(answer) => answer,
            None => self.tpm.transmit(command)?,
        };
        wire.bytes.extend(&answer);
        Ok(answer)
    }
}

fn ordinal(command: &[u8]) -> u32 {
    u32::from_be_bytes(command[6..10].try_into().unwrap())
}
