//! What tboot itself extends: its policy, then the modules as the policy says.

use std::fmt;

use lcp::hash::{Digest, HashAlg};
use tpm::pcr::{Bank, PcrIndex, PcrSyntaxError};

use super::{Event, LOCALITY_TBOOT, LaunchError, MAX_TBOOT_EVENTS, event_type};
use crate::{
    module::Module,
    platform::bank_alg,
    vlp::{Check, Policy, PolicyType},
};

/// A module that is not as the policy wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// No entry speaks of the module, so that it isn't measured either.
    NoEntry {
        /// Its number, from 0.
        number: usize,
        /// Its name.
        module: String,
    },
    /// The module's hash is none of those that its entry allows.
    HashNotAllowed {
        /// Its number, from 0.
        number: usize,
        /// Its name.
        module: String,
        /// The hash it has.
        found: Digest,
        /// The hashes that the entry allows.
        allowed: Vec<Digest>,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::NoEntry { number, module } => write!(
                f,
                "module {number} ({module}) has no entry in the policy, so that it isn't measured: add one"
            ),
            Finding::HashNotAllowed {
                number,
                module,
                found,
                allowed,
            } => {
                write!(
                    f,
                    "module {number} ({module}) has the hash {found}, but the policy allows "
                )?;
                if allowed.is_empty() {
                    f.write_str("none")?;
                }
                for (position, digest) in allowed.iter().enumerate() {
                    let separator = if position == 0 { "" } else { ", " };
                    write!(f, "{separator}{digest}")?;
                }
                f.write_str(": change the policy or the module")
            }
        }
    }
}

/// The outcome of tboot's own measurements.
pub(super) struct Measurements {
    pub(super) events: Vec<Event>,
    pub(super) findings: Vec<Finding>,
    pub(super) halts: bool,
}

/// Hashes the modules and applies the policy to them.
pub(super) fn measure(
    policy: &Policy,
    modules: &[Module],
    bank: Bank,
) -> Result<Measurements, LaunchError> {
    let alg = bank_alg(bank);
    let compares = policy
        .entries()
        .iter()
        .any(|entry| entry.check == Check::Image);
    if compares && policy.alg() != alg {
        return Err(LaunchError::PolicyAlg {
            policy: policy.alg(),
            extend: bank,
        });
    }
    let hashed = modules
        .iter()
        .map(|module| Ok((module.name.clone(), module.hash(alg)?)))
        .collect::<Result<Vec<_>, LaunchError>>()?;
    let measurements = apply(policy, &hashed, bank)?;
    if measurements.events.len() > MAX_TBOOT_EVENTS {
        return Err(LaunchError::TooManyEvents(measurements.events.len()));
    }
    Ok(measurements)
}

/// The extends in tboot's order: the policy into 17 and 18, module 0 into 17, then each module
/// into the PCR of its entry (module 0 once more if its entry names one).
pub(super) fn apply(
    policy: &Policy,
    modules: &[(String, Digest)],
    bank: Bank,
) -> Result<Measurements, LaunchError> {
    let alg: HashAlg = bank_alg(bank);
    let (pcr17, pcr18) = (pcr(17)?, pcr(18)?);
    let (first, first_hash) = modules.first().ok_or(LaunchError::NoModules)?;
    let policy_hash = policy.measurement(alg);
    let mut events = vec![
        event(pcr17, "tboot policy", None, &policy_hash, bank),
        event(pcr18, "tboot policy", None, &policy_hash, bank),
        event(pcr17, "module 0", Some(first), first_hash, bank),
    ];
    let mut findings = Vec::new();
    for (number, (module, hash)) in modules.iter().enumerate() {
        let Some(entry) = policy.entry_for(number) else {
            findings.push(Finding::NoEntry {
                number,
                module: module.clone(),
            });
            continue;
        };
        // tboot puts the extend on its list before it compares.
        if let Some(pcr) = entry.pcr {
            events.push(event(
                pcr,
                &format!("module {number}"),
                Some(module),
                hash,
                bank,
            ));
        }
        if entry.check == Check::Image && !entry.hashes.contains(hash) {
            findings.push(Finding::HashNotAllowed {
                number,
                module: module.clone(),
                found: hash.clone(),
                allowed: entry.hashes.clone(),
            });
        }
    }
    let halts = !findings.is_empty() && policy.policy_type() == PolicyType::Halt;
    Ok(Measurements {
        events,
        findings,
        halts,
    })
}

fn pcr(number: u8) -> Result<PcrIndex, PcrSyntaxError> {
    PcrIndex::try_from(number)
}

fn event(pcr: PcrIndex, name: &str, file: Option<&String>, hash: &Digest, bank: Bank) -> Event {
    Event {
        pcr,
        locality: LOCALITY_TBOOT,
        event_type: event_type::TBOOT,
        name: name.to_owned(),
        file: file.cloned(),
        data: None,
        digests: [(bank, hash.as_bytes().to_vec())].into(),
    }
}
