//! The volume secret under the volume's key.
//!
//! Whoever knows a passphrase of the volume can so seal the *same* volume secret again, after a
//! firmware update or to a new TPM: keyslots stay. Nothing is given away: the volume's key opens
//! the volume that the secret is for. The host secret is in no escrow: root reads the volume's key
//! (`dmsetup table --showkeys`) and must not get the Tao host's keys by it.

use std::fmt;

use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    identity::VolumeIdentity,
    secret::{SecretError, VolumeSecret},
};

const SALT: &[u8] = b"taoboot escrow v1";
const NONCE: usize = 12;
const TAG: usize = 16;
const LEN: usize = NONCE + VolumeSecret::LEN + TAG;

/// An encrypted volume secret: nonce, ciphertext and tag of AES-256-GCM.
#[derive(Clone, PartialEq, Eq)]
pub struct Escrow([u8; LEN]);

impl fmt::Debug for Escrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Escrow(..)")
    }
}

impl Escrow {
    /// Bytes of the stored form.
    pub const LEN: usize = LEN;

    /// Encrypts the secret under the key of the volume.
    ///
    /// # Errors
    /// When the kernel gives no random bytes.
    pub fn seal(
        secret: &VolumeSecret,
        volume_key: &[u8],
        volume: &VolumeIdentity,
    ) -> Result<Self, SecretError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(SecretError::NoRandomness)?;
        let context = volume.canonical();
        let payload = Payload {
            msg: secret.as_bytes(),
            aad: context.as_bytes(),
        };
        let sealed = cipher(volume_key)
            .encrypt(&Nonce::from(nonce), payload)
            .ok()
            .and_then(|text| <[u8; LEN]>::try_from([nonce.as_slice(), &text].concat()).ok());
        // AES-GCM refuses only texts of 64 GiB and more; this one has 32 bytes.
        sealed.map(Escrow).ok_or(SecretError::NotEncrypted)
    }

    /// The secret again; `None` for another volume or another key, or when it was changed.
    pub fn open(&self, volume_key: &[u8], volume: &VolumeIdentity) -> Option<VolumeSecret> {
        let (nonce, text) = self.0.split_at_checked(NONCE)?;
        let nonce = <[u8; NONCE]>::try_from(nonce).ok()?;
        let context = volume.canonical();
        let payload = Payload {
            msg: text,
            aad: context.as_bytes(),
        };
        let secret = cipher(volume_key).decrypt(&Nonce::from(nonce), payload);
        let secret = Zeroizing::new(secret.ok()?);
        let bytes = Zeroizing::new(<[u8; VolumeSecret::LEN]>::try_from(secret.as_slice()).ok()?);
        Some(VolumeSecret::from_array(*bytes))
    }

    /// The stored bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From stored bytes, of which there must be [`Self::LEN`].
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; LEN]>::try_from(bytes).ok().map(Escrow)
    }
}

/// The volume's key itself is used for nothing but the volume.
fn cipher(volume_key: &[u8]) -> Aes256Gcm {
    let mut key = Zeroizing::new([0_u8; 32]);
    let hkdf = Hkdf::<Sha256>::new(Some(SALT), volume_key);
    // As in `secret.rs`: it cannot fail, and a key of zeros must never be the result.
    if hkdf
        .expand(b"taoboot escrow key v1", key.as_mut_slice())
        .is_err()
    {
        std::process::abort();
    }
    Aes256Gcm::new(&(*key).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(uuid: &str) -> VolumeIdentity {
        VolumeIdentity {
            uuid: uuid.into(),
            cipher: "aes-xts-plain64".into(),
            key_bytes: 64,
            sector_bytes: 512,
            offset: 16 << 20,
            size: None,
            iv_tweak: 0,
        }
    }

    #[test]
    fn only_the_volume_s_key_and_only_for_that_volume_opens_the_secret() {
        let secret = VolumeSecret::generate().unwrap();
        let escrow = Escrow::seal(&secret, &[1; 64], &volume("a")).unwrap();
        let opened = escrow.open(&[1; 64], &volume("a")).unwrap();
        assert_eq!(opened.as_bytes(), secret.as_bytes());
        assert!(escrow.open(&[2; 64], &volume("a")).is_none());
        assert!(escrow.open(&[1; 64], &volume("b")).is_none());
        for position in 0..LEN {
            let mut changed = escrow.clone();
            changed.0[position] ^= 1;
            assert!(changed.open(&[1; 64], &volume("a")).is_none(), "{position}");
        }
    }
}
