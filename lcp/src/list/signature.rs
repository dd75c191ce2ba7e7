//! The signature of a list: key, revocation counter and value.
//!
//! All big numbers stand little-endian in the file and are kept so here: hashes and signatures are
//! taken over exactly these bytes.

use txt::{codec::FormatError, hash::HashAlg};

use super::ListVersion;

/// TPM_ALG numbers of schemes.
pub(super) const ALG_RSASSA: u16 = 0x0014;
pub(super) const ALG_RSAPSS: u16 = 0x0016;
pub(super) const ALG_ECDSA: u16 = 0x0018;
pub(super) const ALG_SM2: u16 = 0x001b;
/// Lengths of RSA moduli and of EC coordinates, in bytes.
pub(super) const RSA_LENS: [usize; 4] = [128, 256, 384, 512];
pub(super) const EC_LENS: [usize; 2] = [32, 48];

/// Padding of an RSA signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RsaScheme {
    /// PKCS#1 v1.5; lists up to version 2.1.
    Pkcs1,
    /// PSS with a salt as long as the hash; lists of version 3.0.
    Pss,
}

/// Kind of an elliptic curve signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcScheme {
    /// ECDSA on P-256 with SHA-256 or on P-384 with SHA-384.
    Ecdsa,
    /// SM2 with SM3.
    Sm2,
}

/// Key and value of a signature; every number little-endian, of the key's length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureValue {
    /// RSA with exponent 65537.
    Rsa {
        /// The padding.
        scheme: RsaScheme,
        /// The key's modulus.
        modulus: Vec<u8>,
        /// The signature.
        signature: Vec<u8>,
    },
    /// An elliptic curve.
    Ec {
        /// The kind.
        scheme: EcScheme,
        /// The key's point.
        x: Vec<u8>,
        /// The key's point.
        y: Vec<u8>,
        /// The signature.
        r: Vec<u8>,
        /// The signature.
        s: Vec<u8>,
    },
}

/// A list's signature block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// SINIT refuses a list whose counter is below the policy's.
    pub revocation_counter: u16,
    /// The hash; the file stores it in version 3.0 only, older lists leave it to the signature.
    hash: Option<HashAlg>,
    value: SignatureValue,
}

impl Signature {
    /// A block from its parts; refused when a number has not the key's length or the key not one
    /// of the lengths that exist.
    pub fn new(
        revocation_counter: u16,
        hash: Option<HashAlg>,
        value: SignatureValue,
    ) -> Result<Self, FormatError> {
        let parts = |text: String| Err(FormatError::Parts(text));
        match &value {
            SignatureValue::Rsa {
                modulus, signature, ..
            } => {
                if !RSA_LENS.contains(&modulus.len()) {
                    let bits = modulus.len().saturating_mul(8);
                    return parts(format!(
                        "an RSA key of {bits} bits: 2048 or 3072 are possible"
                    ));
                }
                if signature.len() != modulus.len() {
                    let (found, expected) = (signature.len(), modulus.len());
                    return parts(format!(
                        "the signature has {found} bytes, with this key it must have {expected}"
                    ));
                }
            }
            SignatureValue::Ec { x, y, r, s, .. } => {
                let len = x.len();
                if !EC_LENS.contains(&len) || [y, r, s].iter().any(|part| part.len() != len) {
                    return parts("an elliptic curve key of 256 or 384 bits is needed".to_owned());
                }
            }
        }
        Ok(Self {
            revocation_counter,
            hash,
            value,
        })
    }

    /// Key and value.
    pub const fn value(&self) -> &SignatureValue {
        &self.value
    }

    /// The hash that the block names; only in version 3.0.
    pub const fn hash(&self) -> Option<HashAlg> {
        self.hash
    }

    /// The TPM_ALG number of the scheme.
    pub const fn alg_number(&self) -> u16 {
        match &self.value {
            SignatureValue::Rsa {
                scheme: RsaScheme::Pkcs1,
                ..
            } => ALG_RSASSA,
            SignatureValue::Rsa {
                scheme: RsaScheme::Pss,
                ..
            } => ALG_RSAPSS,
            SignatureValue::Ec {
                scheme: EcScheme::Ecdsa,
                ..
            } => ALG_ECDSA,
            SignatureValue::Ec {
                scheme: EcScheme::Sm2,
                ..
            } => ALG_SM2,
        }
    }

    /// Length of the key in bytes: of the modulus, or of one coordinate.
    pub fn key_len(&self) -> usize {
        match &self.value {
            SignatureValue::Rsa { modulus, .. } => modulus.len(),
            SignatureValue::Ec { x, .. } => x.len(),
        }
    }

    /// What a policy names of a signed list: the modulus, or both coordinates.
    pub fn key_bytes(&self) -> Vec<u8> {
        match &self.value {
            SignatureValue::Rsa { modulus, .. } => modulus.clone(),
            SignatureValue::Ec { x, y, .. } => [x.as_slice(), y.as_slice()].concat(),
        }
    }

    /// Can a list of this version carry it?
    pub(super) fn check(&self, version: ListVersion) -> Result<(), FormatError> {
        let pss = matches!(
            self.value,
            SignatureValue::Rsa {
                scheme: RsaScheme::Pss,
                ..
            }
        );
        let rsa = matches!(self.value, SignatureValue::Rsa { .. });
        let wrong = match version {
            ListVersion::V1_0 if !rsa || pss => Some("RSA PKCS#1 v1.5 only (rsa)"),
            ListVersion::V2_0 | ListVersion::V2_1 if pss => Some("rsa, ecdsa or sm2"),
            ListVersion::V3_0 if rsa && !pss => Some("rsapss, ecdsa or sm2"),
            ListVersion::V3_0 if self.hash.is_none() => Some("the signature's hash algorithm"),
            _ => None,
        };
        match wrong {
            Some(expected) => Err(FormatError::Parts(format!(
                "a list of version {version} cannot carry this signature: it takes {expected}"
            ))),
            None => Ok(()),
        }
    }
}
