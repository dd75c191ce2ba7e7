//! XAES-256-GCM (C2SP): AES-CMAC over the first half of the nonce gives a fresh AES-256-GCM
//! key for each message, so that nonces can be random for as many messages as anyone will
//! ever encrypt under a key. With plain GCM 2^32 random nonces would be the end.
//!
//! A crate of its own because of how it is compiled: the ciphers below are generic, so the
//! code is made where they are used, and what goes into an initramfs is otherwise compiled for
//! size, which makes them ten times slower.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use aes_gcm::{
    AeadInOut, Aes256Gcm, KeyInit,
    aes::{
        Aes256,
        cipher::{
            Array, BlockCipherEncrypt,
            consts::{U12, U16, U24, U32},
        },
    },
};
use zeroize::Zeroizing;

/// Length of a nonce in bytes.
pub const NONCE: usize = 24;
/// Length of an authentication tag in bytes.
pub const TAG: usize = 16;

/// The ciphertext, the tag, the nonce or the associated data were changed, or the key is
/// another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ciphertext is not authentic")]
pub struct NotAuthentic;

/// The message is longer than one key and nonce may encrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message is longer than AES-GCM allows: 64 GiB")]
pub struct TooLong;

/// Encrypts and decrypts with one key, which is forgotten when this is dropped.
pub struct Xaes256Gcm {
    aes: Aes256,
    /// CMAC's first subkey, for messages of one whole block.
    subkey: Zeroizing<[u8; 16]>,
}

impl Xaes256Gcm {
    /// A cipher with this key.
    pub fn new(key: &[u8; 32]) -> Self {
        let aes = Aes256::new(key.into());
        let mut zero = Array::default();
        aes.encrypt_block(&mut zero);
        // Doubling in GF(2^128), NIST SP 800-38B, 6.1.
        let doubled = u128::from_be_bytes(zero.into());
        let carry = if doubled >> 127 == 1 { 0x87 } else { 0 };
        let subkey = Zeroizing::new(((doubled << 1) ^ carry).to_be_bytes());
        Self { aes, subkey }
    }

    /// The cipher for one message, and the rest of the nonce. The lengths of all parts are known
    /// when this is compiled: nothing here can fail.
    fn message_cipher(&self, nonce: &[u8; NONCE]) -> (Aes256Gcm, Array<u8, U12>) {
        let (first_nonce, gcm_nonce) = Array::<u8, U24>::from(*nonce).split::<U12>();
        let mut key = Zeroizing::new([0; 32]);
        let whole: &mut Array<u8, U32> = (&mut *key).into();
        let (first_half, second_half) = whole.split_ref_mut::<U16>();
        for (counter, half) in [(1, first_half), (2, second_half)] {
            let block = [0, counter, b'X', 0].into_iter().chain(first_nonce);
            for ((byte, input), mask) in half.iter_mut().zip(block).zip(self.subkey.iter()) {
                *byte = input ^ mask;
            }
            self.aes.encrypt_block(half);
        }
        (Aes256Gcm::new((&*key).into()), gcm_nonce)
    }

    /// Encrypts in place and gives the tag.
    ///
    /// # Errors
    /// When the message is longer than GCM allows, 64 GiB. Nothing of the plaintext is left then.
    pub fn encrypt(
        &self,
        nonce: &[u8; NONCE],
        ad: &[u8],
        plain: &mut [u8],
    ) -> Result<[u8; TAG], TooLong> {
        let (cipher, nonce) = self.message_cipher(nonce);
        match cipher.encrypt_inout_detached(&nonce, ad, plain.into()) {
            Ok(tag) => Ok(tag.into()),
            Err(_) => {
                plain.fill(0);
                Err(TooLong)
            }
        }
    }

    /// Decrypts in place. Where the tag is wrong, nothing has been decrypted.
    ///
    /// # Errors
    /// When the tag is not that of this ciphertext, nonce and associated data under this key.
    pub fn decrypt(
        &self,
        nonce: &[u8; NONCE],
        ad: &[u8],
        ciphertext: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<(), NotAuthentic> {
        let (cipher, nonce) = self.message_cipher(nonce);
        cipher
            .decrypt_inout_detached(&nonce, ad, ciphertext.into(), tag.into())
            .map_err(|_| NotAuthentic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two worked examples of the C2SP specification of XAES-256-GCM.
    #[test]
    fn the_cipher_is_the_published_one() {
        for (key, ad, expected) in [
            (
                1,
                "",
                "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271",
            ),
            (
                3,
                "c2sp.org/XAES-256-GCM",
                "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
            ),
        ] {
            let nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX";
            let cipher = Xaes256Gcm::new(&[key; 32]);
            let mut text = *b"XAES-256-GCM";
            let tag = cipher.encrypt(nonce, ad.as_bytes(), &mut text).unwrap();
            assert_eq!(hex::encode([&text[..], &tag].concat()), expected);
            assert_eq!(
                cipher.decrypt(nonce, b"else", &mut text, &tag),
                Err(NotAuthentic)
            );
            assert_eq!(
                cipher.decrypt(nonce, ad.as_bytes(), &mut text, &tag),
                Ok(())
            );
            assert_eq!(&text, b"XAES-256-GCM");
        }
    }
}
