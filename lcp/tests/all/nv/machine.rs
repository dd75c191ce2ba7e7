//! TPMs and policies that the tests share.

use lcp::nv::{IndexSet, NvStorage, Owner, Plan, Wish, tpm12::Storage12, tpm20::Storage20};
use tpm::{family::Family, swtpm::Swtpm, tpm12::Tpm12};
use txt::{
    hash::{Digest, HashAlg},
    policy::{Policy, Policy12, Policy20, PolicyType, PolicyVersion20, SignMask},
};
use zeroize::Zeroizing;

pub const PASSWORD: &str = "ownerpw";

/// A TPM with an owner, and which one it is.
pub struct Machine {
    pub swtpm: Swtpm,
    pub family: Family,
}

impl Machine {
    pub fn new(family: Family) -> Self {
        let swtpm = match family {
            Family::Tpm12 => Swtpm::start_tpm12(Some(PASSWORD)).unwrap(),
            Family::Tpm20 => {
                let swtpm = Swtpm::start().unwrap();
                swtpm.set_owner_password(PASSWORD).unwrap();
                swtpm
            }
        };
        Self { swtpm, family }
    }

    pub fn open(&self) -> Box<dyn NvStorage> {
        let tcti = self.swtpm.tcti();
        match self.family {
            Family::Tpm12 => Box::new(Storage12::new(Tpm12::open(&tcti).unwrap())),
            Family::Tpm20 => Box::new(Storage20::open(&tcti).unwrap()),
        }
    }

    /// Policy, launch policy and error index.
    pub fn wishes(&self, hash_byte: u8) -> Vec<Wish> {
        let set = IndexSet::default();
        vec![
            Wish::owner_policy(self.family, set, &policy(self.family, hash_byte, [0; 8])).unwrap(),
            Wish::launch_policy(self.family, set, &launch_policy()).unwrap(),
            Wish::launch_error(self.family, set),
        ]
    }

    pub fn plan(&self, wishes: Vec<Wish>) -> Plan {
        Plan::make(self.open().as_mut(), wishes).unwrap()
    }

    /// Takes all steps of a plan for these.
    pub fn apply(&self, wishes: Vec<Wish>) -> Plan {
        let mut storage = self.open();
        let plan = Plan::make(storage.as_mut(), wishes).unwrap();
        lcp::nv::apply(storage.as_mut(), &plan, &owner(), &mut |_| Ok(())).unwrap();
        plan
    }
}

pub fn owner() -> Owner {
    Owner::password(Zeroizing::new(PASSWORD.into()))
}

/// A policy of type list for this TPM.
pub fn policy(family: Family, hash_byte: u8, counters: [u16; 8]) -> Vec<u8> {
    let hash = |alg: HashAlg| Digest::new(alg, &vec![hash_byte; alg.digest_len()]).unwrap();
    match family {
        Family::Tpm12 => {
            let mut policy = Policy12::new(4, PolicyType::List, hash(HashAlg::Sha1)).unwrap();
            policy.data_revocation_counters = counters;
            Policy::Tpm12(policy).to_bytes()
        }
        Family::Tpm20 => {
            let version = PolicyVersion20::V3_2;
            let mask = SignMask::default();
            let mut policy = Policy20::new(version, PolicyType::List, hash(HashAlg::Sha256), mask);
            policy.data_revocation_counters = counters;
            Policy::Tpm20(policy).to_bytes()
        }
    }
}

/// A verified launch policy without entries: 12 bytes.
pub fn launch_policy() -> Vec<u8> {
    vec![2, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0]
}
