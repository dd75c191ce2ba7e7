//! Lists out of a spec, signed as it says.

use txt::hash::HashAlg;
use zeroize::Zeroizing;

use super::{ListSpec, Place, ReadFile, SignSpec, SpecError, TpmVersion, element, required_text};
use crate::{
    list::{ListVersion, PolicyList},
    sign::{self, PrivateKey, PublicKey, Scheme, SigningPlan},
};

/// A list whose signature has still to be made elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The list's name.
    pub name: String,
    /// What has to be signed.
    pub bytes: Vec<u8>,
    /// The hash that the signature must use.
    pub hash: HashAlg,
    /// The kind of signature.
    pub scheme: Scheme,
    /// The file that the spec wants the signature in.
    pub signature: String,
}

/// A list, or what is missing for it.
pub(super) enum Made {
    Whole(PolicyList),
    Pending(Pending),
}

/// A list's name that cannot become a file's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum NameError {
    #[error("the name {0:?} must be 1 to 64 letters, digits, '-' or '_': files are named after it")]
    Form(String),
    #[error("the name \"policy\" is taken by the policy itself")]
    Taken,
}

/// Names become file names.
fn check_name(name: &str) -> Result<(), NameError> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > 64 || !name.chars().all(fine) {
        return Err(NameError::Form(name.to_owned()));
    }
    if name == "policy" {
        return Err(NameError::Taken);
    }
    Ok(())
}

pub(super) fn make(
    spec: &ListSpec,
    place: &str,
    tpm: TpmVersion,
    read: &ReadFile<'_>,
) -> Result<Made, SpecError> {
    check_name(&spec.name).at(place)?;
    let mut elements = Vec::new();
    for (index, one) in spec.elements.iter().enumerate() {
        let place = format!("{place} element {index}");
        elements.push(element::make(one, &place, read)?);
    }
    if elements.is_empty() {
        return Err(SpecError::at(
            place,
            "no element: an empty list allows nothing",
        ));
    }
    let version = match (&spec.version, tpm) {
        (None, TpmVersion::Tpm12) => ListVersion::V1_0,
        (None, TpmVersion::Tpm20) => ListVersion::V3_0,
        (Some(name), _) => name.parse::<ListVersion>().at(place)?,
    };
    let list = PolicyList::new(version, elements);
    match &spec.sign {
        None => Ok(Made::Whole(list)),
        Some(sign) => signed(list, &spec.name, sign, place, read),
    }
}

fn signed(
    list: PolicyList,
    name: &str,
    spec: &SignSpec,
    place: &str,
    read: &ReadFile<'_>,
) -> Result<Made, SpecError> {
    let hash = |name: &String| name.parse().map_err(|error| SpecError::at(place, error));
    let plan = SigningPlan {
        scheme: spec.scheme.parse::<Scheme>().at(place)?,
        hash: spec.hash.as_ref().map(hash).transpose()?,
        revocation_counter: spec.revocation_counter,
    };
    let public = |path| -> Result<PublicKey, SpecError> {
        PublicKey::from_pem(&required_text(read, place, path)?).at(&format!("{place}: {path}"))
    };
    match (&spec.key, &spec.public, &spec.signature) {
        (Some(path), given, None) => {
            let pem = Zeroizing::new(required_text(read, place, path)?);
            let key = PrivateKey::from_pem(&pem).at(&format!("{place}: {path}"))?;
            if let Some(path) = given
                && public(path)? != key.public()
            {
                return Err(SpecError::at(place, sign::SignError::Pair));
            }
            Ok(Made::Whole(sign::sign(list, &key, &plan).at(place)?))
        }
        (None, Some(path), Some(file)) => {
            let key = public(path)?;
            match read(file).at(place)? {
                Some(signature) => {
                    let attached = sign::attach(list, &key, &plan, &signature);
                    Ok(Made::Whole(attached.at(&format!("{place}: {file}"))?))
                }
                None => {
                    let message = sign::to_sign(list, &key, &plan).at(place)?;
                    Ok(Made::Pending(Pending {
                        name: name.to_owned(),
                        bytes: message.bytes,
                        hash: message.hash,
                        scheme: plan.scheme,
                        signature: file.clone(),
                    }))
                }
            }
        }
        _ => {
            let text = "sign needs key, or public and signature (an offline key)";
            Err(SpecError::at(place, text))
        }
    }
}
