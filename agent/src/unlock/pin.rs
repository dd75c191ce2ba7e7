//! A person's PIN, and what it becomes.
//!
//! PBKDF2-HMAC-SHA256 (RFC 8018, 5.2) with a random salt of the enrolment stretches the PIN to one key.
//! HKDF makes two of that: the authorization value, which the TPM asks for and counts when it is wrong,
//! and the key under which the boot secret is encrypted *before* it is sealed. So the PIN is needed
//! twice: who got round the TPM's check has an encrypted secret still.
//!
//! systemd-cryptenroll does the same to its PIN, with fewer rounds, for the authorization value alone.
//! PBKDF2 and not Argon2: guesses are held up by the TPM, and stretching matters only to whoever has
//! broken it; a boot must not need 256 MiB for that. The number of rounds is a constant: a record is
//! untrusted when the PIN is typed and must not be able to ask for fewer.

use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use hkdf::Hkdf;
use sha2::Sha256;
use tpm::{AuthValue, TpmError};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Rounds of PBKDF2. Version 1: never to be changed.
const ROUNDS: u32 = 100_000;
const INFO_AUTH: &[u8] = b"taoboot pin authorization value v1";
const INFO_SECRET: &[u8] = b"taoboot pin encryption v1";
const NONCE: usize = 12;

/// Why something is not a PIN, or is not put under one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// Too short or too long.
    #[error("a PIN has {min} to {max} bytes, this one has {0}", min = Pin::MIN, max = Pin::MAX)]
    Length(usize),
    /// It could not be typed at the console.
    #[error("a PIN has no control characters: it has to be typed at the console")]
    Control,
    /// The kernel gave no random bytes.
    #[error("the kernel gave no random bytes: {0}")]
    NoRandomness(getrandom::Error),
    /// What was to be put under the PIN could not be.
    #[error("the secret could not be encrypted under the PIN")]
    NotEncrypted,
}

/// What a person types. Wiped when dropped; deliberately neither `Debug`, `Clone` nor `PartialEq`.
pub struct Pin(Zeroizing<Vec<u8>>);

impl Pin {
    /// Shortest, in bytes: 10^6 digits last for years at the TPM's rate of guesses.
    pub const MIN: usize = 6;
    /// Longest, in bytes.
    pub const MAX: usize = 128;

    /// Digits, or any other text.
    ///
    /// # Errors
    /// For another length, or control characters.
    pub fn new(bytes: &[u8]) -> Result<Self, PinError> {
        if !(Self::MIN..=Self::MAX).contains(&bytes.len()) {
            return Err(PinError::Length(bytes.len()));
        }
        if bytes.iter().any(u8::is_ascii_control) {
            return Err(PinError::Control);
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a record says of its PIN. It tells nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinSalt([u8; Self::LEN]);

impl PinSalt {
    /// Bytes of a salt.
    pub const LEN: usize = 32;

    /// A fresh one: the same PIN gives other keys in another enrolment.
    ///
    /// # Errors
    /// When the kernel gives no random bytes.
    pub fn generate() -> Result<Self, PinError> {
        let mut salt = [0; Self::LEN];
        getrandom::fill(&mut salt).map_err(PinError::NoRandomness)?;
        Ok(Self(salt))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// From stored bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// The stretched PIN of one salt: enough to seal with it again, and not the PIN. Wiped when dropped;
/// deliberately neither `Debug` nor `Clone`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PinKey {
    key: [u8; 32],
    #[zeroize(skip)]
    salt: PinSalt,
}

impl PinKey {
    /// Bytes of [`Self::to_bytes`].
    pub const LEN: usize = 32 + PinSalt::LEN;

    /// Stretches a PIN.
    pub fn derive(pin: &Pin, salt: &PinSalt) -> Self {
        let mut made = Self {
            key: [0; 32],
            salt: salt.clone(),
        };
        pbkdf2::pbkdf2_hmac::<Sha256>(&pin.0, &salt.0, ROUNDS, &mut made.key);
        made
    }

    /// For a new enrolment.
    ///
    /// # Errors
    /// When the kernel gives no random bytes.
    pub fn fresh(pin: &Pin) -> Result<Self, PinError> {
        Ok(Self::derive(pin, &PinSalt::generate()?))
    }

    /// The salt, for a record.
    pub const fn salt(&self) -> &PinSalt {
        &self.salt
    }

    /// The same key once more.
    pub fn copy(&self) -> Self {
        Self {
            key: self.key,
            salt: self.salt.clone(),
        }
    }

    /// Was it made of this PIN?
    pub fn is_of(&self, pin: &Pin) -> bool {
        let other = Self::derive(pin, &self.salt);
        // Every byte is looked at, however early they differ.
        let differing = self.key.iter().zip(&other.key);
        differing.fold(0, |all, (one, other)| all | (one ^ other)) == 0
    }

    /// The key and its salt, to be handed over.
    pub fn to_bytes(&self) -> Zeroizing<[u8; Self::LEN]> {
        let mut bytes = Zeroizing::new([0; Self::LEN]);
        let both = self.key.iter().chain(&self.salt.0);
        bytes
            .iter_mut()
            .zip(both)
            .for_each(|(to, from)| *to = *from);
        bytes
    }

    /// From the bytes of [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let (key, salt) = bytes.split_first_chunk::<32>()?;
        Some(Self {
            key: *key,
            salt: PinSalt::from_bytes(salt)?,
        })
    }

    /// What the TPM asks for.
    ///
    /// # Errors
    /// Never for a key that was derived.
    pub fn auth_value(&self) -> Result<AuthValue, TpmError> {
        AuthValue::new(self.expand(INFO_AUTH).as_slice())
    }

    /// A secret under the PIN: nonce, text and tag of AES-256-GCM.
    ///
    /// # Errors
    /// When the kernel gives no random bytes.
    pub(super) fn encrypt(&self, secret: &[u8]) -> Result<Vec<u8>, PinError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(PinError::NoRandomness)?;
        let payload = Payload {
            msg: secret,
            aad: &self.salt.0,
        };
        // AES-GCM refuses only texts of 64 GiB and more.
        let text = self.cipher().encrypt(&Nonce::from(nonce), payload);
        let text = text.map_err(|_| PinError::NotEncrypted)?;
        Ok([nonce.as_slice(), &text].concat())
    }

    /// The secret again; `None` when it is not under this PIN.
    pub(super) fn decrypt(&self, encrypted: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = encrypted.split_first_chunk::<NONCE>()?;
        let payload = Payload {
            msg: text,
            aad: &self.salt.0,
        };
        let secret = self.cipher().decrypt(&Nonce::from(*nonce), payload);
        secret.ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&*self.expand(INFO_SECRET)).into())
    }

    fn expand(&self, usage: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let hkdf = Hkdf::<Sha256>::new(Some(&self.salt.0), &self.key);
        // As for the boot secret: an all-zero key must not be the result of a failure that cannot be.
        if hkdf.expand(usage, key.as_mut_slice()).is_err() {
            std::process::abort();
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(text: &str) -> Pin {
        Pin::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_pin_has_6_to_128_bytes_that_can_be_typed() {
        for length in [0, 1, 5, 129, 300] {
            let error = Pin::new(&vec![b'1'; length]).map(drop).unwrap_err();
            assert_eq!(error, PinError::Length(length));
            assert!(error.to_string().contains("6 to 128 bytes"), "{error}");
        }
        for bad in ["12345\n", "\t123456", "12345\u{7f}"] {
            assert_eq!(Pin::new(bad.as_bytes()).map(drop), Err(PinError::Control));
        }
        for good in ["123456", "correct horse", "pässwört", &"x".repeat(128)] {
            assert!(Pin::new(good.as_bytes()).is_ok(), "{good}");
        }
    }

    /// Computed independently with Python's hashlib.pbkdf2_hmac and hmac.
    #[test]
    fn derivations_do_not_change_between_versions() {
        let key = PinKey::derive(&pin("123456"), &PinSalt([7; 32]));
        assert_eq!(hex::encode(key.key), VECTOR_KEY);
        assert_eq!(
            hex::encode(key.auth_value().unwrap().as_bytes()),
            VECTOR_AUTH
        );
    }

    const VECTOR_KEY: &str = "8089e00d9c636fe1ffe66dea1f510af7f8c34c09a817b7f450c454e91d3da7ec";
    const VECTOR_AUTH: &str = "3fdc999236f2a30fc4349de78093d6c5921f13fe4d8d7bccfed9ff98bba4db97";

    #[test]
    fn another_pin_and_another_salt_give_other_keys_and_the_two_uses_have_their_own() {
        let salt = PinSalt([1; 32]);
        let key = PinKey::derive(&pin("123456"), &salt);
        assert!(key.is_of(&pin("123456")) && !key.is_of(&pin("123457")));
        assert_ne!(key.key, PinKey::derive(&pin("123457"), &salt).key);
        assert_ne!(
            key.key,
            PinKey::derive(&pin("123456"), &PinSalt([2; 32])).key
        );
        assert_ne!(*key.expand(INFO_AUTH), *key.expand(INFO_SECRET));
        let again = PinKey::from_bytes(&key.to_bytes()).unwrap();
        assert_eq!((again.key, &again.salt), (key.key, &key.salt));
    }
}
