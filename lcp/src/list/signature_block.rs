//! A signature as the file stores it: the block behind a list's elements, read and written.

use txt::{
    codec::{FormatError, Reader, value},
    hash::HashAlg,
};

use super::{
    ListVersion,
    signature::{
        ALG_ECDSA, ALG_RSAPSS, ALG_RSASSA, ALG_SM2, EC_LENS, EcScheme, RSA_LENS, RsaScheme,
        Signature, SignatureValue,
    },
};

/// TPM_ALG numbers of keys.
const ALG_RSA: u16 = 0x0001;
const ALG_ECC: u16 = 0x0023;
/// `Version` of the structures inside of a signature of version 3.0.
const STRUCTURE_VERSION: u8 = 0x10;
/// The only public exponent there is.
const EXPONENT: u32 = 65537;

impl Signature {
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
        Self::new(revocation_counter, None, value)
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
            let found = u64::try_from(signature_len.saturating_mul(8)).unwrap_or(u64::MAX);
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
        Self::new(revocation_counter, Some(hash), value)
    }

    /// Revocation counter and key.
    pub(super) fn write_key(&self, version: ListVersion, out: &mut Vec<u8>) {
        out.extend(self.revocation_counter.to_le_bytes());
        let rsa = matches!(self.value(), SignatureValue::Rsa { .. });
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
            out.extend(self.hash().map_or(0, HashAlg::tpm_alg).to_le_bytes());
        }
        match self.value() {
            SignatureValue::Rsa { signature, .. } => out.extend(signature),
            SignatureValue::Ec { r, s, .. } => {
                out.extend(r);
                out.extend(s);
            }
        }
    }

    /// The key's length in bits; `new` admits 4096 at most.
    fn bits(&self) -> u16 {
        u16::try_from(self.key_len().saturating_mul(8)).unwrap_or(u16::MAX)
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

/// The error of a key whose length does not exist.
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
