//! The record itself: the sealed boot secret with what belongs to it, authenticated with a key
//! that comes from the volume secret.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tpm::{AuthPolicy, PcrIndex, Sealed};

use super::{
    RecordError,
    form::{check_launch, check_texts, damaged},
    token,
};
use crate::unlock::{
    escrow::Escrow, identity::VolumeIdentity, secret::VolumeSecret, swap::SwapSpec,
};

/// Type of the LUKS2 token.
pub const TOKEN_TYPE: &str = "taoboot";

/// What a new record is made of.
#[derive(Clone, Debug)]
pub struct RecordParts {
    /// The keyslot that the derived passphrase opens.
    pub keyslot: u32,
    /// The volume it belongs to.
    pub volume: VolumeIdentity,
    /// What the secret is sealed to: one launch, the latch's zeros included, or a policy key.
    pub policy: AuthPolicy,
    /// The sealed boot secret.
    pub sealed: Sealed,
    /// A note for people, such as the kernel's version.
    pub label: String,
    /// The partition that becomes swap under a random key.
    pub swap: Option<SwapSpec>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// Words for what is measured into a register.
    pub components: BTreeMap<PcrIndex, String>,
    /// The volume secret under the volume's key: with a passphrase the same secret can be sealed
    /// again.
    pub escrow: Option<Escrow>,
}

/// A record of correct form. Its truth is established by the TPM and [`Self::verify_mac`].
#[derive(Clone, Debug)]
pub struct EnrolledRecord {
    pub(super) parts: RecordParts,
    pub(super) secret_id: String,
    pub(super) mac: Vec<u8>,
}

impl EnrolledRecord {
    /// Makes and authenticates a new record.
    pub fn new(parts: RecordParts, secret: &VolumeSecret) -> Result<Self, RecordError> {
        check(&parts)?;
        let mut record = EnrolledRecord {
            parts,
            secret_id: secret.id(),
            mac: Vec::new(),
        };
        record.mac = record
            .authenticator(secret)?
            .finalize()
            .into_bytes()
            .to_vec();
        Ok(record)
    }

    /// Reads a token's JSON object.
    pub fn from_token(json: &Value) -> Result<Self, RecordError> {
        let record = token::read(json)?;
        check(&record.parts)?;
        Ok(record)
    }

    /// The JSON object to be stored as a LUKS2 token.
    pub fn to_token(&self) -> Result<Value, RecordError> {
        token::write(self)
    }

    /// Is the record the one that was enrolled together with this secret?
    pub fn verify_mac(&self, secret: &VolumeSecret) -> Result<(), RecordError> {
        let mac = self.authenticator(secret)?;
        mac.verify_slice(&self.mac).map_err(|_| RecordError::Forged)
    }

    /// What it is made of. To be acted on only after [`Self::verify_mac`].
    pub const fn parts(&self) -> &RecordParts {
        &self.parts
    }

    /// The public name of the sealed secret, [`VolumeSecret::id`].
    pub fn secret_id(&self) -> &str {
        &self.secret_id
    }

    fn authenticator(&self, secret: &VolumeSecret) -> Result<Hmac<Sha256>, RecordError> {
        let text = token::authenticated_text(self)?;
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
