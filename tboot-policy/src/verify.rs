//! Would tboot boot these files under this policy?

use tpm::Bank;
use txt::{hash::Digest, mlehash::MleError};

use crate::{
    extends::{
        ExtendError, Extpol, ExtpolError, Finding, HashedModule, TbootRules, extend_policy, modules,
    },
    module::Module,
    platform::BANKS,
    tboot::Tboot,
    vlp::{Check, Policy, PolicyType},
};

/// What the policy says of one module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleVerdict {
    /// Its number, from 0.
    pub number: usize,
    /// Its name.
    pub name: String,
    /// Its hash, in the algorithm of the policy.
    pub hash: Digest,
    /// The register of its entry, if any.
    pub pcr: Option<tpm::PcrIndex>,
    /// What follows.
    pub verdict: Verdict,
}

/// What tboot finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// One of the allowed hashes.
    Allowed,
    /// The entry accepts anything.
    AnythingAllowed,
    /// None of the allowed hashes.
    NotAllowed,
    /// No entry.
    NoEntry,
    /// tboot does not compare (extpol=embedded).
    NotCompared,
}

impl Verdict {
    /// The words for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::AnythingAllowed => "anything is allowed",
            Self::NotAllowed => "not allowed",
            Self::NoEntry => "no entry",
            Self::NotCompared => "not compared",
        }
    }
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Report {
    /// Does tboot boot?
    pub boots: bool,
    /// Module by module.
    pub modules: Vec<ModuleVerdict>,
    /// What is not as the policy wants it.
    pub findings: Vec<Finding>,
    /// What works, but hardly as intended; one sentence each.
    pub warnings: Vec<String>,
}

/// Files that tboot cannot measure, or a policy that it cannot apply.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// tboot or its command line.
    #[error("tboot: {0}")]
    Mle(#[from] MleError),
    /// A module, or the policy.
    #[error(transparent)]
    Extend(#[from] ExtendError),
    /// tboot's option.
    #[error(transparent)]
    Extpol(#[from] ExtpolError),
}

/// Applies a policy to the files of a boot.
pub fn verify(
    policy: &Policy,
    tboot: Option<&Tboot>,
    tboot_cmdline: &[u8],
    modules: &[Module],
) -> Result<Report, VerifyError> {
    let mut warnings: Vec<String> = policy.warnings().iter().map(ToString::to_string).collect();
    let extpol = extend_policy(tboot_cmdline)?;
    let rules = TbootRules::tpm2(extpol, &BANKS.into());
    modules::check_alg(policy, &rules)?;
    if extpol == Extpol::Embedded {
        warnings.insert(
            0,
            "with extpol=embedded tboot compares nothing: any module boots whatever the policy says; use extpol=sha256"
                .to_owned(),
        );
    }
    if let Extpol::Fixed(bank) = extpol
        && bank != Bank::Sha256
    {
        warnings.insert(
            0,
            format!(
                "with extpol={bank} tboot leaves PCR 17-19 of the sha256 bank alone: taoboot seals nothing to such a launch; use extpol=sha256"
            ),
        );
    }
    if let Some(tboot) = tboot {
        // Refuses a command line of 511 bytes and more, which tboot would cut.
        tboot.hash(policy.alg(), tboot_cmdline)?;
    }
    let mut hashed = Vec::new();
    let mut verdicts = Vec::new();
    for (number, module) in modules.iter().enumerate() {
        let hash = module.hash(policy.alg()).map_err(ExtendError::from)?;
        let bank = BANKS
            .into_iter()
            .find(|bank| crate::platform::bank_alg(*bank) == policy.alg());
        hashed.push(HashedModule {
            name: module.name.clone(),
            digests: bank.map(|bank| (bank, hash.clone())).into_iter().collect(),
        });
        let entry = policy.entry_for(number);
        let verdict = match entry {
            None => Verdict::NoEntry,
            Some(entry) if entry.check == Check::Any => Verdict::AnythingAllowed,
            Some(_) if rules.compares.is_none() => Verdict::NotCompared,
            Some(entry) if entry.hashes.contains(&hash) => Verdict::Allowed,
            Some(_) => Verdict::NotAllowed,
        };
        verdicts.push(ModuleVerdict {
            number,
            name: module.name.clone(),
            hash,
            pcr: entry.and_then(|entry| entry.pcr),
            verdict,
        });
    }
    let findings = modules::findings(policy, &hashed, &rules);
    let boots = !modules::halts(policy, &findings);
    if boots && !findings.is_empty() && policy.policy_type() != PolicyType::Halt {
        warnings.push(format!(
            "tboot boots all the same, because the policy's type is {}",
            policy.policy_type().name()
        ));
    }
    Ok(Report {
        boots,
        modules: verdicts,
        findings,
        warnings,
    })
}
