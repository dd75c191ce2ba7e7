//! How a keyslot gets into the header as a transaction, and the look at what was written.

use std::io;

use super::{
    enroll::Enrolment,
    enrolled::Enrolled,
    error::EnrolmentError,
    pending::{Pending, PendingKdf, find_leftovers},
    room,
};
use crate::unlock::{
    find_records::{TokenId, find_enrolled},
    header::CheckedHeader,
    open::test_passphrase,
};

const KEYSLOTS: u32 = 32;

impl Enrolment {
    /// Chooses the keyslot.
    pub(super) fn announce(&self, kdf: PendingKdf) -> Result<Pending, EnrolmentError> {
        let header = CheckedHeader::read(&self.device)?;
        let taken = &header.metadata().keyslots;
        let keyslot = (0..KEYSLOTS)
            .find(|number| !taken.contains_key(number))
            .ok_or_else(|| EnrolmentError::NoFreeKeyslot(self.device.clone()))?;
        Ok(Pending { keyslot, kdf })
    }

    /// The transaction: pending token, keyslot, `before_commit`, final token. Undone on error.
    pub(super) fn make_keyslot(
        &mut self,
        pending: Pending,
        passphrase: &[u8],
        before_commit: impl FnOnce(()) -> io::Result<()>,
        token: &serde_json::Value,
    ) -> Result<TokenId, EnrolmentError> {
        room::for_keyslot(&CheckedHeader::read(&self.device)?, token)?;
        let id = self.editor.add_token(&pending.to_token())?;
        let added =
            self.editor
                .add_keyslot(pending.keyslot, &self.volume_key, passphrase, pending.kdf);
        let committed = added.and_then(|()| {
            before_commit(()).map_err(EnrolmentError::RecoveryKeyNotShown)?;
            self.editor.replace_token(id, token)
        });
        if let Err(error) = committed {
            // The first failure is the one to report; what cannot be undone now is a
            // leftover, which the next run removes.
            if let Err(undo) = self.undo(id) {
                log::warn!("{}: undoing failed, too: {undo}", self.device.display());
            }
            return Err(error);
        }
        Ok(id)
    }

    fn undo(&mut self, id: TokenId) -> Result<(), EnrolmentError> {
        let header = CheckedHeader::read(&self.device)?;
        let leftovers = find_leftovers(&header);
        if let Some(leftover) = leftovers.iter().find(|leftover| leftover.token == id) {
            if let Some(keyslot) = leftover.keyslot {
                self.editor.remove_keyslot(keyslot)?;
            }
            self.editor.remove_token(id)?;
        }
        Ok(())
    }

    /// Reads everything back as the boot will, and opens the keyslot.
    pub(super) fn verify(
        &self,
        enrolled: &Enrolled,
        passphrase: &[u8],
    ) -> Result<(), EnrolmentError> {
        let not_verified = |reason: String| EnrolmentError::NotVerified {
            device: self.device.clone(),
            reason,
        };
        let header = CheckedHeader::read(&self.device)?;
        let record = find_enrolled(&header)
            .into_iter()
            .find(|(id, _)| *id == enrolled.token);
        match record {
            Some((_, Ok(_))) => {}
            Some((_, Err(error))) => return Err(not_verified(error.to_string())),
            None => return Err(not_verified("the token is not there".into())),
        }
        test_passphrase(&header, passphrase, Some(enrolled.keyslot))
            .map_err(|error| not_verified(error.to_string()))?;
        Ok(())
    }
}
