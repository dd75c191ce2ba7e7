//! ECDSA signatures over P-256 in the original's format.
//!
//! What is signed is SHA-256 of a `ContextualizedData` message; the signature travels in
//! a `SignedData` message whose header names the key's type.

use p256::{
    ecdsa::{
        DerSignature, Signature, SigningKey, VerifyingKey,
        signature::hazmat::{PrehashSigner, PrehashVerifier},
    },
    pkcs8::{DecodePublicKey, EncodePublicKey},
};
use prost::Message;
use sha2::{Digest, Sha256};

use super::{Deriver, Secret};
use crate::{
    logic::{LogicError, Prin},
    wire::{
        messages::{ContextualizedData, CryptoHeader, SignedData},
        proto2::{self, ProtoError},
    },
};

/// `CRYPTO_VERSION_2`.
const VERSION: i32 = 2;
/// How a P-256 public key is called in headers.
const KEY_TYPE: &str = "ecdsap256-public";

/// Why a key can't be used or a signature is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a public key of the supported kind.
    #[error("not a P-256 public key (DER SubjectPublicKeyInfo): {0}")]
    PublicKey(String),
    /// The secret gives no key. Does not happen for secrets with any entropy.
    #[error("no P-256 key can be made from this secret")]
    Secret,
    /// The signature's envelope is malformed.
    #[error(transparent)]
    Envelope(#[from] ProtoError),
    /// The signature was made by another kind of key.
    #[error(
        "signature of version {version} by a key of type {found:?}; this key is a version 2 \"ecdsap256-public\""
    )]
    WrongType {
        /// The header's version.
        version: i32,
        /// The header's key type.
        found: String,
    },
    /// The signature does not belong to these data, this context and this key.
    #[error("the signature is not this key's signature over these data")]
    Signature,
    /// The signature could not be made.
    #[error("signing failed: {0}")]
    Signing(String),
    /// The key can't be named.
    #[error(transparent)]
    Name(#[from] LogicError),
}

/// What is signed: SHA-256 of data and context.
fn digest(context: &str, data: &[u8]) -> [u8; 32] {
    let contextualized = ContextualizedData {
        context: context.to_owned(),
        data: data.to_vec(),
    };
    Sha256::digest(contextualized.encode_to_vec()).into()
}

/// A private P-256 key.
pub struct Signer {
    key: SigningKey,
    spki: Vec<u8>,
    name: Prin,
}

impl Signer {
    /// The key that belongs to a secret, the same each time.
    pub fn new(secret: Secret) -> Result<Self, KeyError> {
        let deriver = Deriver::new(secret);
        // A candidate is not a valid scalar once in 2^32 times; then the next one is.
        for attempt in 0..=u8::MAX {
            let tag = [b"taoboot p256 signer ".as_slice(), &[attempt]].concat();
            let candidate = deriver.secret(&tag).map_err(|_| KeyError::Secret)?;
            if let Ok(key) = SigningKey::from_slice(&*candidate) {
                let spki = key
                    .verifying_key()
                    .to_public_key_der()
                    .map_err(|error| KeyError::PublicKey(error.to_string()))?
                    .into_vec();
                let name = Prin::of_public_key("key", &spki)?;
                return Ok(Signer { key, spki, name });
            }
        }
        Err(KeyError::Secret)
    }

    /// DER SubjectPublicKeyInfo of the public key.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// `key([sha256 of the SubjectPublicKeyInfo])`
    pub fn name(&self) -> &Prin {
        &self.name
    }

    /// Signs `data` for the purpose that `context` names; gives a `SignedData` message.
    pub fn sign(&self, context: &str, data: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature: Signature = self
            .key
            .sign_prehash(&digest(context, data))
            .map_err(|error| KeyError::Signing(error.to_string()))?;
        let header = CryptoHeader {
            version: VERSION,
            key_name: Some("taoboot_signer".to_owned()),
            key_epoch: Some(1),
            key_type: Some(KEY_TYPE.to_owned()),
            key_purpose: Some("signing".to_owned()),
            key_status: Some("active".to_owned()),
        };
        let signature = signature.to_der().as_bytes().to_vec();
        Ok(SignedData { header, signature }.encode_to_vec())
    }
}

/// A public P-256 key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier(VerifyingKey);

impl Verifier {
    /// Reads a DER SubjectPublicKeyInfo.
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        VerifyingKey::from_public_key_der(spki)
            .map(Verifier)
            .map_err(|error| KeyError::PublicKey(error.to_string()))
    }

    /// `key([sha256 of the SubjectPublicKeyInfo])`
    pub fn name(&self) -> Result<Prin, KeyError> {
        let spki = self
            .0
            .to_public_key_der()
            .map_err(|error| KeyError::PublicKey(error.to_string()))?;
        Ok(Prin::of_public_key("key", spki.as_bytes())?)
    }

    /// Checks a `SignedData` message.
    pub fn verify(&self, context: &str, data: &[u8], signed: &[u8]) -> Result<(), KeyError> {
        let signed: SignedData = proto2::read(signed)?;
        let found = signed.header.key_type.unwrap_or_default();
        if signed.header.version != VERSION || found != KEY_TYPE {
            return Err(KeyError::WrongType {
                version: signed.header.version,
                found,
            });
        }
        self.verify_digest(&digest(context, data), &signed.signature)
    }

    /// Checks a DER signature over a SHA-256 digest.
    pub fn verify_digest(&self, digest: &[u8; 32], der: &[u8]) -> Result<(), KeyError> {
        let signature = DerSignature::try_from(der).map_err(|_| KeyError::Signature)?;
        self.0
            .verify_prehash(digest, &signature)
            .map_err(|_| KeyError::Signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Suite {
        suite: String,
        verifier_spki_der: String,
        universal_name: String,
        signatures: Vec<Recorded>,
    }

    #[derive(Deserialize)]
    struct Recorded {
        context: String,
        data: String,
        sha256: String,
        signed_data_proto: String,
        verifies: bool,
    }

    #[test]
    fn recorded_p256_signatures_verify_for_their_data_and_context_only() {
        let suites: Vec<Suite> = serde_json::from_str(include_str!(
            "../../tests/vectors/keys_and_crypto_vectors.json"
        ))
        .unwrap();
        let suite = suites
            .iter()
            .find(|suite| suite.suite.contains("ecdsap256"))
            .unwrap();
        let spki = hex::decode(&suite.verifier_spki_der).unwrap();
        let verifier = Verifier::from_spki(&spki).unwrap();
        let name = Prin::of_public_key("key", &spki).unwrap();
        assert_eq!(name.to_string(), format!("key([{}])", suite.universal_name));
        for recorded in &suite.signatures {
            let data = hex::decode(&recorded.data).unwrap();
            let signed = hex::decode(&recorded.signed_data_proto).unwrap();
            assert_eq!(
                hex::encode(digest(&recorded.context, &data)),
                recorded.sha256
            );
            let verdict = verifier.verify(&recorded.context, &data, &signed);
            assert_eq!(verdict.is_ok(), recorded.verifies);
            assert_eq!(
                verifier.verify("other", &data, &signed),
                Err(KeyError::Signature)
            );
        }
    }

    #[test]
    fn one_secret_gives_one_key_and_another_secret_another() {
        let signer = |byte| Signer::new(Secret::new([byte; 32])).unwrap();
        assert_eq!(signer(1).spki(), signer(1).spki());
        assert_ne!(signer(1).spki(), signer(2).spki());
    }

    #[test]
    fn a_signature_verifies_and_a_changed_one_does_not() {
        let signer = Signer::new(Secret::new([1; 32])).unwrap();
        let verifier = Verifier::from_spki(signer.spki()).unwrap();
        let signed = signer.sign("purpose", b"data").unwrap();
        assert_eq!(verifier.verify("purpose", b"data", &signed), Ok(()));
        assert!(verifier.verify("purpose", b"date", &signed).is_err());
        let mut changed = signed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(verifier.verify("purpose", b"data", &changed).is_err());
    }
}
