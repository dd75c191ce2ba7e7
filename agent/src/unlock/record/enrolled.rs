//! The record itself: the sealed boot secret with what belongs to it, authenticated with a key
//! that comes from the volume secret.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tpm::AuthPolicy;

use super::{
    error::RecordError,
    form::{check_launch, check_texts, damaged},
    parts::RecordParts,
    token::{self, TokenContent},
};
use crate::unlock::secret::VolumeSecret;

/// A record of correct form. Its truth is established by the TPM and [`Self::verify_mac`].
#[derive(Clone, Debug)]
pub struct EnrolledRecord(TokenContent);

impl EnrolledRecord {
    /// Makes and authenticates a new record.
    pub fn new(parts: RecordParts, secret: &VolumeSecret) -> Result<Self, RecordError> {
        check(&parts)?;
        let mut record = Self(TokenContent {
            parts,
            secret_id: secret.id(),
            mac: Vec::new(),
        });
        record.0.mac = record
            .authenticator(secret)?
            .finalize()
            .into_bytes()
            .to_vec();
        Ok(record)
    }

    /// Reads a token's JSON object.
    pub fn from_token(json: &Value) -> Result<Self, RecordError> {
        let content = token::read(json)?;
        check(&content.parts)?;
        Ok(Self(content))
    }

    /// The JSON object to be stored as a LUKS2 token.
    pub fn to_token(&self) -> Result<Value, RecordError> {
        token::write(&self.0)
    }

    /// Is the record the one that was enrolled together with this secret?
    pub fn verify_mac(&self, secret: &VolumeSecret) -> Result<(), RecordError> {
        let mac = self.authenticator(secret)?;
        mac.verify_slice(&self.0.mac)
            .map_err(|_| RecordError::Forged)
    }

    /// What it is made of. To be acted on only after [`Self::verify_mac`].
    pub const fn parts(&self) -> &RecordParts {
        &self.0.parts
    }

    /// The public name of the sealed secret, [`VolumeSecret::id`].
    pub fn secret_id(&self) -> &str {
        &self.0.secret_id
    }

    fn authenticator(&self, secret: &VolumeSecret) -> Result<Hmac<Sha256>, RecordError> {
        let text = token::authenticated_text(&self.0)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.record_mac_key().as_slice())
            .map_err(|error| damaged(error.to_string()))?;
        mac.update(&text);
        Ok(mac)
    }
}

fn check(parts: &RecordParts) -> Result<(), RecordError> {
    check_texts(&parts.label, &parts.components)?;
    match &parts.policy {
        AuthPolicy::Launch(launch) => check_launch(launch.pcrs().values()),
        AuthPolicy::Signed(_) => Ok(()),
    }
}
