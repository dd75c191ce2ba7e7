//! Private keys, and making signatures.
//!
//! A signature travels in a `SignedData` message whose header names the key's type; see
//! [`SignatureFormat`] for what is signed.

use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use prost::Message;
use zeroize::Zeroizing;

use super::{
    deriver::Deriver,
    error::KeyError,
    kind::{KeyKind, SIGNER_NAME, SignatureFormat},
    random::random,
    verifier::Verifier,
};
use crate::{
    logic::Prin,
    secret_bytes::Secret,
    wire::messages::{CryptoHeader, SignedData},
};

enum Private {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

/// A private key.
pub struct Signer {
    key: Private,
    verifier: Verifier,
    spki: Vec<u8>,
    name: Prin,
}

impl Signer {
    /// The P-256 key that belongs to a secret, the same each time.
    ///
    /// # Errors
    /// Not for secrets with any entropy.
    pub fn new(secret: Secret) -> Result<Self, KeyError> {
        let deriver = Deriver::new(secret);
        // A candidate is not a valid scalar once in 2^32 times; then the next one is.
        for attempt in 0..=u8::MAX {
            let tag = [b"taoboot p256 signer ".as_slice(), &[attempt]].concat();
            let candidate = deriver.secret(&tag).map_err(|_| KeyError::Secret)?;
            if let Ok(key) = p256::ecdsa::SigningKey::from_slice(&*candidate) {
                return Self::of(Private::P256(key));
            }
        }
        Err(KeyError::Secret)
    }

    /// A new key from the system's randomness. P-521 keys are not made.
    ///
    /// # Errors
    /// For P-521, or when the system gives no random bytes.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; 48]);
        loop {
            random(&mut *bytes).map_err(|error| KeyError::PrivateKey(error.to_string()))?;
            let (half, _) = bytes.split_at(32);
            // A candidate that is not a valid scalar is as good as never drawn.
            let key = match kind {
                KeyKind::P256 => p256::ecdsa::SigningKey::from_slice(half)
                    .map(Private::P256)
                    .ok(),
                KeyKind::P384 => p384::ecdsa::SigningKey::from_slice(&*bytes)
                    .map(Private::P384)
                    .ok(),
                KeyKind::Ed25519 => ed25519_dalek::SigningKey::try_from(half)
                    .map(|key| Private::Ed25519(Box::new(key)))
                    .ok(),
                KeyKind::P521 => {
                    return Err(KeyError::PrivateKey("P-521 keys only verify".to_owned()));
                }
            };
            if let Some(key) = key {
                return Self::of(key);
            }
        }
    }

    /// Reads a private key: SEC1 DER for ECDSA, 32 bytes for Ed25519.
    ///
    /// # Errors
    /// When it is not a key of this kind, or one for P-521.
    pub fn from_private(kind: KeyKind, bytes: &[u8]) -> Result<Self, KeyError> {
        let bad = |error: &dyn std::fmt::Display| KeyError::PrivateKey(error.to_string());
        let key = match kind {
            KeyKind::P256 => p256::SecretKey::from_sec1_der(bytes)
                .map(|key| Private::P256(key.into()))
                .map_err(|error| bad(&error))?,
            KeyKind::P384 => p384::SecretKey::from_sec1_der(bytes)
                .map(|key| Private::P384(key.into()))
                .map_err(|error| bad(&error))?,
            KeyKind::Ed25519 => ed25519_dalek::SigningKey::try_from(bytes)
                .map(|key| Private::Ed25519(Box::new(key)))
                .map_err(|error| bad(&error))?,
            KeyKind::P521 => return Err(bad(&"P-521 keys only verify")),
        };
        Self::of(key)
    }

    fn of(key: Private) -> Result<Self, KeyError> {
        let verifier = match &key {
            Private::P256(key) => Verifier::P256(*key.verifying_key()),
            Private::P384(key) => Verifier::P384(*key.verifying_key()),
            Private::Ed25519(key) => Verifier::Ed25519(key.verifying_key()),
        };
        Ok(Self {
            key,
            spki: verifier.spki()?,
            name: verifier.name()?,
            verifier,
        })
    }

    /// The private key, as [`Signer::from_private`] reads it.
    ///
    /// # Errors
    /// When the key cannot be written.
    pub fn private_bytes(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let bad = |error: &dyn std::fmt::Display| KeyError::PrivateKey(error.to_string());
        match &self.key {
            Private::P256(key) => p256::SecretKey::from(key)
                .to_sec1_der()
                .map_err(|error| bad(&error)),
            Private::P384(key) => p384::SecretKey::from(key)
                .to_sec1_der()
                .map_err(|error| bad(&error)),
            Private::Ed25519(key) => Ok(Zeroizing::new(key.to_bytes().to_vec())),
        }
    }

    /// What kind of key it is.
    pub const fn kind(&self) -> KeyKind {
        self.verifier.kind()
    }

    /// The public key.
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// DER SubjectPublicKeyInfo of the public key.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// `key([sha256 of the SubjectPublicKeyInfo])`
    pub fn name(&self) -> &Prin {
        &self.name
    }

    /// Signs `data` for the purpose that `context` names, in the original's format; gives
    /// a `SignedData` message.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign(&self, context: &str, data: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.sign_as(SignatureFormat::Original, context, data)
    }

    /// The same in the given format.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign_as(
        &self,
        format: SignatureFormat,
        context: &str,
        data: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let header = CryptoHeader {
            version: format.version(),
            key_name: Some(SIGNER_NAME.to_owned()),
            key_epoch: Some(1),
            key_type: Some(self.kind().public_name().to_owned()),
            key_purpose: Some("signing".to_owned()),
            key_status: Some("active".to_owned()),
        };
        let message = format.message(&header, context, data);
        let signature = match &self.key {
            Private::Ed25519(key) => key.sign(&message).to_bytes().to_vec(),
            _ => self.ecdsa(&format.digest(self.kind(), &message))?,
        };
        Ok(SignedData { header, signature }.encode_to_vec())
    }

    /// The key, if it is one for P-256.
    pub(super) const fn p256(&self) -> Option<&p256::ecdsa::SigningKey> {
        match &self.key {
            Private::P256(key) => Some(key),
            _ => None,
        }
    }

    /// A DER ECDSA signature over a digest.
    fn ecdsa(&self, digest: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = |error: p256::ecdsa::Error| KeyError::Signing(error.to_string());
        match &self.key {
            Private::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign_prehash(digest).map_err(failed)?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
            Private::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign_prehash(digest).map_err(failed)?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
            Private::Ed25519(_) => Err(KeyError::Signing("Ed25519 signs no digests".to_owned())),
        }
    }
}
