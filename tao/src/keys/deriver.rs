//! Secrets derived from a secret: HKDF with SHA-256, no salt, as in the original.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret_bytes::Secret;

/// More bytes than HKDF can give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes were to be derived; HKDF with SHA-256 gives at most {max}", max = 255 * 32)]
pub struct DeriveError(usize);

/// Derives secrets that differ by their tag.
pub struct Deriver(Secret);

impl Deriver {
    /// A deriver over a secret of its own.
    pub fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// The secret itself.
    pub(super) fn bytes(&self) -> &[u8] {
        &*self.0
    }

    /// `length` bytes for `tag`.
    ///
    /// # Errors
    /// For more bytes than HKDF can give.
    pub fn derive(&self, tag: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, DeriveError> {
        let mut derived = Zeroizing::new(Vec::new());
        if length > 255 * 32 {
            return Err(DeriveError(length));
        }
        derived.resize(length, 0);
        let hkdf = Hkdf::<Sha256>::new(None, &*self.0);
        hkdf.expand(tag, &mut derived)
            .map_err(|_| DeriveError(length))?;
        Ok(derived)
    }

    /// A secret to make another key from.
    ///
    /// # Errors
    /// None: HKDF gives 32 bytes in any case.
    pub fn secret(&self, tag: &[u8]) -> Result<Secret, DeriveError> {
        let mut secret = Secret::default();
        let hkdf = Hkdf::<Sha256>::new(None, &*self.0);
        hkdf.expand(tag, &mut *secret)
            .map_err(|_| DeriveError(secret.len()))?;
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Suite {
        derivations: Vec<Derivation>,
    }

    #[derive(Deserialize)]
    struct Derivation {
        salt: String,
        context: String,
        n: usize,
        out: String,
    }

    #[test]
    fn derived_bytes_are_the_recorded_ones() {
        let suites: Vec<Suite> = serde_json::from_str(include_str!(
            "../../tests/vectors/keys_and_crypto_vectors.json"
        ))
        .unwrap();
        let mut secret = Secret::default();
        secret
            .iter_mut()
            .zip(0..)
            .for_each(|(byte, value)| *byte = value);
        let deriver = Deriver::new(secret);
        let unsalted: Vec<_> = suites
            .iter()
            .flat_map(|suite| &suite.derivations)
            .filter(|d| d.salt.is_empty())
            .collect();
        assert!(unsalted.len() > 5);
        for vector in unsalted {
            let derived = deriver.derive(vector.context.as_bytes(), vector.n).unwrap();
            assert_eq!(hex::encode(&*derived), vector.out, "{}", vector.context);
        }
    }

    #[test]
    fn more_than_hkdf_can_give_is_refused() {
        assert_eq!(
            Deriver::new(Secret::default()).derive(b"", 8161).err(),
            Some(DeriveError(8161))
        );
    }
}
