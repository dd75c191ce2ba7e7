//! Public keys, and checking signatures.

use ed25519_dalek::Verifier as _;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use prost::Message as _;
use spki::{DecodePublicKey, EncodePublicKey};

use super::{
    error::KeyError,
    kind::{KeyKind, SignatureFormat},
};
use crate::{
    logic::Prin,
    wire::{messages::SignedData, proto2},
};

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verifier {
    /// ECDSA over P-256.
    P256(p256::ecdsa::VerifyingKey),
    /// ECDSA over P-384.
    P384(p384::ecdsa::VerifyingKey),
    /// ECDSA over P-521.
    P521(Box<p521::ecdsa::VerifyingKey>),
    /// Ed25519.
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl Verifier {
    /// Reads a DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// When it is not a public key of a supported kind.
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(key) = DecodePublicKey::from_public_key_der(der) {
            return Ok(Self::P256(key));
        }
        if let Ok(key) = DecodePublicKey::from_public_key_der(der) {
            return Ok(Self::P384(key));
        }
        if let Ok(key) = DecodePublicKey::from_public_key_der(der) {
            return Ok(Self::Ed25519(key));
        }
        DecodePublicKey::from_public_key_der(der)
            .map(|key| Self::P521(Box::new(key)))
            .map_err(|error: spki::Error| KeyError::PublicKey(error.to_string()))
    }

    /// DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// When the key cannot be written.
    pub fn spki(&self) -> Result<Vec<u8>, KeyError> {
        let der = match self {
            Self::P256(key) => key.to_public_key_der(),
            Self::P384(key) => key.to_public_key_der(),
            Self::P521(key) => key.to_public_key_der(),
            Self::Ed25519(key) => key.to_public_key_der(),
        };
        der.map(|der| der.into_vec())
            .map_err(|error| KeyError::PublicKey(error.to_string()))
    }

    /// What kind of key it is.
    pub const fn kind(&self) -> KeyKind {
        match self {
            Self::P256(_) => KeyKind::P256,
            Self::P384(_) => KeyKind::P384,
            Self::P521(_) => KeyKind::P521,
            Self::Ed25519(_) => KeyKind::Ed25519,
        }
    }

    /// `key([sha256 of the SubjectPublicKeyInfo])`
    ///
    /// # Errors
    /// When the key cannot be written.
    pub fn name(&self) -> Result<Prin, KeyError> {
        Ok(Prin::of_public_key("key", &self.spki()?)?)
    }

    /// Checks a `SignedData` message in the original's format.
    ///
    /// # Errors
    /// When the signature is not this key's, over these data and for this context.
    pub fn verify(&self, context: &str, data: &[u8], signed: &[u8]) -> Result<(), KeyError> {
        self.verify_formats(&[(SignatureFormat::Original, context)], data, signed)
            .map(drop)
    }

    /// Checks a `SignedData` message in one of these formats, each with its context. Gives
    /// the format.
    ///
    /// # Errors
    /// When the signature is not this key's, over these data and in one of the formats.
    pub fn verify_formats(
        &self,
        formats: &[(SignatureFormat, &str)],
        data: &[u8],
        bytes: &[u8],
    ) -> Result<SignatureFormat, KeyError> {
        let signed: SignedData = proto2::read(bytes)?;
        let version = signed.header.version;
        let found = signed.header.key_type.as_deref();
        let known = SignatureFormat::from_version(version)
            .and_then(|found| formats.iter().find(|(format, _)| *format == found));
        let (Some((format, context)), true) = (known, found == Some(self.kind().public_name()))
        else {
            return Err(KeyError::WrongType {
                version,
                found: found.unwrap_or("no type").to_owned(),
                key: self.kind().public_name(),
            });
        };
        // Of each statement there is one form: what nobody signed cannot be changed either.
        if signed.encode_to_vec() != bytes || !format.writes(&signed.header) {
            return Err(KeyError::NotCanonical);
        }
        let message = format.message(&signed.header, context, data);
        let valid = match self {
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(&signed.signature)
                .and_then(|signature| key.verify(&message, &signature))
                .is_ok(),
            _ => self.ecdsa(&format.digest(self.kind(), &message), &signed.signature),
        };
        valid.then_some(*format).ok_or(KeyError::Signature)
    }

    fn ecdsa(&self, digest: &[u8], der: &[u8]) -> bool {
        match self {
            Self::P256(key) => p256::ecdsa::DerSignature::try_from(der)
                .is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok()),
            Self::P384(key) => p384::ecdsa::DerSignature::try_from(der)
                .is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok()),
            Self::P521(key) => p521::ecdsa::DerSignature::try_from(der)
                .is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok()),
            Self::Ed25519(_) => false,
        }
    }

    /// Checks a DER ECDSA signature over a SHA-256 digest.
    ///
    /// # Errors
    /// When the signature is not this key's, over this digest.
    pub fn verify_digest(&self, digest: &[u8; 32], der: &[u8]) -> Result<(), KeyError> {
        if self.ecdsa(digest, der) {
            Ok(())
        } else {
            Err(KeyError::Signature)
        }
    }
}
