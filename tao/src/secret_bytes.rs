//! Secrets of any length, overwritten at the speed of memory.
//!
//! zeroize overwrites a `Vec<u8>` byte by byte with volatile stores: 64 KiB take as long as
//! encrypting them twice. Here a plain fill does it, and zeroize's barrier keeps the compiler
//! from leaving it out.

use std::fmt;

use zeroize::{Zeroizing, optimization_barrier};

/// What all keys are made from.
pub type Secret = Zeroizing<[u8; 32]>;

/// Overwrites bytes.
pub fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    optimization_barrier(bytes);
}

/// Overwrites and empties a vector, including what was cut off its end.
pub fn wipe_vec(bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.resize(bytes.capacity(), 0);
    optimization_barrier(bytes.as_slice());
    bytes.clear();
}

/// Secret bytes, overwritten when they are dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl std::ops::Deref for SecretBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::DerefMut for SecretBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl AsRef<[u8]> for SecretBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Their number, not the bytes.
impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({})", self.0.len())
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        wipe_vec(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_bytes_do_not_show_themselves() {
        let secret = SecretBytes::from(b"secret".to_vec());
        assert_eq!(format!("{secret:?}"), "SecretBytes(6)");
        assert_eq!(secret.clone(), secret);
    }

    #[test]
    fn a_slice_is_overwritten() {
        let mut bytes = [7; 100];
        wipe(&mut bytes);
        assert_eq!(bytes, [0; 100]);
    }
}
