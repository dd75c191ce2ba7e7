//! The keys of a host or a domain in one file, in the original's format.

use prost::Message;
use zeroize::{Zeroize, Zeroizing};

use super::{ctr_hmac::CtrHmac, deriver::Deriver, error::KeyError, kind::KeyKind, signer::Signer};
use crate::{
    secret_bytes::Secret,
    wire::{
        key_messages::{CryptoKey, CryptoKeyset},
        messages::CryptoHeader,
        proto2::{self, ProtoError},
    },
};

/// How the original spells HKDF with SHA-256.
const DERIVER: &str = "hdkf-sha256";
/// Most keys of a set.
const MOST: usize = 64;

/// Why a key set cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysetError {
    /// Not a key set.
    #[error("not a key set: {0}")]
    Message(#[from] ProtoError),
    /// A key cannot be used.
    #[error("a key of the set: {0}")]
    Key(#[from] KeyError),
    /// Something is too much or too little.
    #[error("not a key set: {0}")]
    Contents(&'static str),
}

/// Keys, and the certificate of the signing key.
#[derive(Default)]
pub struct Keyset {
    /// Signs.
    pub signer: Option<Signer>,
    /// Encrypts in the original's way.
    pub crypter: Option<CtrHmac>,
    /// Derives secrets.
    pub deriver: Option<Deriver>,
    /// X.509 certificate of the signing key, DER.
    pub certificate: Option<Vec<u8>>,
    /// An attestation that lets the signing key speak for somebody.
    pub delegation: Option<Vec<u8>>,
}

impl Keyset {
    /// Reads a serialized `CryptoKeyset`. Keys of kinds that are not known are left out.
    ///
    /// # Errors
    /// When the bytes are malformed, or a key in them cannot be used.
    pub fn decode(bytes: &[u8]) -> Result<Self, KeysetError> {
        let mut message: CryptoKeyset = proto2::read(bytes)?;
        if message.keys.len() > MOST {
            return Err(KeysetError::Contents("more than 64 keys"));
        }
        let mut set = Self {
            certificate: message.cert.take(),
            delegation: message.delegation.take(),
            ..Self::default()
        };
        for bytes in &mut message.keys {
            let mut key: CryptoKey = proto2::read(bytes)?;
            bytes.zeroize();
            let added = set.add(&key);
            key.key_components.iter_mut().for_each(Zeroize::zeroize);
            added?;
        }
        Ok(set)
    }

    /// The set as the original serializes it.
    ///
    /// # Errors
    /// When a key cannot be written.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let mut keys = Vec::new();
        if let Some(signer) = &self.signer {
            keys.push(signing(signer)?);
        }
        if let Some(crypter) = &self.crypter {
            let (kind, parts) = crypter.parts();
            keys.push(key("taoboot_crypter", kind, "crypting", parts));
        }
        if let Some(deriver) = &self.deriver {
            let parts = vec![deriver.bytes().to_vec()];
            keys.push(key("taoboot_deriver", DERIVER, "deriving", parts));
        }
        let (certificate, delegation) = (self.certificate.clone(), self.delegation.clone());
        Ok(serialized(keys, certificate, delegation))
    }

    fn add(&mut self, key: &CryptoKey) -> Result<(), KeysetError> {
        let Some(name) = key.key_header.key_type.as_deref() else {
            return Ok(());
        };
        if let Some(kind) = KeyKind::from_name(name) {
            let private = key.key_components.first();
            let private = private.ok_or(KeysetError::Contents("a signing key without key"))?;
            // P-521 keys are for verifying only; the rest of the set is of use.
            if kind != KeyKind::P521 {
                self.signer = Some(Signer::from_private(kind, private)?);
            }
        } else if name == DERIVER {
            let secret = key.key_components.first();
            let secret = secret.and_then(|secret| <[u8; 32]>::try_from(secret.as_slice()).ok());
            let secret = secret.ok_or(KeysetError::Contents("a deriving key is not 32 bytes"))?;
            self.deriver = Some(Deriver::new(Secret::new(secret)));
        } else if let Some(crypter) = CtrHmac::from_crypto_key(key) {
            self.crypter = Some(crypter);
        }
        Ok(())
    }
}

fn key(name: &str, kind: &str, purpose: &str, parts: Vec<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let mut key = CryptoKey {
        key_header: CryptoHeader {
            version: 2,
            key_name: Some(name.to_owned()),
            key_epoch: Some(1),
            key_type: Some(kind.to_owned()),
            key_purpose: Some(purpose.to_owned()),
            key_status: Some("active".to_owned()),
        },
        key_components: parts,
    };
    let bytes = Zeroizing::new(key.encode_to_vec());
    key.key_components.iter_mut().for_each(Zeroize::zeroize);
    bytes
}

/// A set of one signing key and its certificate, serialized.
///
/// # Errors
/// When a key cannot be written.
pub fn encode(signer: &Signer, certificate: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let keys = vec![signing(signer)?];
    Ok(serialized(keys, Some(certificate.to_vec()), None))
}

fn signing(signer: &Signer) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut private = signer.private_bytes()?;
    let parts = vec![std::mem::take(&mut *private)];
    Ok(key(
        "taoboot_signer",
        signer.kind().name(),
        "signing",
        parts,
    ))
}

fn serialized(
    mut keys: Vec<Zeroizing<Vec<u8>>>,
    cert: Option<Vec<u8>>,
    delegation: Option<Vec<u8>>,
) -> Zeroizing<Vec<u8>> {
    let mut set = CryptoKeyset {
        keys: keys
            .iter_mut()
            .map(|key| std::mem::take(&mut **key))
            .collect(),
        cert,
        delegation,
        ..CryptoKeyset::default()
    };
    let bytes = Zeroizing::new(set.encode_to_vec());
    set.keys.iter_mut().for_each(Zeroize::zeroize);
    bytes
}
