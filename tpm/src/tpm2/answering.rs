//! Sessions in which the TPM itself must have answered.
//!
//! Whoever sits between processor and TPM can drop a command and answer in its place. Extending a
//! register and reading it decide what is opened, so both run in an HMAC session: its key follows
//! from a salt that is encrypted to a key of the TPM, and without that key nobody makes the HMAC of
//! the answer, which covers the nonces (so that no old answer fits), the command and all values.
//!
//! It is worth as much as the knowledge of that key. Where the name of the storage root key is known
//! ([`Tpm2::pin_srk`], or from an unsealing that succeeded) no other key is taken. Otherwise it is
//! the one that the TPM shows; then who answers for the TPM from the first command on is not noticed.

use tss_esapi::{
    constants::SessionType,
    handles::KeyHandle,
    interface_types::{reserved_handles::Hierarchy, session_handles::AuthSession},
};

use super::{
    Tpm2,
    failure::{in_command, is_disabled_hierarchy, is_refused_session},
    pcr::ATTEMPTS,
    session::Encrypted,
    srk_template::srk_template,
};
use crate::{Name, TpmError};

impl Tpm2 {
    /// From now on only the TPM with this storage root key is believed when it is asked to extend
    /// a register, to show one or to seal. Another one is [`TpmError::WrongSrk`].
    pub fn pin_srk(&mut self, name: Name) {
        self.known_srk = Some(name);
    }

    /// Believes whatever TPM is there, again.
    pub fn unpin_srk(&mut self) {
        self.known_srk = None;
    }

    /// A secret was released under this key: whoever did that is asked further on. A pinned key
    /// stays.
    pub(super) fn remember_srk(&mut self, name: &Name) {
        self.known_srk.get_or_insert_with(|| name.clone());
    }

    /// Runs `work` in an HMAC session that is salted to the TPM's key. A session that the TPM
    /// refuses for the library's sake ([`is_refused_session`]) is replaced.
    pub(super) fn in_answering_session<T>(
        &mut self,
        mut work: impl FnMut(&mut Self, AuthSession) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        self.with_salting_key(|tpm, key| {
            let mut attempts = 1..ATTEMPTS;
            loop {
                let done = tpm.with_session(
                    key,
                    SessionType::Hmac,
                    Encrypted::Audited,
                    |tpm, session| work(tpm, session),
                );
                match done {
                    Err(error) if is_refused_session(&error) && attempts.next().is_some() => {}
                    done => return done,
                }
            }
        })
    }

    fn with_salting_key<T>(
        &mut self,
        work: impl FnOnce(&mut Self, KeyHandle) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        if let Some(name) = self.known_srk.clone() {
            return self.with_srk_named(&name, |tpm, key| work(tpm, key.handle));
        }
        let mut work = Some(work);
        let done = self.with_srk(|tpm, key| match work.take() {
            Some(work) => work(tpm, key.handle).map(Some),
            None => Ok(None),
        });
        match (done, work) {
            // The owner's hierarchy has a password or is switched off. No key of it is known, so
            // one of the null hierarchy, which is always there, is worth as much.
            (Err(error), Some(work)) if is_without_owner(&error) => {
                let template = srk_template().map_err(in_command("TPM2_CreatePrimary"))?;
                let (key, _public) = self.create_primary(Hierarchy::Null, template)?;
                self.then_flush(key.into(), |tpm| work(tpm, key))
            }
            (Ok(Some(value)), _) => Ok(value),
            (Err(error), _) => Err(error),
            // `with_srk` runs the work or fails.
            (Ok(None), _) => Err(TpmError::BadAnswer {
                command: "TPM2_StartAuthSession",
                reason: "no key to salt a session to".into(),
            }),
        }
    }
}

fn is_without_owner(error: &TpmError) -> bool {
    matches!(error, TpmError::HierarchyPassword { .. }) || is_disabled_hierarchy(error)
}
