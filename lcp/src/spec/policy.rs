//! The policy out of a spec and its lists.

use txt::{
    hash::{Digest, HashAlg},
    policy::{Policy, Policy12, Policy20, PolicyType, PolicyVersion20, SignMask},
};

use super::{Place, PolicyKind, PolicySpec, SpecError, TpmVersion};
use crate::{check, policy_data::PolicyData};

const PLACE: &str = "policy";

fn wrong(text: impl Into<super::Cause>) -> SpecError {
    SpecError::at(PLACE, text)
}

pub(super) fn make(
    spec: &PolicySpec,
    tpm: TpmVersion,
    data: Option<&PolicyData>,
) -> Result<Policy, SpecError> {
    let kind = match spec.kind {
        PolicyKind::List => PolicyType::List,
        PolicyKind::Any => PolicyType::Any,
    };
    let hash = |alg| match data {
        Some(data) => data.hash(alg).at(PLACE),
        None => Ok(Digest::zero(alg)),
    };
    match tpm {
        TpmVersion::Tpm12 => {
            if spec.hash.is_some() || spec.hash_algs.is_some() || spec.sign_algs.is_some() {
                return Err(wrong(
                    "a policy for TPM 1.2 has sha1 and rsa only: leave hash, hash_algs and sign_algs out",
                ));
            }
            let version = spec.version.as_deref().unwrap_or("2.4");
            let minor = version
                .strip_prefix("2.")
                .and_then(|minor| minor.parse().ok());
            let minor =
                minor.ok_or_else(|| wrong(format!("version {version:?} is not 2.0 to 2.4")))?;
            let mut policy = Policy12::new(minor, kind, hash(HashAlg::Sha1)?).at(PLACE)?;
            policy.sinit_min_version = spec.sinit_min_version;
            policy.max_sinit_min_version = spec.max_sinit_min_version.unwrap_or(0xff);
            policy.data_revocation_counters = counters(spec, data)?;
            policy.control = spec.control;
            Ok(Policy::Tpm12(policy))
        }
        TpmVersion::Tpm20 => {
            let version = match spec.version.as_deref().unwrap_or("3.2") {
                "3.0" => PolicyVersion20::V3_0,
                "3.1" => PolicyVersion20::V3_1,
                "3.2" => PolicyVersion20::V3_2,
                other => return Err(wrong(format!("version {other:?} is not 3.0, 3.1 or 3.2"))),
            };
            let alg: HashAlg = spec
                .hash
                .as_deref()
                .unwrap_or("sha256")
                .parse()
                .map_err(wrong)?;
            let mut policy = Policy20::new(version, kind, hash(alg)?, sign_mask(spec, data)?);
            policy.hash_mask |= hash_mask(spec, data)?;
            policy.sinit_min_version = spec.sinit_min_version;
            policy.max_sinit_min_version = spec.max_sinit_min_version.unwrap_or(0xff);
            policy.data_revocation_counters = counters(spec, data)?;
            policy.control = spec.control;
            Ok(Policy::Tpm20(policy))
        }
    }
}

/// As given, or those of the lists, so that no older list is taken.
fn counters(spec: &PolicySpec, data: Option<&PolicyData>) -> Result<[u16; 8], SpecError> {
    let given = match (&spec.revocation_counters, data) {
        (Some(given), _) => given.clone(),
        (None, None) => Vec::new(),
        (None, Some(data)) => {
            let lists = data.lists().iter();
            let counter = |list: &crate::list::PolicyList| {
                list.signature()
                    .map_or(0, |signature| signature.revocation_counter)
            };
            lists.map(counter).collect()
        }
    };
    let mut counters = [0; 8];
    if given.len() > counters.len() {
        let found = given.len();
        return Err(wrong(format!(
            "{found} revocation_counters: a policy has 8"
        )));
    }
    counters
        .iter_mut()
        .zip(given)
        .for_each(|(to, from)| *to = from);
    Ok(counters)
}

/// As given, or those that the elements use.
fn hash_mask(spec: &PolicySpec, data: Option<&PolicyData>) -> Result<u16, SpecError> {
    let mut mask = 0;
    match (&spec.hash_algs, data) {
        (Some(names), _) => {
            for name in names {
                mask |= name.parse::<HashAlg>().map_err(wrong)?.mask();
            }
        }
        (None, Some(data)) => {
            let elements = data.lists().iter().flat_map(|list| list.elements());
            let hashes = elements.flat_map(check::hashes);
            mask = hashes.fold(0, |mask, hash| mask | hash.alg().mask());
        }
        (None, None) => {}
    }
    Ok(mask)
}

/// As given, or those that the lists are signed with.
fn sign_mask(spec: &PolicySpec, data: Option<&PolicyData>) -> Result<SignMask, SpecError> {
    if let Some(names) = &spec.sign_algs {
        let mut mask = SignMask::default();
        for name in names {
            let known: Vec<&str> = SignMask::NAMES.iter().map(|(name, _)| *name).collect();
            let known = known.join(", ");
            let bit = SignMask::named(name);
            mask.0 |= bit
                .ok_or_else(|| wrong(format!("sign_algs: {name:?} is none of {known}")))?
                .0;
        }
        return Ok(mask);
    }
    // Without lists there is no signature.
    let mask = data.map(check::sign_mask).unwrap_or_default();
    if mask.0 == 0 {
        return Err(wrong(
            "sign_algs is missing: no list is signed, so that it does not follow from them",
        ));
    }
    Ok(mask)
}
