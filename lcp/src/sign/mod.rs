//! Signing lists and verifying their signatures.
//!
//! All arithmetic with keys is that of the RustCrypto crates. RSA keys have 2048 or 3072 bits and
//! the exponent 65537, elliptic curve keys are P-256, P-384 or SM2: nothing else is taken by SINIT.

use txt::hash::HashAlg;

use crate::list::{EcScheme, ListVersion, PolicyList, RsaScheme, Signature, SignatureValue};

mod error;
mod key;
mod salt;
mod scheme;
mod verify;

pub use error::SignError;
pub use key::{PrivateKey, PublicKey};
pub use scheme::{Scheme, SchemeError, ToSign};
pub use verify::{Verified, verify};

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
    /// taken over does not depend on its value.
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
