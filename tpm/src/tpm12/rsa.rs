//! RSA keys of a TPM 1.2: TPM_PUBKEY, encrypting to one, and checking what one signed.
//!
//! Only the kind that every TPM 1.2 makes is taken: 2048 bits, two primes, exponent 65537.
//! Source: TPM Main, Part 2, sections 10.4, 10.5 and 10.8; Part 1, section 31.

use getrandom::SysRng;
use rsa::{BoxedUint, Oaep, Pkcs1v15Sign, RsaPublicKey, traits::PaddingScheme as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::{
    Tpm12Error,
    codec::{Bytes20, Malformed, Reader, sized},
};
use crate::Name;

/// Length of a modulus, in bytes.
pub(super) const MODULUS_LEN: usize = 256;
/// OAEP's label of everything that is encrypted for a TPM 1.2.
const LABEL: &[u8] = b"TCPA";
/// TPM_ALG_RSA.
const ALGORITHM: u32 = 1;

/// What a key may do: TPM_ENC_SCHEME and TPM_SIG_SCHEME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Decrypts only: storage keys and the endorsement key (OAEP, no signature).
    Decrypt,
    /// Signs SHA-1 digests only: identity keys (no encryption, PKCS #1 1.5).
    Sign,
}

impl Scheme {
    const fn numbers(self) -> (u16, u16) {
        match self {
            Self::Decrypt => (3, 1),
            Self::Sign => (1, 2),
        }
    }
}

/// The public half of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RsaPublic {
    scheme: Scheme,
    modulus: [u8; MODULUS_LEN],
}

impl RsaPublic {
    pub(super) const fn new(scheme: Scheme, modulus: [u8; MODULUS_LEN]) -> Self {
        Self { scheme, modulus }
    }

    pub(super) const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The modulus, big-endian.
    pub const fn modulus(&self) -> &[u8; MODULUS_LEN] {
        &self.modulus
    }

    /// Reads a TPM_PUBKEY that fills `bytes`.
    ///
    /// # Errors
    /// [`Malformed`] for another kind of key.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let key = Self::read(&mut reader)?;
        reader.finish("pubKey")?;
        Ok(key)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let scheme = read_parameters(reader)?;
        let modulus = reader.sized("pubKey")?;
        let modulus = modulus.try_into().map_err(|_| {
            Malformed(format!(
                "the key has {} bytes, expected {MODULUS_LEN}",
                modulus.len()
            ))
        })?;
        Ok(Self { scheme, modulus })
    }

    /// The TPM_PUBKEY.
    pub fn to_bytes(&self) -> Vec<u8> {
        [parameters(self.scheme), sized(&self.modulus)].concat()
    }

    /// The key's name, in the form that TPM 2.0 has: SHA-256 of its TPM_PUBKEY.
    pub fn name(&self) -> Name {
        Name::of_sha256(Sha256::digest(self.to_bytes()).into())
    }

    fn key(&self) -> Result<RsaPublicKey, Tpm12Error> {
        let bits = u32::try_from(MODULUS_LEN.saturating_mul(8)).unwrap_or(u32::MAX);
        let no_key = |_| Tpm12Error::BadParameter("this modulus is not an RSA key's".to_owned());
        let modulus = BoxedUint::from_be_slice(&self.modulus, bits)
            .map_err(|_| Tpm12Error::BadParameter("this modulus is not an RSA key's".to_owned()))?;
        RsaPublicKey::new(modulus, BoxedUint::from(65537u64)).map_err(no_key)
    }

    /// Encrypts at most 214 bytes for the TPM that has the private half.
    pub(super) fn encrypt(&self, clear: &[u8]) -> Result<Vec<u8>, Tpm12Error> {
        let padding = Oaep::<Sha1>::new_with_label(LABEL);
        padding
            .encrypt(&mut SysRng, &self.key()?, clear)
            .map_err(|error| {
                Tpm12Error::BadParameter(format!("it cannot be encrypted to that key: {error}"))
            })
    }

    /// Did the key sign this SHA-1 digest?
    pub(super) fn has_signed(&self, digest: &Bytes20, signature: &[u8]) -> bool {
        let verified = self
            .key()
            .map(|key| key.verify(Pkcs1v15Sign::new::<Sha1>(), digest, signature));
        self.scheme == Scheme::Sign && matches!(verified, Ok(Ok(())))
    }
}

/// TPM_KEY_PARMS of a key of that scheme, with 2048 bits and the default exponent.
pub(super) fn parameters(scheme: Scheme) -> Vec<u8> {
    let (encryption, signature) = scheme.numbers();
    let mut out = ALGORITHM.to_be_bytes().to_vec();
    out.extend(encryption.to_be_bytes());
    out.extend(signature.to_be_bytes());
    // TPM_RSA_KEY_PARMS: keyLength, numPrimes, exponentSize.
    out.extend(sized(&[2048u32, 2, 0].map(u32::to_be_bytes).concat()));
    out
}

pub(super) fn read_parameters(reader: &mut Reader<'_>) -> Result<Scheme, Malformed> {
    let algorithm = reader.u32("algorithmID")?;
    let schemes = (reader.u16("encScheme")?, reader.u16("sigScheme")?);
    let mut details = Reader::new(reader.sized("TPM_RSA_KEY_PARMS")?);
    let (bits, primes) = (details.u32("keyLength")?, details.u32("numPrimes")?);
    let exponent = details.sized("exponent")?;
    details.finish("exponent")?;
    let scheme = [Scheme::Decrypt, Scheme::Sign]
        .into_iter()
        .find(|scheme| scheme.numbers() == schemes);
    match scheme {
        // The default exponent is 65537; some TPMs write it out.
        Some(scheme)
            if (algorithm, bits, primes) == (ALGORITHM, 2048, 2)
                && (exponent.is_empty() || exponent == [1, 0, 1]) =>
        {
            Ok(scheme)
        }
        _ => Err(Malformed(format!(
            "algorithm {algorithm}, schemes {schemes:?}, {bits} bits: not an RSA key of 2048 bits \
             that decrypts (OAEP) or signs (PKCS #1, SHA-1)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_as_it_is_read_and_cut_off_nowhere() {
        let key = RsaPublic::new(Scheme::Sign, [0xc3; MODULUS_LEN]);
        let bytes = key.to_bytes();
        assert_eq!(bytes.len(), 284);
        assert_eq!(RsaPublic::parse(&bytes), Ok(key));
        for end in 0..bytes.len() {
            assert!(RsaPublic::parse(&bytes[..end]).is_err());
        }
        for place in [3, 5, 7, 14] {
            let mut other = bytes.clone();
            other[place] ^= 4;
            assert!(RsaPublic::parse(&other).is_err(), "{place}");
        }
    }

    #[test]
    fn the_exponent_may_be_written_out_and_is_one_number() {
        let with = |exponent: &[u8]| {
            let mut bytes = 1u32.to_be_bytes().to_vec();
            bytes.extend([0, 3, 0, 1]);
            let details = [2048u32, 2].map(u32::to_be_bytes).concat();
            bytes.extend(sized(&[details, sized(exponent)].concat()));
            bytes.extend(sized(&[0xc3; MODULUS_LEN]));
            RsaPublic::parse(&bytes)
        };
        assert_eq!(with(&[1, 0, 1]), with(&[]));
        assert!(with(&[]).is_ok());
        assert!(with(&[3]).is_err());
    }

    #[test]
    fn an_even_modulus_encrypts_nothing_and_signs_nothing() {
        let key = RsaPublic::new(Scheme::Sign, [0; MODULUS_LEN]);
        assert!(key.encrypt(b"secret").is_err());
        assert!(!key.has_signed(&[0; 20], &[0; MODULUS_LEN]));
    }
}
