//! Records that would keep a new secret from ever being released.

use tpm::AuthPolicy;

use super::{enroll::Enrolment, error::EnrolmentError, wipe::is_ours};
use crate::unlock::{find_records::find_enrolled, header::CheckedHeader, secret::VolumeSecret};

impl Enrolment {
    /// Removes records of other secrets for the same launch: the TPM would go on to release theirs.
    pub(super) fn remove_shadowing(
        &mut self,
        policy: &AuthPolicy,
        secret: &VolumeSecret,
        own_keyslot: u32,
    ) -> Result<(), EnrolmentError> {
        let header = CheckedHeader::read(&self.device)?;
        let metadata = header.metadata();
        for (token, record) in find_enrolled(&header) {
            let Ok(record) = record else { continue };
            if record.parts().policy != *policy || record.verify_mac(secret).is_ok() {
                continue;
            }
            let keyslot = record.parts().keyslot;
            let mut others = metadata.tokens.iter();
            let in_use = others
                .any(|(number, other)| *number != token.0 && other.keyslots.contains(&keyslot));
            // A record is untrusted: it may name a person's keyslot.
            let ours = is_ours(metadata, keyslot)
                && keyslot != own_keyslot
                && Some(keyslot) != self.opened_by;
            if ours && !in_use {
                self.editor.remove_keyslot(keyslot)?;
            }
            self.editor.remove_token(token)?;
        }
        Ok(())
    }
}
