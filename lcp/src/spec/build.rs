//! A spec made into files.

use txt::{acm::Acm, hash::HashAlg, policy::Policy};

use super::{
    NvIndex, Pending, Place, PolicyKind, ReadFile, Spec, SpecError, element,
    list::{self, Made},
    policy, required,
};
use crate::{
    check::{self, Report, Target},
    policy_data::PolicyData,
};

/// What a spec gives.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Everything.
    Complete(Box<Built>),
    /// Lists that must be signed elsewhere first; then the same spec is complete.
    Pending(Vec<Pending>),
}

/// A complete policy.
#[derive(Clone, Debug)]
pub struct Built {
    /// File names and contents: elements, lists, `policy.data`, `policy.pol`.
    pub files: Vec<(String, Vec<u8>)>,
    /// The policy.
    pub policy: Policy,
    /// Its data file; `None` for type any.
    pub data: Option<PolicyData>,
    /// What the checks found.
    pub report: Report,
    /// Where it goes.
    pub nv: NvIndex,
}

/// Builds a spec. The same spec and files always give the same bytes.
pub fn build(spec: &Spec, read: &ReadFile<'_>) -> Result<Outcome, SpecError> {
    let mut files = Vec::new();
    let (mut lists, mut pending) = (Vec::new(), Vec::new());
    for (index, one) in spec.lists.iter().enumerate() {
        let place = format!("list {index} ({})", one.name);
        if spec
            .lists
            .iter()
            .take(index)
            .any(|other| other.name == one.name)
        {
            return Err(SpecError::at(&place, "another list has this name"));
        }
        match list::make(one, &place, spec.tpm, read)? {
            Made::Pending(one) => pending.push(one),
            Made::Whole(list) => {
                for (index, element) in list.elements().iter().enumerate() {
                    let bytes = element.to_bytes().at(&place)?;
                    files.push((format!("{}-{index}.elt", one.name), bytes));
                }
                files.push((format!("{}.lst", one.name), list.to_bytes().at(&place)?));
                lists.push(list);
            }
        }
    }
    if !pending.is_empty() {
        return Ok(Outcome::Pending(pending));
    }
    let data = match (spec.policy.kind, lists.is_empty()) {
        (PolicyKind::Any, true) => None,
        (PolicyKind::Any, false) => {
            let text = "type any accepts everything: leave the lists out, or use type list";
            return Err(SpecError::at("policy", text));
        }
        (PolicyKind::List, _) => Some(PolicyData::new(lists).at("policy")?),
    };
    let policy = policy::make(&spec.policy, spec.tpm, data.as_ref())?;
    if let Some(data) = &data {
        files.push(("policy.data".to_owned(), data.to_bytes().at("policy")?));
    }
    let bytes = policy.to_bytes();
    let size = bytes.len();
    files.push(("policy.pol".to_owned(), bytes));
    let sinit = sinit(spec, read)?;
    let report = report(spec, &policy, data.as_ref(), sinit.as_ref(), read)?;
    let set = sinit
        .as_ref()
        .and_then(Acm::tpm)
        .map(|tpm| tpm.nv_index_set());
    let nv = NvIndex::of(&spec.nv, spec.tpm, size, set)?;
    Ok(Outcome::Complete(Box::new(Built {
        files,
        policy,
        data,
        report,
        nv,
    })))
}

/// The SINIT module of `[check]`; its signature must verify.
fn sinit(spec: &Spec, read: &ReadFile<'_>) -> Result<Option<Acm>, SpecError> {
    let Some(path) = &spec.check.sinit else {
        return Ok(None);
    };
    let place = format!("check: {path}");
    let acm = Acm::parse(&required(read, "check", path)?).at(&place)?;
    crate::acm_signature::check(&acm).map_err(|error| SpecError::at(&place, error))?;
    Ok(Some(acm))
}

/// All checks: against SINIT, every tboot of `[check]`, and the policy that it replaces.
fn report(
    spec: &Spec,
    policy: &Policy,
    data: Option<&PolicyData>,
    sinit: Option<&Acm>,
    read: &ReadFile<'_>,
) -> Result<Report, SpecError> {
    let mut target = Target::default();
    if let Some(acm) = sinit {
        target.add_sinit(acm);
    }
    let mut report = check::check(policy, data, &target).at("check")?;
    for tboot in &spec.check.tboot {
        for alg in HashAlg::ALL {
            let hash = element::mle_hash(tboot, alg, "check", read)?;
            target.mle_hashes.push(hash);
        }
        let one = check::check(policy, data, &target).at("check")?;
        target.mle_hashes.clear();
        for finding in one.findings {
            if !report.findings.contains(&finding) {
                report.findings.push(finding);
            }
        }
        report.allowed_by = report.allowed_by.or(one.allowed_by);
    }
    if let Some(path) = &spec.policy.previous {
        let old = Policy::parse(&required(read, "policy", path)?).at(&format!("policy: {path}"))?;
        report
            .findings
            .extend(check::against_previous(&old, policy));
    }
    Ok(report)
}
