//! The salt of RSA PSS signatures, out of key and message instead of chance: the same list signed
//! twice gives the same bytes, and a weak random number generator cannot spoil anything.
//!
//! The idea is RFC 6979's for ECDSA. PSS stays secure with any salt; nobody can guess this one who
//! does not have the private key.

use std::convert::Infallible;

use rsa::{
    RsaPrivateKey,
    rand_core::{TryCryptoRng, TryRng},
    traits::PrivateKeyParts,
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes that follow from a key and a digest: SHA-256 in counter mode.
pub(super) struct SaltSource {
    seed: Zeroizing<[u8; 32]>,
    counter: u64,
}

impl SaltSource {
    /// The source for one signature.
    pub fn new(key: &RsaPrivateKey, digest: &[u8]) -> Self {
        let secret = Zeroizing::new(key.d().to_be_bytes().to_vec());
        let mut hasher = Sha256::new();
        hasher.update(b"taoboot lcp RSASSA-PSS salt");
        hasher.update(secret.as_slice());
        hasher.update(digest);
        Self {
            seed: Zeroizing::new(hasher.finalize().into()),
            counter: 0,
        }
    }
}

impl TryRng for SaltSource {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for chunk in to.chunks_mut(32) {
            let mut hasher = Sha256::new();
            hasher.update(self.seed.as_slice());
            hasher.update(self.counter.to_le_bytes());
            self.counter = self.counter.wrapping_add(1);
            let block = hasher.finalize();
            chunk
                .iter_mut()
                .zip(block)
                .for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}

impl TryCryptoRng for SaltSource {}
