//! Signing lists and verifying their signatures.
//!
//! All arithmetic with keys is that of the RustCrypto crates. RSA keys have 2048 or 3072 bits and
//! the exponent 65537, elliptic curve keys are P-256, P-384 or SM2: nothing else is taken by SINIT.

use txt::{codec::FormatError, hash::HashAlg};

use crate::list::{EcScheme, ListVersion, PolicyList, RsaScheme, Signature, SignatureValue};

mod key;
mod salt;
mod verify;

pub use key::{PrivateKey, PublicKey};
pub use verify::{Verified, verify};

/// A key that can't be read, or a signature that can't be made or doesn't verify.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// A PEM file that holds no key that can be used.
    #[error(
        "no {kind} key: expected PEM with an RSA (2048 or 3072 bits, exponent 65537), P-256, P-384 or SM2 key{hint}"
    )]
    Key {
        /// "private" or "public".
        kind: &'static str,
        /// What was found instead, when that is known.
        hint: String,
    },
    /// A key that doesn't go with the scheme.
    #[error("a {key} key can't make a {scheme} signature")]
    Scheme {
        /// The key's kind.
        key: &'static str,
        /// The scheme's name.
        scheme: &'static str,
    },
    /// A hash that the scheme can't use.
    #[error("a {scheme} signature can't use {hash}: {expected}")]
    Hash {
        /// The scheme's name.
        scheme: &'static str,
        /// The hash that was asked for.
        hash: HashAlg,
        /// What is possible.
        expected: &'static str,
    },
    /// Private and public key don't belong together.
    #[error("the public key doesn't belong to the private key: give the two halves of one pair")]
    Pair,
    /// The signature isn't one of this key over this list.
    #[error("the signature doesn't verify: list, key and signature don't belong together")]
    Mismatch,
    /// The key in a list is none: even modulus, point not on the curve.
    #[error("the list's key is no valid {0} key")]
    ListKey(&'static str),
    /// The list isn't signed.
    #[error("the list is not signed")]
    Unsigned,
    /// A signature file that isn't of the expected form.
    #[error("the signature file: {0}")]
    SignatureFile(String),
    /// The library refused to sign.
    #[error("the key can't sign: {0}")]
    Backend(String),
    /// The list's parts don't fit.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// How a list is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RSA PKCS#1 v1.5: lists up to version 2.1.
    Rsa,
    /// RSA PSS: lists of version 3.0.
    RsaPss,
    /// ECDSA.
    Ecdsa,
    /// SM2.
    Sm2,
}

impl Scheme {
    /// The name on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Scheme::Rsa => "rsa",
            Scheme::RsaPss => "rsapss",
            Scheme::Ecdsa => "ecdsa",
            Scheme::Sm2 => "sm2",
        }
    }
}

impl std::str::FromStr for Scheme {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Scheme::Rsa, Scheme::RsaPss, Scheme::Ecdsa, Scheme::Sm2]
            .into_iter()
            .find(|scheme| scheme.name() == text)
            .ok_or_else(|| format!("{text:?} is no scheme: rsa, rsapss, ecdsa or sm2"))
    }
}

/// What is signed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningPlan {
    /// The kind of signature.
    pub scheme: Scheme,
    /// The hash; `None` for the scheme's own (SHA-1 for lists of version 1.0).
    pub hash: Option<HashAlg>,
    /// The list's revocation counter.
    pub revocation_counter: u16,
}

impl SigningPlan {
    /// The hash that a signature of this list by this key uses.
    ///
    /// Lists of version 1.0 use SHA-1, RSA SHA-256 unless told otherwise; an elliptic curve fixes
    /// it: P-256 SHA-256, P-384 SHA-384, SM2 SM3.
    pub fn hash_for(&self, version: ListVersion, key: &PublicKey) -> Result<HashAlg, SignError> {
        let scheme = self.scheme.name();
        let fixed = match (self.scheme, key) {
            (Scheme::Rsa, PublicKey::Rsa { .. }) if version == ListVersion::V1_0 => {
                Some((HashAlg::Sha1, "lists of version 1.0 have sha1"))
            }
            (Scheme::Rsa | Scheme::RsaPss, PublicKey::Rsa { .. }) => None,
            (Scheme::Ecdsa, PublicKey::P256 { .. }) => Some((HashAlg::Sha256, "P-256 has sha256")),
            (Scheme::Ecdsa, PublicKey::P384 { .. }) => Some((HashAlg::Sha384, "P-384 has sha384")),
            (Scheme::Sm2, PublicKey::Sm2 { .. }) => Some((HashAlg::Sm3, "SM2 has sm3")),
            _ => {
                return Err(SignError::Scheme {
                    key: key.name(),
                    scheme,
                });
            }
        };
        match (fixed, self.hash) {
            (Some((hash, _)), None) => Ok(hash),
            (Some((fixed, _)), Some(asked)) if fixed == asked => Ok(fixed),
            (Some((_, expected)), Some(hash)) => Err(SignError::Hash {
                scheme,
                hash,
                expected,
            }),
            (None, None) => Ok(HashAlg::Sha256),
            (None, Some(hash)) => match (self.scheme, hash) {
                (_, HashAlg::Sha256 | HashAlg::Sha384) | (Scheme::Rsa, HashAlg::Sha1) => Ok(hash),
                _ => {
                    let expected = "sha256 or sha384 (sha1 for rsa in lists up to 2.1 only)";
                    Err(SignError::Hash {
                        scheme,
                        hash,
                        expected,
                    })
                }
            },
        }
    }

    /// The list with key and counter in place and a signature of zeros: what the signature is
    /// taken over doesn't depend on its value.
    fn prepare(
        &self,
        list: PolicyList,
        key: &PublicKey,
    ) -> Result<(PolicyList, HashAlg), SignError> {
        let hash = self.hash_for(list.version(), key)?;
        let value = self.value(key, &vec![0; key.size()], &vec![0; key.size()]);
        Ok((self.with_value(list, hash, value)?, hash))
    }

    fn with_value(
        &self,
        list: PolicyList,
        hash: HashAlg,
        value: SignatureValue,
    ) -> Result<PolicyList, SignError> {
        let stored = (list.version() == ListVersion::V3_0).then_some(hash);
        let signature = Signature::new(self.revocation_counter, stored, value)?;
        Ok(list.with_signature(signature)?)
    }

    /// Key and value in the file's form; RSA has its value in `first`.
    fn value(&self, key: &PublicKey, first: &[u8], second: &[u8]) -> SignatureValue {
        match key {
            PublicKey::Rsa { modulus } => SignatureValue::Rsa {
                scheme: if self.scheme == Scheme::Rsa {
                    RsaScheme::Pkcs1
                } else {
                    RsaScheme::Pss
                },
                modulus: modulus.clone(),
                signature: first.to_vec(),
            },
            PublicKey::P256 { x, y } | PublicKey::P384 { x, y } | PublicKey::Sm2 { x, y } => {
                let sm2 = matches!(key, PublicKey::Sm2 { .. });
                SignatureValue::Ec {
                    scheme: if sm2 { EcScheme::Sm2 } else { EcScheme::Ecdsa },
                    x: x.clone(),
                    y: y.clone(),
                    r: first.to_vec(),
                    s: second.to_vec(),
                }
            }
        }
    }
}

/// Bytes to be signed elsewhere, by an offline key or an HSM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToSign {
    /// The message; `openssl dgst -HASH -sign` takes it as it is.
    pub bytes: Vec<u8>,
    /// The hash that the signature must use.
    pub hash: HashAlg,
}

/// What an offline key has to sign so that [`attach`] can complete the list.
pub fn to_sign(list: PolicyList, key: &PublicKey, plan: &SigningPlan) -> Result<ToSign, SignError> {
    let (prepared, hash) = plan.prepare(list, key)?;
    let bytes = prepared.signed_bytes()?.ok_or(SignError::Unsigned)?;
    Ok(ToSign { bytes, hash })
}

/// Signs a list, in place of a signature that it may have. The result is verified.
pub fn sign(
    list: PolicyList,
    key: &PrivateKey,
    plan: &SigningPlan,
) -> Result<PolicyList, SignError> {
    let public = key.public();
    let message = to_sign(list.clone(), &public, plan)?;
    let (first, second) = key.sign(plan.scheme, &message)?;
    finish(list, &public, plan, message.hash, &first, &second)
}

/// Puts a signature made elsewhere into a list: RSA as the big-endian number that openssl writes,
/// elliptic curves as DER. It is verified: a wrong one never gets into a file.
pub fn attach(
    list: PolicyList,
    key: &PublicKey,
    plan: &SigningPlan,
    signature: &[u8],
) -> Result<PolicyList, SignError> {
    let hash = plan.hash_for(list.version(), key)?;
    let (first, second) = key.split_signature(signature)?;
    finish(list, key, plan, hash, &first, &second)
}

fn finish(
    list: PolicyList,
    key: &PublicKey,
    plan: &SigningPlan,
    hash: HashAlg,
    first: &[u8],
    second: &[u8],
) -> Result<PolicyList, SignError> {
    let signed = plan.with_value(list, hash, plan.value(key, first, second))?;
    verify(&signed)?;
    Ok(signed)
}
