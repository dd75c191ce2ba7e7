//! Sessions: always salted to the storage key, always encrypting what is secret.
//!
//! The salt is encrypted to the key whose public area was just checked, so that someone who
//! only listens on the bus learns neither the session key nor the parameter encrypted with it.

use tss_esapi::{
    attributes::SessionAttributesBuilder,
    constants::SessionType,
    handles::KeyHandle,
    interface_types::{algorithm::HashingAlgorithm, session_handles::AuthSession},
    structures::SymmetricDefinition,
};

use super::{Tpm2, failure::in_command};
use crate::TpmError;

/// What the parameter encryption of a session covers.
pub(super) enum Encrypted {
    /// The first parameter of the command.
    Command,
    /// The first parameter of the response.
    Response,
    /// Nothing: the command has no parameter that can be encrypted.
    Nothing,
    /// Nothing, but the session audits the command (Part 1, 18.11): so that the answer to one that
    /// needs no authorization has an HMAC as well.
    Audited,
}

impl Tpm2 {
    /// Runs `work` with a new session (SHA-256, AES-128-CFB) salted to `key`, then flushes it.
    pub(super) fn with_session<T>(
        &mut self,
        key: KeyHandle,
        kind: SessionType,
        encrypted: Encrypted,
        work: impl FnOnce(&mut Self, AuthSession) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let session = self
            .context
            .start_auth_session(
                Some(key),
                None,
                None,
                kind,
                SymmetricDefinition::AES_128_CFB,
                HashingAlgorithm::Sha256,
            )
            .map_err(in_command("TPM2_StartAuthSession"))?
            .ok_or_else(|| TpmError::BadAnswer {
                command: "TPM2_StartAuthSession",
                reason: "no session handle".into(),
            })?;
        let (attributes, mask) = SessionAttributesBuilder::new()
            .with_continue_session(true)
            .with_decrypt(matches!(encrypted, Encrypted::Command))
            .with_encrypt(matches!(encrypted, Encrypted::Response))
            .with_audit(matches!(encrypted, Encrypted::Audited))
            .build();
        self.then_flush_session(session, |tpm| {
            tpm.context
                .tr_sess_set_attributes(session, attributes, mask)
                .map_err(in_command("session attributes"))?;
            work(tpm, session)
        })
    }
}
