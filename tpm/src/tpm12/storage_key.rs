//! The storage root key of a TPM 1.2 as a record remembers it: its public half, and how its secret is
//! spelled.

use super::{
    Secret,
    codec::Malformed,
    rsa::{RsaPublic, Scheme},
    srk::SrkSpelling,
};
use crate::{Sealed, TpmError};

/// The storage root key's secret.
#[derive(Clone)]
pub enum SrkSecret {
    /// One that everybody knows.
    Spelled(SrkSpelling),
    /// One of its own, which no record holds.
    Given(Secret),
}

impl SrkSecret {
    const GIVEN: u8 = 0xff;

    pub(super) fn bytes(&self) -> Secret {
        match self {
            Self::Spelled(spelling) => spelling.secret(),
            Self::Given(secret) => secret.clone(),
        }
    }
}

/// A storage root key: its public half and its secret.
#[derive(Clone)]
pub struct StorageKey {
    /// The public half.
    pub public: RsaPublic,
    /// The secret.
    pub secret: SrkSecret,
}

impl StorageKey {
    /// As in [`Sealed::public`]: a byte for the spelling, and the TPM_PUBKEY.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let spelling = match &self.secret {
            SrkSecret::Spelled(spelling) => spelling.number(),
            SrkSecret::Given(_) => SrkSecret::GIVEN,
        };
        [&[spelling], &self.public.to_bytes()[..]].concat()
    }

    /// The key that a record was sealed under.
    ///
    /// # Errors
    /// [`TpmError::NotOurs`] for a record that was not sealed to a TPM 1.2, or to one whose storage root
    /// key has a secret of its own; [`TpmError::WrongSrk`] where the record contradicts itself.
    pub fn from_record(sealed: &Sealed) -> Result<Self, TpmError> {
        let key = Self::parse(&sealed.public).map_err(|error| TpmError::NotOurs {
            code: 0,
            reason: format!("it was not sealed to a TPM 1.2: {error}"),
        })?;
        let found = key.public.name();
        if found != sealed.parent {
            return Err(TpmError::WrongSrk {
                expected: sealed.parent.clone(),
                found,
            });
        }
        Ok(key)
    }

    /// Reads what [`Self::to_bytes`] wrote.
    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let Some((spelling, public)) = bytes.split_first() else {
            return Err(Malformed("there is nothing".to_owned()));
        };
        let public = RsaPublic::parse(public)?;
        if public.scheme() != Scheme::Decrypt {
            return Err(Malformed("its parent is not a storage key".to_owned()));
        }
        let spelling = SrkSpelling::from_number(*spelling).ok_or_else(|| {
            Malformed(format!(
                "the storage root key's password is of kind {spelling}: not one that everybody knows"
            ))
        })?;
        Ok(Self {
            public,
            secret: SrkSecret::Spelled(spelling),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tpm12::rsa::MODULUS_LEN;

    fn record(secret: SrkSecret) -> Sealed {
        let public = RsaPublic::new(Scheme::Decrypt, [0xc5; MODULUS_LEN]);
        let key = StorageKey { public, secret };
        Sealed {
            public: key.to_bytes(),
            private: Vec::new(),
            parent: key.public.name(),
        }
    }

    #[test]
    fn a_record_remembers_key_and_spelling_and_no_secret() {
        for spelling in SrkSpelling::ALL {
            let sealed = record(SrkSecret::Spelled(spelling));
            let key = StorageKey::from_record(&sealed).unwrap();
            assert_eq!(key.to_bytes(), sealed.public);
            let mut other = sealed.clone();
            other.public[100] ^= 1;
            let error = StorageKey::from_record(&other).map(drop).unwrap_err();
            assert!(matches!(error, TpmError::WrongSrk { .. }), "{error}");
            for end in 0..sealed.public.len() {
                let mut cut = sealed.clone();
                cut.public.truncate(end);
                assert!(StorageKey::from_record(&cut).is_err());
            }
        }
        let mut signs = record(SrkSecret::Spelled(SrkSpelling::Zeros));
        let public = RsaPublic::new(Scheme::Sign, [0xc5; MODULUS_LEN]);
        signs.public = [&[0], &public.to_bytes()[..]].concat();
        signs.parent = public.name();
        let error = StorageKey::from_record(&signs).map(drop).unwrap_err();
        assert!(error.to_string().contains("not a storage key"), "{error}");
        let secret = Secret::from_password(b"own");
        let sealed = record(SrkSecret::Given(secret.clone()));
        assert!(!sealed.public.windows(20).any(|part| part == secret.bytes()));
        let error = StorageKey::from_record(&sealed).map(drop).unwrap_err();
        assert!(error.to_string().contains("password"), "{error}");
    }
}
