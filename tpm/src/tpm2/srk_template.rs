//! What a storage root key must be, how ours is made, and its name.

use sha2::{Digest as _, Sha256};
use tss_esapi::{
    attributes::{ObjectAttributes, ObjectAttributesBuilder},
    interface_types::{
        algorithm::{HashingAlgorithm, PublicAlgorithm},
        ecc::EccCurve,
    },
    structures::{
        EccPoint, Public, PublicBuilder, PublicEccParametersBuilder, SymmetricDefinitionObject,
    },
    traits::Marshall,
};

use super::failure::in_command;
use crate::{Name, TpmError};

/// The name of a public area (Part 1, 16): computed, not the one that the TPM claims.
pub(super) fn name_of(public: &Public, command: &'static str) -> Result<Name, TpmError> {
    let area = public.marshall().map_err(in_command(command))?;
    let mut name = vec![0x00, 0x0b];
    name.extend_from_slice(&Sha256::digest(&area));
    (public.name_hashing_algorithm() == HashingAlgorithm::Sha256)
        .then(|| Name::from_bytes(&name))
        .flatten()
        .ok_or_else(|| TpmError::BadAnswer {
            command,
            reason: "the key's name algorithm is not SHA-256".into(),
        })
}

/// A key that may be the parent of sealed objects.
pub(super) fn is_storage_key(public: &Public) -> bool {
    let attributes = public.object_attributes();
    matches!(public, Public::Ecc { .. } | Public::Rsa { .. })
        && public.name_hashing_algorithm() == HashingAlgorithm::Sha256
        && attributes.restricted()
        && attributes.decrypt()
        && !attributes.sign_encrypt()
        && attributes.fixed_tpm()
        && attributes.fixed_parent()
        && attributes.sensitive_data_origin()
        && attributes.user_with_auth()
}

/// ECC P-256, as the module [`srk`](super::srk) says.
pub(super) fn srk_template() -> tss_esapi::Result<Public> {
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(primary_attributes().with_decrypt(true).build()?)
        .with_ecc_parameters(
            PublicEccParametersBuilder::new_restricted_decryption_key(
                SymmetricDefinitionObject::AES_128_CFB,
                EccCurve::NistP256,
            )
            .build()?,
        )
        .with_ecc_unique_identifier(EccPoint::default())
        .build()
}

/// What our primary keys have in common; decrypt or sign comes on top.
pub(super) fn primary_attributes() -> ObjectAttributesBuilder {
    ObjectAttributes::builder()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_restricted(true)
        .with_no_da(true)
}
