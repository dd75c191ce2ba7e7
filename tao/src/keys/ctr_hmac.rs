//! The original's encryption: AES in counter mode, then HMAC over counter block and
//! ciphertext. To read what it wrote, and to write what it can read.

use aes::{Aes128, Aes256};
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use prost::Message;
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use super::{OpenError, RandomError, SecretBytes, random};
use crate::wire::{
    key_messages::{CryptoKey, EncryptedData},
    messages::CryptoHeader,
    proto2,
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
            CtrHmacSuite::Aes128Sha256 => "aes128-ctr-hmacsha256",
            CtrHmacSuite::Aes256Sha512 => "aes256-ctr-hmacsha512",
        }
    }

    /// Lengths of the encryption key, the MAC key and the MAC.
    pub(super) const fn lengths(self) -> (usize, usize, usize) {
        match self {
            CtrHmacSuite::Aes128Sha256 => (16, 32, 32),
            CtrHmacSuite::Aes256Sha512 => (32, 64, 64),
        }
    }
}

struct Sealed {
    iv: [u8; IV],
    ciphertext: Vec<u8>,
    tag: Vec<u8>,
}

/// A key of the original's for encryption.
pub struct CtrHmac {
    suite: CtrHmacSuite,
    encryption: Zeroizing<Vec<u8>>,
    mac: Zeroizing<Vec<u8>>,
}

impl CtrHmac {
    /// A crypter over the two keys.
    pub fn new(suite: CtrHmacSuite, encryption: &[u8], mac: &[u8]) -> Option<Self> {
        let (encryption_length, mac_length, _) = suite.lengths();
        (encryption.len() == encryption_length && mac.len() == mac_length).then(|| CtrHmac {
            suite,
            encryption: Zeroizing::new(encryption.to_vec()),
            mac: Zeroizing::new(mac.to_vec()),
        })
    }

    /// Reads a `CryptoKey`.
    pub fn from_crypto_key(key: &CryptoKey) -> Option<Self> {
        let name = key.key_header.key_type.as_deref()?;
        let suite = [CtrHmacSuite::Aes128Sha256, CtrHmacSuite::Aes256Sha512]
            .into_iter()
            .find(|suite| suite.name() == name)?;
        match key.key_components.as_slice() {
            [encryption, mac] => CtrHmac::new(suite, encryption, mac),
            _ => None,
        }
    }

    /// A new key.
    pub fn generate(suite: CtrHmacSuite) -> Result<Self, RandomError> {
        let (encryption, mac, _) = suite.lengths();
        let bytes = |length| -> Result<Zeroizing<Vec<u8>>, RandomError> {
            let mut bytes = Zeroizing::new(vec![0; length]);
            random(&mut bytes)?;
            Ok(bytes)
        };
        Ok(CtrHmac {
            suite,
            encryption: bytes(encryption)?,
            mac: bytes(mac)?,
        })
    }

    /// The kind's name, and the two keys.
    pub(super) fn parts(&self) -> (&'static str, Vec<Vec<u8>>) {
        (
            self.suite.name(),
            vec![self.encryption.to_vec(), self.mac.to_vec()],
        )
    }

    fn apply(&self, iv: &[u8], data: &mut [u8]) -> bool {
        macro_rules! apply {
            ($cipher:ty) => {
                ctr::Ctr128BE::<$cipher>::new_from_slices(&self.encryption, iv)
                    .is_ok_and(|mut cipher| cipher.try_apply_keystream(data).is_ok())
            };
        }
        match self.suite {
            CtrHmacSuite::Aes128Sha256 => apply!(Aes128),
            CtrHmacSuite::Aes256Sha512 => apply!(Aes256),
        }
    }

    fn tag(&self, iv: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
        macro_rules! tag {
            ($hash:ty) => {{
                let mut hmac = Hmac::<$hash>::new_from_slice(&self.mac).ok()?;
                hmac.update(iv);
                hmac.update(ciphertext);
                Some(hmac.finalize().into_bytes().to_vec())
            }};
        }
        match self.suite {
            CtrHmacSuite::Aes128Sha256 => tag!(Sha256),
            CtrHmacSuite::Aes256Sha512 => tag!(Sha512),
        }
    }

    fn open_parts(
        &self,
        iv: &[u8],
        ciphertext: &[u8],
        tag: &[u8],
    ) -> Result<SecretBytes, OpenError> {
        let expected = self.tag(iv, ciphertext).ok_or(OpenError::Authentication)?;
        // In time that does not depend on where they differ.
        let difference = expected
            .iter()
            .zip(tag)
            .fold(0, |difference, (one, other)| difference | (one ^ other));
        if expected.len() != tag.len() || std::hint::black_box(difference) != 0 {
            return Err(OpenError::Authentication);
        }
        let mut plain = SecretBytes::from(ciphertext.to_vec());
        if !self.apply(iv, &mut plain) {
            return Err(OpenError::Authentication);
        }
        Ok(plain)
    }

    fn seal_parts(&self, plain: &[u8]) -> Result<Sealed, RandomError> {
        let mut iv = [0; IV];
        random(&mut iv)?;
        let mut ciphertext = plain.to_vec();
        // Fails only beyond 2^64 blocks, or for keys of other lengths than `new` took.
        if !self.apply(&iv, &mut ciphertext) {
            ciphertext.fill(0);
        }
        let tag = self.tag(&iv, &ciphertext).unwrap_or_default();
        Ok(Sealed {
            iv,
            ciphertext,
            tag,
        })
    }

    /// Opens an `EncryptedData` message.
    pub fn open(&self, encrypted: &[u8]) -> Result<SecretBytes, OpenError> {
        let format = OpenError::Format {
            found: encrypted.len(),
        };
        let message: EncryptedData = proto2::read(encrypted).map_err(|_| format)?;
        self.open_parts(
            &message.iv,
            &message.ciphertext,
            message.mac.as_deref().unwrap_or_default(),
        )
    }

    /// Makes an `EncryptedData` message.
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
            key_type: Some(self.suite.name().to_owned()),
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
    pub fn unprotect(&self, protected: &[u8]) -> Result<SecretBytes, OpenError> {
        let (_, _, mac) = self.suite.lengths();
        let parts = protected
            .split_at_checked(mac)
            .and_then(|(tag, rest)| rest.split_at_checked(IV).map(|rest| (tag, rest)));
        match parts {
            Some((tag, (iv, ciphertext))) => self.open_parts(iv, ciphertext, tag),
            None => Err(OpenError::Format {
                found: protected.len(),
            }),
        }
    }

    /// Makes what the original's `Unprotect` opens.
    pub fn protect(&self, plain: &[u8]) -> Result<Vec<u8>, RandomError> {
        let sealed = self.seal_parts(plain)?;
        Ok([sealed.tag.as_slice(), &sealed.iv, &sealed.ciphertext].concat())
    }
}
