//! Commands with the owner's password.
//!
//! The password never crosses the bus: it keys an HMAC, in a session salted to a fresh key of the
//! null hierarchy (the owner's password may be what keeps us from the storage root key), so that
//! someone who listens cannot try passwords against that HMAC.

use tss_esapi::{
    Context,
    attributes::SessionAttributesBuilder,
    constants::SessionType,
    handles::ObjectHandle,
    interface_types::{reserved_handles::Hierarchy, session_handles::AuthSession},
    structures::Auth,
};

use super::{
    Tpm2,
    failure::{Failure, in_command, is_refused_session},
    pcr::ATTEMPTS,
    session::Encrypted,
    srk_template::srk_template,
};
use crate::TpmError;

const CREATE_PRIMARY: &str = "TPM2_CreatePrimary";
const GET_RANDOM: &str = "TPM2_GetRandom";

/// Longest password of a hierarchy, in bytes: the longest digest of a TPM.
const MAX_PASSWORD: usize = 64;

impl Tpm2 {
    /// Runs `command`, which the owner must authorize, with this password: once. A wrong one is
    /// never tried again.
    pub(super) fn as_owner<T>(
        &mut self,
        password: &[u8],
        encrypted: Encrypted,
        command: impl FnOnce(&mut Context) -> Result<T, Failure>,
    ) -> Result<T, TpmError> {
        if password.len() > MAX_PASSWORD {
            return Err(TpmError::BadParameter(format!(
                "the owner's password has {} bytes: a TPM accepts at most {MAX_PASSWORD}",
                password.len()
            )));
        }
        let auth = Auth::try_from(password.to_vec()).map_err(in_command("the password"))?;
        let template = srk_template().map_err(in_command(CREATE_PRIMARY))?;
        let (key, _public) = self.create_primary(Hierarchy::Null, template)?;
        self.then_flush(key.into(), |tpm| {
            tpm.with_proved_session(key, |tpm, session| {
                let (attributes, mask) = SessionAttributesBuilder::new()
                    .with_continue_session(true)
                    .with_decrypt(matches!(encrypted, Encrypted::Command))
                    .with_encrypt(matches!(encrypted, Encrypted::Response))
                    .build();
                tpm.context
                    .tr_sess_set_attributes(session, attributes, mask)
                    .map_err(in_command("session attributes"))?;
                tpm.with_owner_auth(auth, session, command)
            })
        })
    }

    /// Runs `work` with a session that the TPM has accepted once, for a command without password:
    /// a refusal behind that is about the password. (See [`is_refused_session`] for why a session
    /// itself may be refused.)
    fn with_proved_session<T>(
        &mut self,
        key: tss_esapi::handles::KeyHandle,
        work: impl FnOnce(&mut Self, AuthSession) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let mut work = Some(work);
        let mut attempts = 1..ATTEMPTS;
        loop {
            let done = self.with_session(
                key,
                SessionType::Hmac,
                Encrypted::Response,
                |tpm, session| {
                    let proof: Result<_, TpmError> = tpm
                        .context
                        .execute_with_session(Some(session), |context| context.get_random(8))
                        .map_err(in_command(GET_RANDOM))
                        .map_err(TpmError::from);
                    match (proof, work.take()) {
                        (Ok(_), Some(run)) => run(tpm, session).map(Some),
                        (Err(error), unused) if is_refused_session(&error) => {
                            work = unused;
                            Ok(None)
                        }
                        (Err(error), _) => Err(error),
                        // `work` is taken once, and then this loop ends.
                        (Ok(_), None) => Ok(None),
                    }
                },
            )?;
            match done {
                Some(value) => return Ok(value),
                None if attempts.next().is_some() => {}
                None => {
                    return Err(TpmError::BadAnswer {
                        command: GET_RANDOM,
                        reason: format!("{ATTEMPTS} sessions were refused one after the other"),
                    });
                }
            }
        }
    }

    fn with_owner_auth<T>(
        &mut self,
        auth: Auth,
        session: AuthSession,
        command: impl FnOnce(&mut Context) -> Result<T, Failure>,
    ) -> Result<T, TpmError> {
        self.context
            .tr_set_auth(ObjectHandle::Owner, auth)
            .map_err(in_command("the password"))?;
        let done = self.context.execute_with_session(Some(session), command);
        // The library must not keep the password for the next command.
        let forgotten = self
            .context
            .tr_set_auth(ObjectHandle::Owner, Auth::default());
        let value = done.map_err(|failure| {
            if failure.is_wrong_auth() {
                TpmError::WrongPassword {
                    whose: "owner",
                    code: failure.code,
                }
            } else {
                failure.into()
            }
        })?;
        forgotten.map_err(in_command("the password"))?;
        Ok(value)
    }
}
