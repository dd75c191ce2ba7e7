//! The signature block of a list: key, revocation counter and value, as the file stores them.
//!
//! All big numbers stand little-endian in the file and are kept so here: hashes and signatures are
//! taken over exactly these bytes.

use super::ListVersion;
use crate::{
    codec::{FormatError, Reader, value},
    hash::HashAlg,
};

/// TPM_ALG numbers of keys and schemes.
const ALG_RSA: u16 = 0x0001;
const ALG_RSASSA: u16 = 0x0014;
const ALG_RSAPSS: u16 = 0x0016;
const ALG_ECDSA: u16 = 0x0018;
const ALG_SM2: u16 = 0x001b;
const ALG_ECC: u16 = 0x0023;
/// `Version` of the structures inside of a signature of version 3.0.
const STRUCTURE_VERSION: u8 = 0x10;
/// The only public exponent there is.
const EXPONENT: u32 = 65537;
/// Lengths of RSA moduli and of EC coordinates, in bytes.
const RSA_LENS: [usize; 4] = [128, 256, 384, 512];
const EC_LENS: [usize; 2] = [32, 48];

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
                    let bits = modulus.len() * 8;
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
        Ok(Signature {
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
                "a list of version {version} can't carry this signature: it takes {expected}"
            ))),
            None => Ok(()),
        }
    }

    /// The block of version 1.0 to 2.1; `alg` is the header's `sig_alg`.
    pub(super) fn read_v2(
        reader: &mut Reader<'_>,
        alg: u16,
        alg_offset: usize,
    ) -> Result<Self, FormatError> {
        // 1 is LCP_POLSALG_RSA_PKCS_15 of version 1.0.
        if !matches!(alg, 1 | ALG_RSASSA | ALG_ECDSA | ALG_SM2) {
            let expected = "0x10 (none), 0x14 (RSASSA), 0x18 (ECDSA) or 0x1b (SM2)";
            return Err(value("sig_alg", alg_offset, expected, alg));
        }
        let revocation_counter = reader.u16("revocation_counter")?;
        let offset = reader.offset();
        let size = reader.u16("pubkey_size")?;
        let len = usize::from(size);
        let value = match alg {
            1 | ALG_RSASSA => {
                known_len(len, &RSA_LENS, offset, "128, 256, 384 or 512")?;
                let modulus = reader.take("pubkey_value", len)?.to_vec();
                let signature = reader.take("sig_block", len)?.to_vec();
                SignatureValue::Rsa {
                    scheme: RsaScheme::Pkcs1,
                    modulus,
                    signature,
                }
            }
            _ => {
                known_len(len, &EC_LENS, offset, "32 or 48")?;
                reader.zeros("reserved", 4)?;
                let scheme = if alg == ALG_SM2 {
                    EcScheme::Sm2
                } else {
                    EcScheme::Ecdsa
                };
                let mut part = |what| Ok(reader.take(what, len)?.to_vec());
                SignatureValue::Ec {
                    scheme,
                    x: part("qx")?,
                    y: part("qy")?,
                    r: part("r")?,
                    s: part("s")?,
                }
            }
        };
        Signature::new(revocation_counter, None, value)
    }

    /// The block of version 3.0, revocation counter included.
    pub(super) fn read_v3(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let revocation_counter = reader.u16("RevocationCounter")?;
        let structure = |reader: &mut Reader<'_>| {
            let offset = reader.offset();
            match reader.u8("structure version")? {
                STRUCTURE_VERSION => Ok(()),
                found => Err(value("structure version", offset, "0x10", found)),
            }
        };
        structure(reader)?;
        let offset = reader.offset();
        let key_alg = reader.u16("KeyAlg")?;
        structure(reader)?;
        let len = bits(reader)?;
        let (first, second) = match key_alg {
            ALG_RSA => {
                known_len(len, &RSA_LENS, offset, "1024, 2048, 3072 or 4096 bits")?;
                let offset = reader.offset();
                let exponent = reader.u32("Exponent")?;
                if exponent != EXPONENT {
                    return Err(value("Exponent", offset, "0x10001", exponent));
                }
                (reader.take("Modulus", len)?, None)
            }
            ALG_ECC => {
                known_len(len, &EC_LENS, offset, "256 or 384 bits")?;
                (reader.take("Qx", len)?, Some(reader.take("Qy", len)?))
            }
            _ => return Err(value("KeyAlg", offset, "0x1 (RSA) or 0x23 (ECC)", key_alg)),
        };
        let offset = reader.offset();
        let scheme = reader.u16("SigScheme")?;
        structure(reader)?;
        let size_offset = reader.offset();
        let signature_len = bits(reader)?;
        if signature_len != len {
            let found = u64::try_from(signature_len * 8).unwrap_or(u64::MAX);
            return Err(value(
                "KeySize of the signature",
                size_offset,
                "the key's",
                found,
            ));
        }
        let hash = reader.hash_alg()?;
        let value = match (second, scheme) {
            (None, ALG_RSAPSS) => SignatureValue::Rsa {
                scheme: RsaScheme::Pss,
                modulus: first.to_vec(),
                signature: reader.take("Signature", len)?.to_vec(),
            },
            (Some(y), ALG_ECDSA | ALG_SM2) => SignatureValue::Ec {
                scheme: if scheme == ALG_SM2 {
                    EcScheme::Sm2
                } else {
                    EcScheme::Ecdsa
                },
                x: first.to_vec(),
                y: y.to_vec(),
                r: reader.take("R", len)?.to_vec(),
                s: reader.take("S", len)?.to_vec(),
            },
            (None, _) => return Err(value("SigScheme", offset, "0x16 (RSAPSS)", scheme)),
            (Some(_), _) => {
                return Err(value(
                    "SigScheme",
                    offset,
                    "0x18 (ECDSA) or 0x1b (SM2)",
                    scheme,
                ));
            }
        };
        Signature::new(revocation_counter, Some(hash), value)
    }

    /// Revocation counter and key.
    pub(super) fn write_key(&self, version: ListVersion, out: &mut Vec<u8>) {
        out.extend(self.revocation_counter.to_le_bytes());
        let rsa = matches!(self.value, SignatureValue::Rsa { .. });
        if version == ListVersion::V3_0 {
            out.push(STRUCTURE_VERSION);
            out.extend(if rsa { ALG_RSA } else { ALG_ECC }.to_le_bytes());
            out.push(STRUCTURE_VERSION);
            out.extend(self.bits().to_le_bytes());
            if rsa {
                out.extend(EXPONENT.to_le_bytes());
            }
        } else {
            // `new` admits lengths up to 512 only, so that this fits.
            out.extend((self.bits() / 8).to_le_bytes());
            if !rsa {
                out.extend([0; 4]);
            }
        }
        out.extend(self.key_bytes());
    }

    /// The signature's own value.
    pub(super) fn write_value(&self, version: ListVersion, out: &mut Vec<u8>) {
        if version == ListVersion::V3_0 {
            out.extend(self.alg_number().to_le_bytes());
            out.push(STRUCTURE_VERSION);
            out.extend(self.bits().to_le_bytes());
            out.extend(self.hash.map_or(0, HashAlg::tpm_alg).to_le_bytes());
        }
        match &self.value {
            SignatureValue::Rsa { signature, .. } => out.extend(signature),
            SignatureValue::Ec { r, s, .. } => {
                out.extend(r);
                out.extend(s);
            }
        }
    }

    /// The key's length in bits; `new` admits 4096 at most.
    fn bits(&self) -> u16 {
        u16::try_from(self.key_len() * 8).unwrap_or(u16::MAX)
    }
}

/// A length in bits as bytes.
fn bits(reader: &mut Reader<'_>) -> Result<usize, FormatError> {
    let offset = reader.offset();
    let bits = reader.u16("KeySize")?;
    if bits.is_multiple_of(8) {
        Ok(usize::from(bits / 8))
    } else {
        Err(value("KeySize", offset, "a multiple of 8", bits))
    }
}

/// The error of a key whose length doesn't exist.
fn known_len(
    len: usize,
    known: &[usize],
    offset: usize,
    expected: &str,
) -> Result<(), FormatError> {
    if known.contains(&len) {
        return Ok(());
    }
    Err(value(
        "key size",
        offset,
        expected,
        u64::try_from(len).unwrap_or(u64::MAX),
    ))
}
