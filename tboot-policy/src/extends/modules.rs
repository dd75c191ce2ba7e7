//! What tboot itself extends: its policy, then the modules as the policy says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use tpm::pcr::{Bank, PcrIndex};
use txt::hash::{Digest, HashAlg};

use super::{
    error::{ExtendError, MAX_TBOOT_EVENTS},
    event::Event,
    extpol::Extpol,
};
use crate::{
    module::Module,
    platform::bank_alg,
    vlp::{Check, Policy, PolicyType},
};

/// A module that is not as the policy wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// No entry speaks of the module, so that it is not measured either.
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
            Self::NoEntry { number, module } => write!(
                f,
                "module {number} ({module}) has no entry in the policy, so that it is not measured: add one"
            ),
            Self::HashNotAllowed {
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

/// A module's hash in each bank that tboot extends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedModule {
    /// The file's name.
    pub name: String,
    /// The hashes.
    pub digests: BTreeMap<Bank, Digest>,
}

impl HashedModule {
    /// Hashes a module for these banks.
    pub fn of(module: &Module, banks: &BTreeSet<Bank>) -> Result<Self, ExtendError> {
        let digests = banks
            .iter()
            .map(|bank| Ok((*bank, module.hash(bank_alg(*bank))?)))
            .collect::<Result<_, ExtendError>>()?;
        Ok(Self {
            name: module.name.clone(),
            digests,
        })
    }
}

/// Which registers SINIT and tboot use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mapping {
    /// Details into PCR 17, authorities into PCR 18: TPM 2.0 always, TPM 1.2 with pcr_map=da.
    DetailsAuthorities,
    /// The original mapping of TPM 1.2: tboot into PCR 18.
    Legacy,
}

/// How tboot measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TbootRules {
    /// The banks that it extends.
    pub banks: BTreeSet<Bank>,
    /// The algorithm in which it compares modules with its policy, if it does.
    pub compares: Option<HashAlg>,
    /// The registers.
    pub mapping: Mapping,
}

impl TbootRules {
    /// The rules of an `extpol=` on TPM 2.0; `active`: the banks of the TPM.
    pub fn tpm2(extpol: Extpol, active: &BTreeSet<Bank>) -> Self {
        let (banks, compares) = match extpol {
            Extpol::Fixed(bank) => ([bank].into(), Some(bank_alg(bank))),
            Extpol::Embedded => (active.clone(), None),
        };
        Self {
            banks,
            compares,
            mapping: Mapping::DetailsAuthorities,
        }
    }

    /// The rules on TPM 1.2.
    pub fn tpm12(mapping: Mapping) -> Self {
        Self {
            banks: [Bank::Sha1].into(),
            compares: Some(HashAlg::Sha1),
            mapping,
        }
    }

    /// The digest for the policy in a bank. Extending every bank, tboot hashes the policy with
    /// SHA-256 whatever the bank is.
    fn policy_digest(&self, policy: &Policy, bank: Bank) -> Digest {
        let alg = bank_alg(bank);
        policy.measurement_of(alg, self.compares.unwrap_or(HashAlg::Sha256))
    }
}

/// The outcome of tboot's own measurements.
#[derive(Clone, Debug)]
pub struct Measurements {
    /// The extends in order.
    pub events: Vec<Event>,
    /// Where the modules are not as the policy wants them.
    pub findings: Vec<Finding>,
    /// Does tboot halt because of the findings?
    pub halts: bool,
}

/// Refuses a policy whose hashes tboot could not compare with its own.
pub(crate) fn check_alg(policy: &Policy, rules: &TbootRules) -> Result<(), ExtendError> {
    let mut entries = policy.entries().iter();
    let compares = entries.any(|entry| entry.check == Check::Image);
    match rules.compares {
        Some(extend) if compares && policy.alg() != extend => Err(ExtendError::PolicyAlg {
            policy: policy.alg(),
            extend,
        }),
        _ => Ok(()),
    }
}

/// Where the modules are not as the policy wants them; nowhere when tboot does not compare.
pub(crate) fn findings(
    policy: &Policy,
    modules: &[HashedModule],
    rules: &TbootRules,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, module) in modules.iter().enumerate() {
        let name = &module.name;
        let Some(entry) = policy.entry_for(number) else {
            findings.push(Finding::NoEntry {
                number,
                module: name.clone(),
            });
            continue;
        };
        let mut digests = module.digests.values();
        let hash = rules
            .compares
            .and_then(|alg| digests.find(|hash| hash.alg() == alg));
        let Some(hash) = hash else { continue };
        if entry.check == Check::Image && !entry.hashes.contains(hash) {
            findings.push(Finding::HashNotAllowed {
                number,
                module: name.clone(),
                found: hash.clone(),
                allowed: entry.hashes.clone(),
            });
        }
    }
    findings
}

/// Does tboot halt on these findings? (`continue` is about wrong hashes only.)
pub(crate) fn halts(policy: &Policy, findings: &[Finding]) -> bool {
    match policy.policy_type() {
        PolicyType::NonFatal => false,
        PolicyType::Continue => findings
            .iter()
            .any(|finding| matches!(finding, Finding::NoEntry { .. })),
        PolicyType::Halt => !findings.is_empty(),
    }
}

/// What tboot extends, in its order: the policy, module 0 where the mapping wants it, then each
/// module into the PCR of its entry (module 0 once more if its entry names one).
pub fn tboot_events(
    policy: &Policy,
    modules: &[HashedModule],
    rules: &TbootRules,
) -> Result<Measurements, ExtendError> {
    check_alg(policy, rules)?;
    let first = modules.first().ok_or(ExtendError::NoModules)?;
    let policy_digests: BTreeMap<Bank, Digest> = rules
        .banks
        .iter()
        .map(|bank| (*bank, rules.policy_digest(policy, *bank)))
        .collect();
    let (policy_pcrs, first_pcr): (&[u8], u8) = match rules.mapping {
        Mapping::DetailsAuthorities => (&[17, 18], 17),
        Mapping::Legacy => (&[17], 18),
    };
    let mut events = Vec::new();
    for pcr in policy_pcrs {
        let pcr = PcrIndex::try_from(*pcr)?;
        events.push(event(pcr, "tboot policy", None, &policy_digests));
    }
    let first_pcr = PcrIndex::try_from(first_pcr)?;
    events.push(event(
        first_pcr,
        "module 0",
        Some(&first.name),
        &first.digests,
    ));
    for (number, module) in modules.iter().enumerate() {
        // tboot puts the extend on its list before it compares.
        if let Some(pcr) = policy.entry_for(number).and_then(|entry| entry.pcr) {
            let name = format!("module {number}");
            events.push(event(pcr, &name, Some(&module.name), &module.digests));
        }
    }
    if events.len() > MAX_TBOOT_EVENTS {
        return Err(ExtendError::TooManyEvents(events.len()));
    }
    let findings = findings(policy, modules, rules);
    let halts = halts(policy, &findings);
    Ok(Measurements {
        events,
        findings,
        halts,
    })
}

fn event(
    pcr: PcrIndex,
    name: &str,
    file: Option<&String>,
    hashes: &BTreeMap<Bank, Digest>,
) -> Event {
    Event {
        pcr,
        name: name.to_owned(),
        file: file.cloned(),
        digests: hashes
            .iter()
            .map(|(bank, hash)| (*bank, hash.as_bytes().to_vec()))
            .collect(),
    }
}
