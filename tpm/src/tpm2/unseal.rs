//! Unsealing: one policy session, salted to the checked storage key, that also encrypts the
//! response.

use tss_esapi::{
    constants::SessionType,
    handles::{KeyHandle, ObjectHandle},
};
use zeroize::Zeroizing;

use super::{
    Tpm2, blob,
    failure::{PCR_CHANGED, answered, is_refused_session},
    pcr::ATTEMPTS,
    seal::MAX_SECRET,
    session::Encrypted,
};
use crate::{Approval, Name, Sealed, TpmError};

const UNSEAL: &str = "TPM2_Unseal";

impl Tpm2 {
    /// The object is loaded before the policy is evaluated, so that as little time as possible
    /// passes between TPM2_PolicyPCR and TPM2_Unseal. A PCR of any number that is extended in
    /// between (the kernel's IMA does that) voids the session: then it is done again.
    pub(super) fn unseal_secret(
        &mut self,
        sealed: &Sealed,
        approval: &Approval,
        pinned_srk: Option<&Name>,
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
        let (private, public) = blob::parse(sealed)?;
        let secret = self.with_srk_named(&sealed.parent, |tpm, srk| {
            let parent = srk.handle;
            let object = tpm.load_sealed(parent, private, public)?;
            tpm.then_flush(object, |tpm| {
                let mut last = TpmError::PcrsKeepChanging { attempts: ATTEMPTS };
                for _ in 0..ATTEMPTS {
                    match tpm.try_unseal(parent, object, approval) {
                        Err(TpmError::Command {
                            code: PCR_CHANGED, ..
                        }) => {}
                        Err(error) if is_refused_session(&error) => last = error,
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
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        self.with_session(
            parent,
            SessionType::Policy,
            Encrypted::Response,
            |tpm, session| {
                tpm.satisfy(session, approval)?;
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
}
