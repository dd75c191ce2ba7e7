//! Authenticated encryption for sealing.
//!
//! Our own format, version 1: `"TAO" 01 | nonce (24) | ciphertext | tag (16)`, by
//! XAES-256-GCM (C2SP): AES-CMAC over the first half of the nonce gives a fresh
//! AES-256-GCM key for each message, so that nonces can be random for as many messages as
//! anyone will ever seal. With plain GCM 2^32 random nonces would be the end, and the
//! host's key is the same at every boot. The four bytes in front are authenticated too.

use xaes256gcm::{NONCE, TAG, TooLong, Xaes256Gcm};

use super::random::{RandomError, random};
use crate::secret_bytes::{Secret, SecretBytes, wipe};

const MAGIC: [u8; 4] = *b"TAO\x01";

/// What sealing adds to the length.
const OVERHEAD: usize = MAGIC.len() + NONCE + TAG;

/// Why sealed bytes do not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not in our format.
    #[error("sealed data: expected {expected} at least and the mark \"TAO\\x01\" in front, found {found} bytes that are something else", expected = OVERHEAD)]
    Format {
        /// Length of what was given.
        found: usize,
    },
    /// Changed, or encrypted with another key.
    #[error("sealed data was changed or was sealed by another host")]
    Authentication,
}

/// Why nothing was sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// More than can be sealed at once.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// Encrypts and opens with one key.
pub struct Crypter(Xaes256Gcm);

impl Crypter {
    /// A crypter over a secret of its own.
    pub fn new(secret: &Secret) -> Self {
        Self(Xaes256Gcm::new(secret))
    }

    /// Length of what sealing so many bytes gives.
    pub const fn sealed_length(length: usize) -> usize {
        length.saturating_add(OVERHEAD)
    }

    /// Encrypts what `write` appends to the buffer, without copying it once more.
    /// `length` is how much that will be: the plaintext is not left in outgrown buffers.
    ///
    /// # Errors
    /// When the system gives no random bytes, or for more than 64 GiB.
    pub fn seal_with(
        &self,
        length: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Vec<u8>, SealError> {
        let mut sealed = Vec::new();
        self.seal_into(&mut sealed, length, write)?;
        Ok(sealed)
    }

    /// The same, appended to `out`; `write` only appends, too.
    ///
    /// # Errors
    /// Those of [`Crypter::seal_with`].
    pub fn seal_into(
        &self,
        out: &mut Vec<u8>,
        length: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), SealError> {
        let mut nonce = [0; NONCE];
        random(&mut nonce)?;
        out.reserve(Self::sealed_length(length));
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&nonce);
        let start = out.len();
        write(out);
        let (_, plain) = out.split_at_mut(start);
        let tag = self.0.encrypt(&nonce, &MAGIC, plain)?;
        out.extend_from_slice(&tag);
        Ok(())
    }

    /// Opens sealed bytes.
    ///
    /// # Errors
    /// When they are not in our format, were changed, or belong to another key.
    pub fn open(&self, sealed: &[u8]) -> Result<SecretBytes, OpenError> {
        let mut plain = Vec::new();
        self.open_into(&mut plain, sealed)?;
        Ok(plain.into())
    }

    /// The same, in place of what is in `plain`, which is left without a byte of the plaintext
    /// if the sealed bytes do not open.
    ///
    /// # Errors
    /// Those of [`Crypter::open`].
    pub fn open_into(&self, plain: &mut Vec<u8>, sealed: &[u8]) -> Result<(), OpenError> {
        let format = || OpenError::Format {
            found: sealed.len(),
        };
        let rest = sealed.strip_prefix(&MAGIC).ok_or_else(format)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or_else(format)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or_else(format)?;
        plain.clear();
        plain.extend_from_slice(ciphertext);
        let opened = self.0.decrypt(nonce, &MAGIC, plain, tag);
        opened.map_err(|_| {
            wipe(plain);
            plain.clear();
            OpenError::Authentication
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crypter(byte: u8) -> Crypter {
        Crypter::new(&Secret::new([byte; 32]))
    }

    #[test]
    fn sealed_bytes_open_with_the_same_key_only() {
        for length in [0, 1, 16, 65536] {
            let sealed = crypter(1)
                .seal_with(length, |out| out.extend(std::iter::repeat_n(7, length)))
                .unwrap();
            assert_eq!(
                crypter(1).open(&sealed).unwrap().as_slice(),
                vec![7; length]
            );
            assert_eq!(
                crypter(2).open(&sealed).err(),
                Some(OpenError::Authentication)
            );
        }
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let sealed = crypter(1)
            .seal_with(6, |out| out.extend_from_slice(b"secret"))
            .unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(crypter(1).open(&changed).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(
                crypter(1).open(&sealed[..length]).is_err(),
                "length {length}"
            );
        }
    }
}
