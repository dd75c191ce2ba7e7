//! Nothing that a call loads stays loaded: a TPM has room for three objects and three sessions.

use tss_esapi::{
    Context,
    handles::{ObjectHandle, SessionHandle},
    interface_types::session_handles::AuthSession,
};

use super::{Tpm2, failure::in_command};
use crate::TpmError;

impl Tpm2 {
    /// Runs `work` with a loaded object and flushes the object afterwards, whatever happened.
    pub(super) fn then_flush<T>(
        &mut self,
        object: ObjectHandle,
        work: impl FnOnce(&mut Self) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let done = work(self);
        let flushed = self.context.flush_context(object);
        // The first error is the one to tell; a flush that fails after it says no more.
        let value = done?;
        flushed.map_err(in_command("TPM2_FlushContext"))?;
        Ok(value)
    }

    /// The same for a session.
    pub(super) fn then_flush_session<T>(
        &mut self,
        session: AuthSession,
        work: impl FnOnce(&mut Self) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        self.then_flush(SessionHandle::from(session).into(), work)
    }

    /// One command authorised with the empty password.
    pub(super) fn with_password<T>(
        &mut self,
        command: impl FnOnce(&mut Context) -> tss_esapi::Result<T>,
    ) -> tss_esapi::Result<T> {
        self.context
            .execute_with_session(Some(AuthSession::Password), command)
    }
}
