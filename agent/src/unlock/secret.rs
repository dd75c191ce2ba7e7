//! The boot secret, and the keys derived from it.
//!
//! One object of 64 bytes is sealed to the TPM: the **volume secret** and the **host secret**, 32
//! random bytes each and independent. The volume's passphrase follows from the first by
//! HKDF-SHA256 (RFC 5869) under distinct, versioned info strings; a new use gets a new string. The
//! Tao host's keys come from the second, which is nowhere but in the TPM's blob: who has the
//! volume's key can have the volume secret (it is in [`super::Escrow`]), and nothing of the host.

use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{identity::VolumeIdentity, pin::PinKey};

const SALT: &[u8] = b"taoboot boot secret v1";
const INFO_VOLUME: &[u8] = b"taoboot volume passphrase v1";
const INFO_RECORD_MAC: &[u8] = b"taoboot record mac v1";
const INFO_FURTHER_MAC: &[u8] = b"taoboot further volume mac v1";
const INFO_RESUME_MARK: &[u8] = b"taoboot resume mark v1";
const INFO_PIN_CHANGE: &[u8] = b"taoboot pin change v1";
const INFO_ID: &[u8] = b"taoboot boot secret id v1";

/// Why there is no boot secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The kernel gave no random bytes.
    #[error("the kernel gave no random bytes: {0}")]
    NoRandomness(getrandom::Error),
    /// Not [`BootSecret::LEN`] bytes.
    #[error(
        "a boot secret has {expected} bytes, this one has {found}; 32 bytes are an earlier format: enrol again with `taoboot enroll --new-secret`",
        expected = BootSecret::LEN
    )]
    WrongLength {
        /// Bytes found.
        found: usize,
    },
    /// A volume secret that could not be put under the volume's key.
    #[error("the volume secret could not be encrypted")]
    NotEncrypted,
}

/// What the TPM releases for an approved launch.
///
/// Wiped when dropped; deliberately neither `Debug`, `Clone` nor `PartialEq`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct BootSecret {
    volume: VolumeSecret,
    host: HostSecret,
    /// Of the PIN that was typed to get it: what is sealed for the next launch asks for it as well.
    pin: Option<PinKey>,
}

impl BootSecret {
    /// Length of what is sealed, in bytes.
    pub const LEN: usize = VolumeSecret::LEN + HostSecret::LEN;

    /// Two secrets that are sealed together.
    pub const fn new(volume: VolumeSecret, host: HostSecret) -> Self {
        Self {
            volume,
            host,
            pin: None,
        }
    }

    /// What a TPM released.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        let wrong = || SecretError::WrongLength { found: bytes.len() };
        let (volume, host) = bytes
            .split_at_checked(VolumeSecret::LEN)
            .ok_or_else(wrong)?;
        Ok(Self {
            volume: VolumeSecret(volume.try_into().map_err(|_| wrong())?),
            host: HostSecret(host.try_into().map_err(|_| wrong())?),
            pin: None,
        })
    }

    /// The same, with the PIN that it is sealed with.
    #[must_use]
    pub fn with_pin(mut self, pin: Option<PinKey>) -> Self {
        self.pin = pin;
        self
    }

    /// The stretched PIN; `None` where the launch alone released the secret.
    pub const fn pin(&self) -> Option<&PinKey> {
        self.pin.as_ref()
    }

    /// The bytes, to be sealed.
    pub fn to_bytes(&self) -> Zeroizing<[u8; Self::LEN]> {
        let mut bytes = Zeroizing::new([0; Self::LEN]);
        let both = self.volume.0.iter().chain(&self.host.0);
        bytes
            .iter_mut()
            .zip(both)
            .for_each(|(to, from)| *to = *from);
        bytes
    }

    /// What the volume's passphrase comes from.
    pub const fn volume(&self) -> &VolumeSecret {
        &self.volume
    }

    /// What the Tao host's keys come from.
    pub const fn host(&self) -> &HostSecret {
        &self.host
    }

    /// The public name of the volume secret.
    pub fn id(&self) -> String {
        self.volume.id()
    }
}

/// The 32 random bytes from which the Tao host derives its keys. Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct HostSecret([u8; Self::LEN]);

impl HostSecret {
    /// Length of a host secret in bytes.
    pub const LEN: usize = 32;

    /// A fresh secret from the kernel's generator (getrandom(2), blocks until seeded).
    pub fn generate() -> Result<Self, SecretError> {
        let mut secret = Self([0; Self::LEN]);
        getrandom::fill(&mut secret.0).map_err(SecretError::NoRandomness)?;
        Ok(secret)
    }

    /// The same secret once more, to be sealed for another launch.
    pub fn copy(&self) -> Self {
        Self(self.0)
    }

    /// The bytes, for the host.
    pub fn to_bytes(&self) -> Zeroizing<[u8; Self::LEN]> {
        Zeroizing::new(self.0)
    }
}

/// The 32 random bytes from which the volume's passphrase and the records' authentication come.
/// Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct VolumeSecret([u8; Self::LEN]);

impl VolumeSecret {
    /// Length of a volume secret in bytes.
    pub const LEN: usize = 32;

    /// A fresh secret from the kernel's generator (getrandom(2), blocks until seeded).
    pub fn generate() -> Result<Self, SecretError> {
        let mut secret = Self([0; Self::LEN]);
        getrandom::fill(&mut secret.0).map_err(SecretError::NoRandomness)?;
        Ok(secret)
    }

    /// The secret that an escrow held.
    pub(super) const fn from_array(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes, for an escrow.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The LUKS passphrase of one volume: 64 lower-case hex digits (256 bits), so that it
    /// can be typed in an emergency. It depends on the volume's UUID and on how its data is
    /// laid out and encrypted: a header in which that was changed gets another passphrase,
    /// which opens nothing.
    pub fn volume_passphrase(&self, volume: &VolumeIdentity) -> Zeroizing<Vec<u8>> {
        let key = self.derive(INFO_VOLUME, volume.canonical().as_bytes());
        let mut text = Zeroizing::new(vec![0; key.len().saturating_mul(2)]);
        for (pair, byte) in text.chunks_exact_mut(2).zip(key.iter()) {
            for (digit, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
                let letter = if nibble < 10 { b'0' } else { b'a' - 10 };
                *digit = letter.saturating_add(nibble);
            }
        }
        text
    }

    /// The key that authenticates sealed records ([`super::SealedRecord::verify_mac`]).
    pub fn record_mac_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(INFO_RECORD_MAC, b"")
    }

    /// The key that authenticates the tokens of further volumes ([`super::FurtherToken`]).
    pub fn further_mac_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(INFO_FURTHER_MAC, b"")
    }

    /// The key of the mark that a launch leaves on the swap for its hibernation image.
    pub fn resume_mark_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(INFO_RESUME_MARK, b"")
    }

    /// What proves to the resident agent that somebody has the volume's key, and so may set another
    /// PIN without the present one.
    pub fn pin_change_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(INFO_PIN_CHANGE, b"")
    }

    /// A public name of the secret, 32 hex digits: tells records of the same secret from
    /// others, and can be pinned in a measured configuration. Says nothing about the secret.
    pub fn id(&self) -> String {
        hex::encode(self.id_bytes())
    }

    /// The same as bytes.
    pub fn id_bytes(&self) -> [u8; 16] {
        let derived = self.derive(INFO_ID, b"");
        let mut id = [0; 16];
        id.iter_mut()
            .zip(derived.iter())
            .for_each(|(to, from)| *to = *from);
        id
    }

    /// HKDF-SHA256 with `info = use || 0x00 || SHA-256(context)`: the context has a fixed
    /// length, so that no two pairs of use and context give the same info.
    fn derive(&self, usage: &[u8], context: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let context = Sha256::digest(context);
        let info: [&[u8]; 3] = [usage, &[0], &context];
        let hkdf = Hkdf::<Sha256>::new(Some(SALT), &self.0);
        // expand() fails only for outputs over 255 * 32 bytes; this one has 32. If a future
        // version failed for another reason, an all-zero key must not be the result.
        if hkdf.expand_multi_info(&info, key.as_mut_slice()).is_err() {
            std::process::abort();
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> VolumeIdentity {
        VolumeIdentity {
            uuid: "0a1b2c3d-0000-4000-8000-000000000001".into(),
            cipher: "aes-xts-plain64".into(),
            key_bytes: 64,
            sector_bytes: 512,
            offset: 16 << 20,
            size: None,
            iv_tweak: 0,
        }
    }

    fn secret(byte: u8) -> VolumeSecret {
        VolumeSecret([byte; 32])
    }

    #[test]
    fn each_use_has_its_own_key() {
        let secret = secret(7);
        let keys = [
            hex::encode(secret.record_mac_key()),
            hex::encode(secret.further_mac_key()),
            hex::encode(secret.resume_mark_key()),
            hex::encode(secret.pin_change_key()),
            String::from_utf8(secret.volume_passphrase(&identity()).to_vec()).unwrap(),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert!(!keys.iter().any(|key| key.starts_with(&secret.id())));
    }

    #[test]
    fn derivations_do_not_change_between_versions() {
        // RFC 5869 computed independently with Python's hmac module.
        assert_eq!(
            secret(7).volume_passphrase(&identity()).as_slice(),
            VECTOR_VOLUME.as_bytes()
        );
        assert_eq!(secret(7).id(), VECTOR_ID);
    }

    const VECTOR_VOLUME: &str = "a420a91c7c4b403fd57034f62f4fe6425056b1c6e1b14c69ce59e5826e5dd7da";
    const VECTOR_ID: &str = "cfb8c9b07458be9f8b05423204143ddb";

    #[test]
    fn what_is_sealed_is_the_volume_secret_then_the_host_secret() {
        let bytes: Vec<u8> = (0..64).collect();
        let boot = BootSecret::from_bytes(&bytes).unwrap();
        assert_eq!(boot.volume().as_bytes(), &bytes[..32]);
        assert_eq!(boot.host().to_bytes()[..], bytes[32..]);
        assert_eq!(boot.to_bytes()[..], bytes);
        assert_eq!(boot.id(), boot.volume().id());
    }

    #[test]
    fn the_two_secrets_have_nothing_to_do_with_each_other() {
        let boot =
            |volume, host| BootSecret::new(VolumeSecret([volume; 32]), HostSecret([host; 32]));
        assert_eq!(boot(1, 2).host().to_bytes(), boot(3, 2).host().to_bytes());
        assert_eq!(boot(1, 2).id(), boot(1, 4).id());
        let (one, other) = (
            VolumeSecret::generate().unwrap(),
            HostSecret::generate().unwrap(),
        );
        assert_ne!(one.0, other.0);
    }

    #[test]
    fn any_change_of_the_data_segment_changes_the_passphrase() {
        let secret = secret(7);
        let original = secret.volume_passphrase(&identity());
        let changes: [fn(&mut VolumeIdentity); 7] = [
            |v| v.uuid.push('0'),
            |v| v.cipher = "aes-xts-plain".into(),
            |v| v.key_bytes = 32,
            |v| v.sector_bytes = 4096,
            |v| v.offset += 512,
            |v| v.size = Some(1 << 20),
            |v| v.iv_tweak = 1,
        ];
        for change in changes {
            let mut changed = identity();
            change(&mut changed);
            assert_ne!(*secret.volume_passphrase(&changed), *original);
        }
    }

    #[test]
    fn a_secret_of_another_length_is_refused() {
        for length in [0, 31, 32, 33, 63, 65, 128] {
            assert!(BootSecret::from_bytes(&vec![0; length]).is_err());
        }
        // The form before the host's secret was sealed by itself.
        let old = BootSecret::from_bytes(&[0; 32]).map(drop).unwrap_err();
        assert!(old.to_string().contains("enrol again"), "{old}");
    }
}
