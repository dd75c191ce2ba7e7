//! Keys: read from PEM, compared, and the private ones used.

use p256::{elliptic_curve::sec1::ToSec1Point, pkcs8::DecodePrivateKey};
use rsa::{
    RsaPrivateKey, RsaPublicKey,
    pkcs1::{DecodeRsaPrivateKey, DecodeRsaPublicKey},
    pkcs1v15::Pkcs1v15Sign,
    pkcs8::DecodePublicKey,
    pss::Pss,
    signature::Signer,
    traits::PublicKeyParts,
};
use sha1::Sha1;
use sha2::{Sha256, Sha384};
use txt::hash::HashAlg;

use super::{Scheme, SignError, ToSign, salt::SaltSource};

/// The identifier that goes into an SM2 signature of a list: none.
pub(super) const SM2_ID: &str = "";

/// A public key; numbers little-endian, as lists store them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA with exponent 65537.
    Rsa {
        /// The modulus.
        modulus: Vec<u8>,
    },
    /// A point on P-256.
    P256 {
        /// Its coordinate.
        x: Vec<u8>,
        /// Its coordinate.
        y: Vec<u8>,
    },
    /// A point on P-384.
    P384 {
        /// Its coordinate.
        x: Vec<u8>,
        /// Its coordinate.
        y: Vec<u8>,
    },
    /// A point on SM2's curve.
    Sm2 {
        /// Its coordinate.
        x: Vec<u8>,
        /// Its coordinate.
        y: Vec<u8>,
    },
}

/// A private key. The numbers are wiped from memory when it is dropped.
pub enum PrivateKey {
    /// RSA.
    Rsa(Box<RsaPrivateKey>),
    /// P-256.
    P256(p256::ecdsa::SigningKey),
    /// P-384.
    P384(p384::ecdsa::SigningKey),
    /// SM2.
    Sm2(sm2::SecretKey),
}

/// Big-endian to little-endian and back, padded with zeros to `len`.
pub(super) fn reversed(bytes: &[u8], len: usize) -> Vec<u8> {
    let mut out: Vec<u8> = bytes.iter().rev().copied().collect();
    out.resize(len.max(bytes.len()), 0);
    out
}

/// The coordinates of an uncompressed point: 04, x, y.
fn coordinates(point: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let numbers = point.strip_prefix(&[4]).unwrap_or(point);
    let (x, y) = numbers.split_at(numbers.len() / 2);
    (reversed(x, x.len()), reversed(y, y.len()))
}

fn rsa_public(key: &RsaPublicKey) -> Result<PublicKey, SignError> {
    let refuse = |hint: String| {
        Err(SignError::Key {
            kind: "usable RSA",
            hint,
        })
    };
    if key.e_bytes().as_ref() != [1, 0, 1] {
        return refuse(", found another exponent".to_owned());
    }
    let modulus = key.n_bytes();
    match modulus.len() {
        128 | 256 | 384 => Ok(PublicKey::Rsa {
            modulus: reversed(&modulus, modulus.len()),
        }),
        len => refuse(format!(", found {} bits", len.saturating_mul(8))),
    }
}

impl PublicKey {
    /// A public key from PEM ("PUBLIC KEY" or "RSA PUBLIC KEY").
    pub fn from_pem(pem: &str) -> Result<Self, SignError> {
        if let Ok(key) = RsaPublicKey::from_public_key_pem(pem)
            .map_err(|_| ())
            .or_else(|()| RsaPublicKey::from_pkcs1_pem(pem).map_err(|_| ()))
        {
            return rsa_public(&key);
        }
        if let Ok(key) = p256::PublicKey::from_public_key_pem(pem) {
            let (x, y) = coordinates(key.to_sec1_point(false).as_bytes());
            return Ok(Self::P256 { x, y });
        }
        if let Ok(key) = p384::PublicKey::from_public_key_pem(pem) {
            let (x, y) = coordinates(key.to_sec1_point(false).as_bytes());
            return Ok(Self::P384 { x, y });
        }
        if let Ok(key) = sm2::PublicKey::from_public_key_pem(pem) {
            let (x, y) = coordinates(key.to_sec1_point(false).as_bytes());
            return Ok(Self::Sm2 { x, y });
        }
        let private = pem.contains("PRIVATE KEY-----");
        let hint = if private { ", found a private key" } else { "" };
        Err(SignError::Key {
            kind: "public",
            hint: hint.to_owned(),
        })
    }

    /// The kind's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RSA",
            Self::P256 { .. } => "P-256",
            Self::P384 { .. } => "P-384",
            Self::Sm2 { .. } => "SM2",
        }
    }

    /// Length of the modulus or of one coordinate, in bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::Rsa { modulus } => modulus.len(),
            Self::P256 { x, .. } | Self::P384 { x, .. } | Self::Sm2 { x, .. } => x.len(),
        }
    }

    /// A signature as openssl writes it, in the file's form: (value, nothing) or (r, s).
    pub(super) fn split_signature(
        &self,
        signature: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>), SignError> {
        let wrong = |expected: String| SignError::SignatureFile(expected);
        let not_der = || {
            wrong(format!(
                "expected a DER signature (r, s) of {}",
                self.name()
            ))
        };
        let halves = |bytes: &[u8]| {
            let (r, s) = bytes.split_at(bytes.len() / 2);
            (reversed(r, r.len()), reversed(s, s.len()))
        };
        match self {
            Self::Rsa { modulus } => {
                let (found, expected) = (signature.len(), modulus.len());
                if found != expected {
                    return Err(wrong(format!("expected {expected} bytes, found {found}")));
                }
                Ok((reversed(signature, expected), Vec::new()))
            }
            // SM2's DER form is ECDSA's, and its numbers are as long as P-256's.
            Self::P256 { .. } | Self::Sm2 { .. } => {
                let parsed = p256::ecdsa::Signature::from_der(signature).map_err(|_| not_der())?;
                Ok(halves(&parsed.to_bytes()))
            }
            Self::P384 { .. } => {
                let parsed = p384::ecdsa::Signature::from_der(signature).map_err(|_| not_der())?;
                Ok(halves(&parsed.to_bytes()))
            }
        }
    }
}

impl PrivateKey {
    /// A private key from PEM: PKCS#8, "RSA PRIVATE KEY" or "EC PRIVATE KEY", not encrypted.
    pub fn from_pem(pem: &str) -> Result<Self, SignError> {
        if let Ok(key) = RsaPrivateKey::from_pkcs8_pem(pem)
            .map_err(|_| ())
            .or_else(|()| RsaPrivateKey::from_pkcs1_pem(pem).map_err(|_| ()))
        {
            // Exponent and size are those of the public half.
            rsa_public(&key.to_public_key())?;
            return Ok(Self::Rsa(Box::new(key)));
        }
        if let Ok(key) = p256::SecretKey::from_pkcs8_pem(pem)
            .map_err(|_| ())
            .or_else(|()| p256::SecretKey::from_sec1_pem(pem).map_err(|_| ()))
        {
            return Ok(Self::P256(key.into()));
        }
        if let Ok(key) = p384::SecretKey::from_pkcs8_pem(pem)
            .map_err(|_| ())
            .or_else(|()| p384::SecretKey::from_sec1_pem(pem).map_err(|_| ()))
        {
            return Ok(Self::P384(key.into()));
        }
        if let Ok(key) = sm2::SecretKey::from_pkcs8_pem(pem)
            .map_err(|_| ())
            .or_else(|()| sm2::SecretKey::from_sec1_pem(pem).map_err(|_| ()))
        {
            return Ok(Self::Sm2(key));
        }
        let hint = if pem.contains("BEGIN PUBLIC KEY") {
            ", found a public key"
        } else if pem.contains("ENCRYPTED") {
            ", found an encrypted key: decrypt it with openssl pkey first"
        } else {
            ""
        };
        Err(SignError::Key {
            kind: "private",
            hint: hint.to_owned(),
        })
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        match self {
            Self::Rsa(key) => {
                let modulus = key.n_bytes();
                PublicKey::Rsa {
                    modulus: reversed(&modulus, modulus.len()),
                }
            }
            Self::P256(key) => {
                let (x, y) = coordinates(key.verifying_key().to_sec1_point(false).as_bytes());
                PublicKey::P256 { x, y }
            }
            Self::P384(key) => {
                let (x, y) = coordinates(key.verifying_key().to_sec1_point(false).as_bytes());
                PublicKey::P384 { x, y }
            }
            Self::Sm2(key) => {
                let (x, y) = coordinates(key.public_key().to_sec1_point(false).as_bytes());
                PublicKey::Sm2 { x, y }
            }
        }
    }

    /// Signs a message; the numbers come in the file's form.
    pub(super) fn sign(
        &self,
        scheme: Scheme,
        message: &ToSign,
    ) -> Result<(Vec<u8>, Vec<u8>), SignError> {
        let backend = |error: &dyn std::fmt::Display| SignError::Backend(error.to_string());
        let halves = |bytes: &[u8]| {
            let (r, s) = bytes.split_at(bytes.len() / 2);
            (reversed(r, r.len()), reversed(s, s.len()))
        };
        Ok(match self {
            Self::Rsa(key) => {
                let digest = message.hash.digest(&message.bytes);
                let digest = digest.as_bytes();
                let signature = match (scheme, message.hash) {
                    (Scheme::RsaPss, HashAlg::Sha384) => key.sign_with_rng(
                        &mut SaltSource::new(key, digest),
                        Pss::<Sha384>::new(),
                        digest,
                    ),
                    (Scheme::RsaPss, _) => key.sign_with_rng(
                        &mut SaltSource::new(key, digest),
                        Pss::<Sha256>::new(),
                        digest,
                    ),
                    (_, HashAlg::Sha1) => key.sign(Pkcs1v15Sign::new::<Sha1>(), digest),
                    (_, HashAlg::Sha384) => key.sign(Pkcs1v15Sign::new::<Sha384>(), digest),
                    _ => key.sign(Pkcs1v15Sign::new::<Sha256>(), digest),
                };
                let signature = signature.map_err(|error| backend(&error))?;
                (reversed(&signature, key.size()), Vec::new())
            }
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key
                    .try_sign(&message.bytes)
                    .map_err(|error| backend(&error))?;
                halves(&signature.to_bytes())
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key
                    .try_sign(&message.bytes)
                    .map_err(|error| backend(&error))?;
                halves(&signature.to_bytes())
            }
            Self::Sm2(key) => {
                let key = sm2::dsa::SigningKey::new(SM2_ID, key).map_err(|e| backend(&e))?;
                let signature = key
                    .try_sign(&message.bytes)
                    .map_err(|error| backend(&error))?;
                halves(&signature.to_bytes())
            }
        })
    }
}
