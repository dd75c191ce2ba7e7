//! The keys of a simulated TPM: all of them come from its number.

use p256::{
    ecdsa::{Signature, SigningKey, VerifyingKey, signature::Signer},
    pkcs8::EncodePublicKey,
};
use sha2::{Digest, Sha256};

use crate::{AttestationKey, Name, TpmError};

#[derive(Debug)]
pub(super) struct Keys {
    number: u8,
    /// Random bytes are the hashes of this count.
    drawn: u64,
}

impl Keys {
    pub(super) const fn new(number: u8) -> Self {
        Self { number, drawn: 0 }
    }

    /// 32 bytes for one use.
    pub(super) fn derived(&self, label: &str, context: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"simulated TPM");
        hash.update([self.number]);
        hash.update(label.as_bytes());
        hash.update([0]);
        hash.update(context);
        hash.finalize().into()
    }

    pub(super) fn storage_root(&self) -> Name {
        Name::of_sha256(self.derived("storage root key", &[]))
    }

    pub(super) fn random(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            self.drawn = self.drawn.saturating_add(1);
            bytes.extend(self.derived("random", &self.drawn.to_be_bytes()));
        }
        bytes.truncate(length);
        bytes
    }

    pub(super) fn attestation(&self) -> Result<AttestationKey, TpmError> {
        let key = VerifyingKey::from(&self.signing()?);
        let spki = key.to_public_key_der().map_err(failed)?;
        Ok(AttestationKey {
            spki: spki.as_bytes().to_vec(),
            name: self.attestation_name(),
        })
    }

    pub(super) fn attestation_name(&self) -> Name {
        Name::of_sha256(self.derived("attestation key's name", &[]))
    }

    /// ECDSA with SHA-256, as DER.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TpmError> {
        let signature: Signature = self.signing()?.sign(message);
        Ok(signature.to_der().as_bytes().to_vec())
    }

    fn signing(&self) -> Result<SigningKey, TpmError> {
        SigningKey::from_slice(&self.derived("attestation key", &[])).map_err(failed)
    }
}

fn failed(error: impl std::fmt::Display) -> TpmError {
    TpmError::BadParameter(error.to_string())
}
