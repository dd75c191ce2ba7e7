//! The shape of a sealed object, and nothing else: exactly the public area that [`super::seal`]
//! makes, and a private part whose length is right. What arrives from a token or a file is
//! hostile, so that neither the C library's parser nor the TPM's sees anything but this shape.

use tss_esapi::{
    attributes::{ObjectAttributes, ObjectAttributesBuilder},
    interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm},
    structures::{
        Digest, KeyedHashScheme, Private, Public, PublicBuilder, PublicKeyedHashParameters,
    },
    traits::{Marshall, UnMarshall},
};

use super::failure::in_command;
use crate::{AuthPolicy, AuthValue, Sealed, TpmError, with_auth_value};

/// Longest TPM2B_PRIVATE taken: a sealed 128-byte secret needs about 250 bytes.
const MAX_PRIVATE: usize = 1024;

/// The two shapes that sealing makes. What is opened as one of them is not opened as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The policy opens it.
    Policy,
    /// The policy and an authorization value, of which the TPM counts the wrong ones.
    WithAuthValue,
}

impl Shape {
    /// The one that a value asks for.
    pub(super) const fn of(auth: Option<&AuthValue>) -> Self {
        match auth {
            Some(_) => Self::WithAuthValue,
            None => Self::Policy,
        }
    }

    /// The authPolicy of the object.
    pub(super) fn policy(self, policy: &AuthPolicy) -> [u8; 32] {
        match self {
            Self::Policy => policy.digest(),
            Self::WithAuthValue => with_auth_value(policy.digest()),
        }
    }
}

/// fixedTPM and fixedParent: it cannot be moved to another TPM. Not userWithAuth, with a value either:
/// only the policy opens it, no password alone. noDA: a failure does not count as a dictionary attack,
/// where there is nothing to guess.
fn attributes(shape: Shape) -> tss_esapi::Result<ObjectAttributes> {
    ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_no_da(shape == Shape::Policy)
        .build()
}

/// The template of a sealed object with this policy.
pub(super) fn template(policy_digest: [u8; 32], shape: Shape) -> tss_esapi::Result<Public> {
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::KeyedHash)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes(shape)?)
        .with_auth_policy(Digest::try_from(policy_digest.to_vec())?)
        .with_keyed_hash_parameters(PublicKeyedHashParameters::new(KeyedHashScheme::Null))
        .with_keyed_hash_unique_identifier(Digest::default())
        .build()
}

/// Marshals a TPM2B_PUBLIC.
pub(super) fn marshal_public(public: &Public) -> tss_esapi::Result<Vec<u8>> {
    Ok(with_length(&public.marshall()?))
}

/// Marshals a TPM2B_PRIVATE.
pub(super) fn marshal_private(private: &Private) -> Vec<u8> {
    with_length(private.as_bytes())
}

/// A TPM2B: two bytes of length, then the bytes. Neither of our two comes near 65536 bytes.
fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [length.to_be_bytes().as_slice(), bytes].concat()
}

/// Takes a sealed object apart; [`TpmError::NotOurs`] unless it has exactly the shape that
/// sealing gives it for this use.
pub(super) fn parse(sealed: &Sealed, shape: Shape) -> Result<(Private, Public), TpmError> {
    let bad = |reason: &str| TpmError::NotOurs {
        code: 0,
        reason: reason.into(),
    };
    let area =
        without_length(&sealed.public).ok_or_else(|| bad("its public part is cut or too long"))?;
    // The template, marshalled, with the blob's own policy and digest in it, must be the blob.
    if !has_shape(area, shape)? {
        let other = match shape {
            Shape::Policy => Shape::WithAuthValue,
            Shape::WithAuthValue => Shape::Policy,
        };
        return Err(bad(match (has_shape(area, other)?, shape) {
            (false, _) => "its public part is not that of a secret sealed by taoboot",
            (true, Shape::Policy) => "it is sealed with a PIN, and it says that it has none",
            (true, Shape::WithAuthValue) => {
                "it is sealed without a PIN, and it says that it has one"
            }
        }));
    }
    let public = Public::unmarshall(area).map_err(|_| bad("its public part cannot be read"))?;
    let private = without_length(&sealed.private)
        .filter(|bytes| !bytes.is_empty() && bytes.len() <= MAX_PRIVATE)
        .and_then(|bytes| Private::try_from(bytes.to_vec()).ok())
        .ok_or_else(|| bad("its private part is cut or too long"))?;
    Ok((private, public))
}

fn has_shape(area: &[u8], shape: Shape) -> Result<bool, TpmError> {
    let ours = template([0; 32], shape)
        .and_then(|public| public.marshall())
        .map_err(in_command("TPM2_Load"))?;
    let (head, _policy, tail) = (area.get(..10), area.get(10..42), area.get(42..));
    Ok(area.len().checked_sub(ours.len()) == Some(32)
        && head == ours.get(..10)
        && tail.is_some_and(|tail| tail.starts_with(&[0x00, 0x10, 0x00, 0x20])))
}

/// The bytes of a TPM2B whose length field is exactly right.
fn without_length(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    (usize::from(u16::from_be_bytes(*length)) == rest.len()).then_some(rest)
}
