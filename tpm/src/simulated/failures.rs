//! Failures on demand.

use std::collections::VecDeque;

use crate::TpmError;

/// A call of [`crate::Tpm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `pcr_read`.
    PcrRead,
    /// `pcr_event` and `pcr_event_read`.
    PcrEvent,
    /// `srk`.
    Srk,
    /// `seal` and `seal_with_auth`, when the secret is sent: after the storage key was compared.
    Seal,
    /// `unseal`.
    Unseal,
    /// `random`.
    Random,
    /// `attestation_key`.
    AttestationKey,
    /// `quote`.
    Quote,
}

/// Errors that wait for their calls.
#[derive(Debug, Default)]
pub(super) struct Failures(VecDeque<(Call, TpmError)>);

impl Failures {
    pub(super) fn add(&mut self, call: Call, error: TpmError) {
        self.0.push_back((call, error));
    }

    /// The first error that waits for this call.
    pub(super) fn due(&mut self, call: Call) -> Result<(), TpmError> {
        let position = self.0.iter().position(|(waiting, _)| *waiting == call);
        match position.and_then(|position| self.0.remove(position)) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }
}
