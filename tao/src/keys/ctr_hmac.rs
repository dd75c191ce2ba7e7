//! The original's encryption: AES in counter mode, then HMAC over counter block and
//! ciphertext. To read what it wrote, and to write what it can read.

use aes::{Aes128, Aes256};
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};
use hmac::{Hmac, KeyInit, Mac, digest::MacError};
use prost::Message;
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use super::{
    crypter::OpenError,
    random::{RandomError, random},
};
use crate::{
    secret_bytes::SecretBytes,
    wire::{
        key_messages::{CryptoKey, EncryptedData},
        messages::CryptoHeader,
        proto2,
    },
};

const IV: usize = 16;

/// Which of the original's suites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtrHmacSuite {
    /// `aes128-ctr-hmacsha256`
    Aes128Sha256,
    /// `aes256-ctr-hmacsha512`
    Aes256Sha512,
}

impl CtrHmacSuite {
    /// The suite's name in headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128Sha256 => "aes128-ctr-hmacsha256",
            Self::Aes256Sha512 => "aes256-ctr-hmacsha512",
        }
    }

    /// Lengths of the encryption key, the MAC key and the MAC.
    pub(super) const fn lengths(self) -> (usize, usize, usize) {
        match self {
            Self::Aes128Sha256 => (16, 32, 32),
            Self::Aes256Sha512 => (32, 64, 64),
        }
    }
}

/// The keys of a suite, with the lengths that the suite wants.
enum Keys {
    Aes128Sha256 {
        encryption: Zeroizing<[u8; 16]>,
        mac: Zeroizing<[u8; 32]>,
    },
    Aes256Sha512 {
        encryption: Zeroizing<[u8; 32]>,
        mac: Zeroizing<[u8; 64]>,
    },
}

struct Sealed {
    iv: [u8; IV],
    ciphertext: Vec<u8>,
    tag: Vec<u8>,
}

/// A key of the original's for encryption.
pub struct CtrHmac(Keys);

impl CtrHmac {
    /// A crypter over the two keys; `None` if they are not of the suite's lengths.
    pub fn new(suite: CtrHmacSuite, encryption: &[u8], mac: &[u8]) -> Option<Self> {
        Some(Self(match suite {
            CtrHmacSuite::Aes128Sha256 => Keys::Aes128Sha256 {
                encryption: exactly(encryption)?,
                mac: exactly(mac)?,
            },
            CtrHmacSuite::Aes256Sha512 => Keys::Aes256Sha512 {
                encryption: exactly(encryption)?,
                mac: exactly(mac)?,
            },
        }))
    }

    /// Reads a `CryptoKey`; `None` if it is of another kind, or not of its suite's lengths.
    pub fn from_crypto_key(key: &CryptoKey) -> Option<Self> {
        let name = key.key_header.key_type.as_deref()?;
        let suite = [CtrHmacSuite::Aes128Sha256, CtrHmacSuite::Aes256Sha512]
            .into_iter()
            .find(|suite| suite.name() == name)?;
        match key.key_components.as_slice() {
            [encryption, mac] => Self::new(suite, encryption, mac),
            _ => None,
        }
    }

    /// A new key.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate(suite: CtrHmacSuite) -> Result<Self, RandomError> {
        Ok(Self(match suite {
            CtrHmacSuite::Aes128Sha256 => Keys::Aes128Sha256 {
                encryption: drawn()?,
                mac: drawn()?,
            },
            CtrHmacSuite::Aes256Sha512 => Keys::Aes256Sha512 {
                encryption: drawn()?,
                mac: drawn()?,
            },
        }))
    }

    const fn suite(&self) -> CtrHmacSuite {
        match self.0 {
            Keys::Aes128Sha256 { .. } => CtrHmacSuite::Aes128Sha256,
            Keys::Aes256Sha512 { .. } => CtrHmacSuite::Aes256Sha512,
        }
    }

    /// The kind's name, and the two keys.
    pub(super) fn parts(&self) -> (&'static str, Vec<Vec<u8>>) {
        let keys = match &self.0 {
            Keys::Aes128Sha256 { encryption, mac } => vec![encryption.to_vec(), mac.to_vec()],
            Keys::Aes256Sha512 { encryption, mac } => vec![encryption.to_vec(), mac.to_vec()],
        };
        (self.suite().name(), keys)
    }

    /// Encrypts or decrypts. The counter has 128 bits: it does not come to its end within
    /// anything that fits into memory.
    fn apply(&self, iv: &[u8; IV], data: &mut [u8]) {
        match &self.0 {
            Keys::Aes128Sha256 { encryption, .. } => {
                Ctr128BE::<Aes128>::new((&**encryption).into(), iv.into()).apply_keystream(data);
            }
            Keys::Aes256Sha512 { encryption, .. } => {
                Ctr128BE::<Aes256>::new((&**encryption).into(), iv.into()).apply_keystream(data);
            }
        }
    }

    fn tag(&self, iv: &[u8; IV], ciphertext: &[u8]) -> Vec<u8> {
        let parts = [iv, ciphertext];
        match &self.0 {
            Keys::Aes128Sha256 { mac, .. } => finished(hmac::<Hmac<Sha256>>(&**mac, parts)),
            Keys::Aes256Sha512 { mac, .. } => finished(hmac::<Hmac<Sha512>>(&**mac, parts)),
        }
    }

    /// In time that does not depend on where the tags differ.
    fn check(&self, iv: &[u8; IV], ciphertext: &[u8], tag: &[u8]) -> Result<(), MacError> {
        let parts = [iv, ciphertext];
        match &self.0 {
            Keys::Aes128Sha256 { mac, .. } => hmac::<Hmac<Sha256>>(&**mac, parts).verify_slice(tag),
            Keys::Aes256Sha512 { mac, .. } => hmac::<Hmac<Sha512>>(&**mac, parts).verify_slice(tag),
        }
    }

    fn open_parts(
        &self,
        iv: &[u8; IV],
        ciphertext: &[u8],
        tag: &[u8],
    ) -> Result<SecretBytes, OpenError> {
        self.check(iv, ciphertext, tag)
            .map_err(|MacError| OpenError::Authentication)?;
        let mut plain = SecretBytes::from(ciphertext.to_vec());
        self.apply(iv, &mut plain);
        Ok(plain)
    }

    fn seal_parts(&self, plain: &[u8]) -> Result<Sealed, RandomError> {
        let mut iv = [0; IV];
        random(&mut iv)?;
        let mut ciphertext = plain.to_vec();
        self.apply(&iv, &mut ciphertext);
        let tag = self.tag(&iv, &ciphertext);
        Ok(Sealed {
            iv,
            ciphertext,
            tag,
        })
    }

    /// Opens an `EncryptedData` message.
    ///
    /// # Errors
    /// When it is not such a message, was changed, or belongs to another key.
    pub fn open(&self, encrypted: &[u8]) -> Result<SecretBytes, OpenError> {
        let format = || OpenError::Format {
            found: encrypted.len(),
        };
        let message: EncryptedData = proto2::read(encrypted).map_err(|_| format())?;
        // Without a tag, or with a counter block of another length, nothing is authentic.
        let iv = message.iv.as_slice().try_into();
        match (iv, &message.mac) {
            (Ok(iv), Some(tag)) => self.open_parts(iv, &message.ciphertext, tag),
            _ => Err(OpenError::Authentication),
        }
    }

    /// Makes an `EncryptedData` message.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, key_name: &str, plain: &[u8]) -> Result<Vec<u8>, RandomError> {
        let Sealed {
            iv,
            ciphertext,
            tag,
        } = self.seal_parts(plain)?;
        let header = CryptoHeader {
            version: 2,
            key_name: Some(key_name.to_owned()),
            key_epoch: Some(1),
            key_type: Some(self.suite().name().to_owned()),
            key_purpose: Some("crypting".to_owned()),
            key_status: Some("active".to_owned()),
        };
        Ok(EncryptedData {
            header,
            iv: iv.to_vec(),
            ciphertext,
            mac: Some(tag),
        }
        .encode_to_vec())
    }

    /// Opens what the original's `Protect` made: MAC, counter block, ciphertext.
    ///
    /// # Errors
    /// When it is too short, was changed, or belongs to another key.
    pub fn unprotect(&self, protected: &[u8]) -> Result<SecretBytes, OpenError> {
        let (_, _, mac) = self.suite().lengths();
        let parts = protected
            .split_at_checked(mac)
            .and_then(|(tag, rest)| rest.split_first_chunk().map(|rest| (tag, rest)));
        match parts {
            Some((tag, (iv, ciphertext))) => self.open_parts(iv, ciphertext, tag),
            None => Err(OpenError::Format {
                found: protected.len(),
            }),
        }
    }

    /// Makes what the original's `Unprotect` opens.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn protect(&self, plain: &[u8]) -> Result<Vec<u8>, RandomError> {
        let sealed = self.seal_parts(plain)?;
        Ok([sealed.tag.as_slice(), &sealed.iv, &sealed.ciphertext].concat())
    }
}

fn exactly<const N: usize>(key: &[u8]) -> Option<Zeroizing<[u8; N]>> {
    key.try_into().ok().map(Zeroizing::new)
}

fn drawn<const N: usize>() -> Result<Zeroizing<[u8; N]>, RandomError> {
    let mut key = Zeroizing::new([0; N]);
    random(&mut *key)?;
    Ok(key)
}

#[expect(
    clippy::expect_used,
    reason = "HMAC is defined for keys of every length"
)]
fn hmac<H: Mac + KeyInit>(key: &[u8], parts: [&[u8]; 2]) -> H {
    let mut hmac = <H as KeyInit>::new_from_slice(key).expect("HMAC takes keys of every length");
    parts.iter().for_each(|part| hmac.update(part));
    hmac
}

fn finished(hmac: impl Mac) -> Vec<u8> {
    hmac.finalize().into_bytes().to_vec()
}
