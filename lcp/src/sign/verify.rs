//! Verifying a list's signature with the key that stands in the list.

use rsa::{BoxedUint, RsaPublicKey, pkcs1v15::Pkcs1v15Sign, pss::Pss, signature::Verifier};
use sha1::Sha1;
use sha2::{Sha256, Sha384};
use txt::hash::HashAlg;

use super::{
    SignError,
    key::{SM2_ID, reversed},
};
use crate::list::{EcScheme, ListVersion, PolicyList, RsaScheme, SignatureValue};

/// A signature that verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The hash that it uses.
    pub hash: HashAlg,
    /// Length of the key in bits.
    pub key_bits: usize,
}

/// Verifies a list's signature.
///
/// It says that the list was signed by the key that it holds. Whether this is the right key says
/// the policy, which names the key's hash.
pub fn verify(list: &PolicyList) -> Result<Verified, SignError> {
    let (Some(signature), Some(message)) = (list.signature(), list.signed_bytes()?) else {
        return Err(SignError::Unsigned);
    };
    let key_bits = signature.key_len().saturating_mul(8);
    let hash = match signature.value() {
        SignatureValue::Rsa {
            scheme,
            modulus,
            signature: value,
        } => {
            let key = rsa_key(modulus)?;
            let value = reversed(value, value.len());
            match scheme {
                RsaScheme::Pkcs1 => verify_pkcs1(&key, list.version(), &message, &value)?,
                RsaScheme::Pss => verify_pss(&key, signature.hash(), &message, &value)?,
            }
        }
        SignatureValue::Ec { scheme, x, y, r, s } => {
            let hash = verify_ec(*scheme, [x, y], [r, s], &message)?;
            if signature.hash().is_some_and(|named| named != hash) {
                return Err(SignError::Mismatch);
            }
            hash
        }
    };
    Ok(Verified { hash, key_bits })
}

fn rsa_key(modulus: &[u8]) -> Result<RsaPublicKey, SignError> {
    let bits =
        u32::try_from(modulus.len().saturating_mul(8)).map_err(|_| SignError::ListKey("RSA"))?;
    let big_endian = reversed(modulus, modulus.len());
    let modulus =
        BoxedUint::from_be_slice(&big_endian, bits).map_err(|_| SignError::ListKey("RSA"))?;
    RsaPublicKey::new(modulus, BoxedUint::from(65537u64)).map_err(|_| SignError::ListKey("RSA"))
}

/// The hash stands in the signature only, so every possible one is tried: version 1.0 has SHA-1.
fn verify_pkcs1(
    key: &RsaPublicKey,
    version: ListVersion,
    message: &[u8],
    value: &[u8],
) -> Result<HashAlg, SignError> {
    let hashes: &[HashAlg] = match version {
        ListVersion::V1_0 => &[HashAlg::Sha1],
        _ => &[HashAlg::Sha256, HashAlg::Sha384, HashAlg::Sha1],
    };
    let matches = |hash: &&HashAlg| {
        let padding = match hash {
            HashAlg::Sha1 => Pkcs1v15Sign::new::<Sha1>(),
            HashAlg::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
            _ => Pkcs1v15Sign::new::<Sha256>(),
        };
        key.verify(padding, hash.digest(message).as_bytes(), value)
            .is_ok()
    };
    hashes
        .iter()
        .find(matches)
        .copied()
        .ok_or(SignError::Mismatch)
}

fn verify_pss(
    key: &RsaPublicKey,
    hash: Option<HashAlg>,
    message: &[u8],
    value: &[u8],
) -> Result<HashAlg, SignError> {
    let hash = hash.unwrap_or(HashAlg::Sha256);
    let digest = hash.digest(message);
    let digest = digest.as_bytes();
    let result = match hash {
        HashAlg::Sha256 => key.verify(Pss::<Sha256>::new(), digest, value),
        HashAlg::Sha384 => key.verify(Pss::<Sha384>::new(), digest, value),
        HashAlg::Sha1 | HashAlg::Sha512 | HashAlg::Sm3 => {
            let expected = "sha256 or sha384";
            return Err(SignError::Hash {
                scheme: "rsapss",
                hash,
                expected,
            });
        }
    };
    result.map(|()| hash).map_err(|_| SignError::Mismatch)
}

fn verify_ec(
    scheme: EcScheme,
    point: [&Vec<u8>; 2],
    signature: [&Vec<u8>; 2],
    message: &[u8],
) -> Result<HashAlg, SignError> {
    let [x, y] = point.map(|number| reversed(number, number.len()));
    let [r, s] = signature.map(|number| reversed(number, number.len()));
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    let signature = [r, s].concat();
    let mismatch = |_| SignError::Mismatch;
    match (scheme, x.len()) {
        (EcScheme::Ecdsa, 32) => {
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point)
                .map_err(|_| SignError::ListKey("P-256"))?;
            let signature = p256::ecdsa::Signature::from_slice(&signature).map_err(mismatch)?;
            key.verify(message, &signature).map_err(mismatch)?;
            Ok(HashAlg::Sha256)
        }
        (EcScheme::Ecdsa, 48) => {
            let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(&point)
                .map_err(|_| SignError::ListKey("P-384"))?;
            let signature = p384::ecdsa::Signature::from_slice(&signature).map_err(mismatch)?;
            key.verify(message, &signature).map_err(mismatch)?;
            Ok(HashAlg::Sha384)
        }
        (EcScheme::Sm2, 32) => {
            let key = sm2::dsa::VerifyingKey::from_sec1_bytes(SM2_ID, &point)
                .map_err(|_| SignError::ListKey("SM2"))?;
            let signature = sm2::dsa::Signature::from_slice(&signature).map_err(mismatch)?;
            key.verify(message, &signature).map_err(mismatch)?;
            Ok(HashAlg::Sm3)
        }
        (EcScheme::Ecdsa, _) => Err(SignError::ListKey("P-256 or P-384")),
        (EcScheme::Sm2, _) => Err(SignError::ListKey("SM2")),
    }
}
