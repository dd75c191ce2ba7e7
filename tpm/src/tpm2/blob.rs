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
use crate::{Sealed, TpmError};

/// Longest TPM2B_PRIVATE taken: a sealed 128-byte secret needs about 250 bytes.
const MAX_PRIVATE: usize = 1024;

/// fixedTPM and fixedParent: it cannot be moved to another TPM. Not userWithAuth: only the
/// policy opens it, no password. noDA: a failure does not count as a dictionary attack.
fn attributes() -> tss_esapi::Result<ObjectAttributes> {
    ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_no_da(true)
        .build()
}

/// The template of a sealed object with this policy.
pub(super) fn template(policy_digest: [u8; 32]) -> tss_esapi::Result<Public> {
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::KeyedHash)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes()?)
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
/// sealing gives it.
pub(super) fn parse(sealed: &Sealed) -> Result<(Private, Public), TpmError> {
    let bad = |reason: &str| TpmError::NotOurs {
        code: 0,
        reason: reason.into(),
    };
    let area =
        without_length(&sealed.public).ok_or_else(|| bad("its public part is cut or too long"))?;
    // The template, marshalled, with the blob's own policy and digest in it, must be the blob.
    let ours = template([0; 32])
        .and_then(|public| public.marshall())
        .map_err(in_command("TPM2_Load"))?;
    let (head, _policy, tail) = (area.get(..10), area.get(10..42), area.get(42..));
    let same_shape = area.len().checked_sub(ours.len()) == Some(32)
        && head == ours.get(..10)
        && tail.is_some_and(|tail| tail.starts_with(&[0x00, 0x10, 0x00, 0x20]));
    if !same_shape {
        return Err(bad(
            "its public part is not that of a secret sealed by taoboot",
        ));
    }
    let public = Public::unmarshall(area).map_err(|_| bad("its public part cannot be read"))?;
    let private = without_length(&sealed.private)
        .filter(|bytes| !bytes.is_empty() && bytes.len() <= MAX_PRIVATE)
        .and_then(|bytes| Private::try_from(bytes.to_vec()).ok())
        .ok_or_else(|| bad("its private part is cut or too long"))?;
    Ok((private, public))
}

/// The bytes of a TPM2B whose length field is exactly right.
fn without_length(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    (usize::from(u16::from_be_bytes(*length)) == rest.len()).then_some(rest)
}
