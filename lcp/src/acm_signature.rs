//! A module's signature: RSA PKCS#1 v1.5 over everything but key, signature and scratch area.
//!
//! In modules of version 0.0 the signed block is 00 01 ff.. 00 and the digest in reverse byte order,
//! without the DigestInfo that PKCS#1 has (checked on 13 published modules: SHA-256, SHA-1 in the
//! oldest). What version 3.0 holds couldn't be seen, so the usual forms are tried: with and without
//! DigestInfo, either byte order.

use rsa::{BoxedUint, RsaPublicKey, pkcs1v15::Pkcs1v15Sign};
use sha1::Sha1;
use sha2::{Sha256, Sha384};
use txt::{
    acm::Acm,
    hash::{Digest, HashAlg},
};

/// A signature that verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureInfo {
    /// The digest of the signed parts; HASH_START of the launch comes from it.
    pub digest: Digest,
}

/// A signature that does not verify.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// No RSA key: even modulus, exponent out of range.
    #[error("the module's RSA key is none: {0}")]
    Key(#[from] rsa::Error),
    /// The signature is not one of the key, or the module was changed.
    #[error(
        "the module's signature does not verify: its key signed another digest than sha256 {0}, so the file is damaged or was changed: get it again from Intel"
    )]
    Mismatch(Digest),
}

/// Checks a module's RSA signature with the key that it holds.
///
/// # Errors
/// The key is none, or it signed something else.
pub fn check(acm: &Acm) -> Result<SignatureInfo, SignatureError> {
    let header = acm.header();
    let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>();
    let bits = u32::try_from(header.modulus.len().saturating_mul(8)).unwrap_or(u32::MAX);
    // A modulus of the header's length always fits.
    let modulus = BoxedUint::from_be_slice(&reversed(&header.modulus), bits)
        .map_err(|_| rsa::Error::InvalidModulus)?;
    let key = RsaPublicKey::new(modulus, BoxedUint::from(header.exponent))?;
    let signature = reversed(&header.signature);
    let parts = acm.signed();
    let signed = |alg: HashAlg| alg.digest_parts(&[&parts.head, &parts.user]);
    for alg in [HashAlg::Sha256, HashAlg::Sha384, HashAlg::Sha1] {
        let digest = signed(alg);
        let with_info = || match alg {
            HashAlg::Sha1 => Pkcs1v15Sign::new::<Sha1>(),
            HashAlg::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
            _ => Pkcs1v15Sign::new::<Sha256>(),
        };
        let holds = |bytes: &[u8]| {
            let bare = Pkcs1v15Sign::new_unprefixed();
            key.verify(bare, bytes, &signature).is_ok()
                || key.verify(with_info(), bytes, &signature).is_ok()
        };
        if holds(&reversed(digest.as_bytes())) || holds(digest.as_bytes()) {
            return Ok(SignatureInfo { digest });
        }
    }
    Err(SignatureError::Mismatch(signed(HashAlg::Sha256)))
}
