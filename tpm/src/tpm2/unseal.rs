//! Unsealing: one policy session, salted to the checked storage key, that also encrypts the
//! response.

use tss_esapi::{
    constants::SessionType,
    handles::{KeyHandle, ObjectHandle},
    interface_types::session_handles::{AuthSession, PolicySession},
    structures::Auth,
};
use zeroize::Zeroizing;

use super::{
    Tpm2, blob,
    failure::{
        LOCKOUT, PCR_CHANGED, answered, in_command, is_refused_session, is_wrong_auth_value,
    },
    pcr::ATTEMPTS,
    seal::MAX_SECRET,
    session::Encrypted,
};
use crate::{Approval, AuthValue, Name, Sealed, TpmError};

const UNSEAL: &str = "TPM2_Unseal";
const POLICY_AUTH_VALUE: &str = "TPM2_PolicyAuthValue";

impl Tpm2 {
    /// The object is loaded before the policy is evaluated, so that as little time as possible
    /// passes between TPM2_PolicyPCR and TPM2_Unseal. A PCR of any number that is extended in
    /// between (the kernel's IMA does that) voids the session: then it is done again.
    pub(super) fn unseal_secret(
        &mut self,
        sealed: &Sealed,
        approval: &Approval,
        pinned_srk: Option<&Name>,
        auth: Option<&AuthValue>,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        if let Some(pinned) = pinned_srk.filter(|pinned| **pinned != sealed.parent) {
            return Err(TpmError::NotOurs {
                code: 0,
                reason: format!(
                    "it was sealed under the storage root key {}, but {pinned} is pinned",
                    sealed.parent
                ),
            });
        }
        let (private, public) = blob::parse(sealed, blob::Shape::of(auth))?;
        let secret = self.with_srk_named(&sealed.parent, |tpm, srk| {
            let parent = srk.handle;
            let object = tpm.load_sealed(parent, private, public)?;
            tpm.then_flush(object, |tpm| {
                let mut last = TpmError::PcrsKeepChanging { attempts: ATTEMPTS };
                for _ in 0..ATTEMPTS {
                    match tpm.try_unseal(parent, object, approval, auth) {
                        Err(TpmError::Command {
                            code: PCR_CHANGED, ..
                        }) => {}
                        Err(error) if is_refused_session(&error) => last = error,
                        Err(error) if auth.is_some() => return Err(tpm.about_auth_value(error)),
                        done => return done,
                    }
                }
                Err(last)
            })
        })?;
        self.remember_srk(&sealed.parent);
        Ok(secret)
    }

    fn try_unseal(
        &mut self,
        parent: KeyHandle,
        object: ObjectHandle,
        approval: &Approval,
        auth: Option<&AuthValue>,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        self.with_session(
            parent,
            SessionType::Policy,
            Encrypted::Response,
            |tpm, session| {
                if auth.is_some() {
                    tpm.try_session(session)?;
                }
                tpm.satisfy(session, approval)?;
                if let Some(auth) = auth {
                    tpm.show_auth_value(session, object, auth)?;
                }
                let secret = tpm
                    .context
                    .execute_with_session(Some(session), |context| context.unseal(object))
                    .map_err(answered(UNSEAL))?;
                if secret.len() > MAX_SECRET {
                    return Err(TpmError::BadAnswer {
                        command: UNSEAL,
                        reason: format!("{} bytes where at most {MAX_SECRET} fit", secret.len()),
                    });
                }
                Ok(Zeroizing::new(secret.to_vec()))
            },
        )
    }

    /// Does the TPM accept the session's HMAC at all ([`is_refused_session`])? Asked with a command that
    /// needs no authorization, where a refusal does not count as a wrong value. It comes first: a
    /// policy session forgets its policy with each command that it is part of.
    fn try_session(&mut self, session: AuthSession) -> Result<(), TpmError> {
        self.context
            .execute_with_session(Some(session), |context| context.get_random(16))
            .map_err(answered("TPM2_GetRandom"))
            .map(drop)
    }

    /// From here on the value is part of the key of the session's HMAC.
    fn show_auth_value(
        &mut self,
        session: AuthSession,
        object: ObjectHandle,
        auth: &AuthValue,
    ) -> Result<(), TpmError> {
        let policy = PolicySession::try_from(session).map_err(in_command(POLICY_AUTH_VALUE))?;
        let value = Auth::try_from(auth.as_bytes().to_vec());
        let value = value.map_err(in_command(POLICY_AUTH_VALUE))?;
        self.context
            .policy_auth_value(policy)
            .and_then(|()| self.context.tr_set_auth(object, value))
            .map_err(in_command(POLICY_AUTH_VALUE))?;
        Ok(())
    }

    /// What a refusal says of the value.
    fn about_auth_value(&mut self, error: TpmError) -> TpmError {
        match error {
            TpmError::Command { code: LOCKOUT, .. } => TpmError::LockedOut {
                // That it is locked is known; only for how long is not, if this fails as well.
                lockout: self.read_lockout().ok(),
            },
            TpmError::Command { command, code, .. }
                if command == UNSEAL && is_wrong_auth_value(code) =>
            {
                TpmError::WrongAuthValue { code }
            }
            error => error,
        }
    }
}
