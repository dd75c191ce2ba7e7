//! Enrols further volumes: those that the secret of another volume's records opens.

use super::{
    enroll::{Enrolment, derived_kdf},
    enrolled::{Enrolled, FurtherEnrolled},
    error::EnrolmentError,
    wipe::is_ours,
};
use crate::unlock::{
    find_records::{TokenId, find_enrolled},
    further::{FURTHER_TYPE, FurtherToken, find_further},
    header::CheckedHeader,
    open::test_passphrase,
    secret::VolumeSecret,
};

impl Enrolment {
    /// The secret of this volume's records.
    fn volume_secret(&self) -> Result<VolumeSecret, EnrolmentError> {
        self.known_secret()?
            .map(|(_, secret)| secret)
            .ok_or_else(|| EnrolmentError::NoSecret(self.device.clone()))
    }

    /// Gives this volume a keyslot and a token for the secret of the volume `enrolled_with`. Where it
    /// has both already, nothing is written.
    ///
    /// # Errors
    /// It has records of its own, there is no room, or what was written cannot be read back.
    pub fn enroll_further(
        &mut self,
        secret: &VolumeSecret,
        enrolled_with: &str,
    ) -> Result<FurtherEnrolled, EnrolmentError> {
        let header = CheckedHeader::read(&self.device)?;
        if header.uuid() == enrolled_with {
            return Err(EnrolmentError::SameVolume(self.device.clone()));
        }
        if !find_enrolled(&header).is_empty() {
            return Err(EnrolmentError::HasRecords(self.device.clone()));
        }
        let passphrase = secret.volume_passphrase(&self.volume);
        let with = |enrolled, new| FurtherEnrolled {
            enrolled,
            new,
            removed: Vec::new(),
        };
        if let Some(enrolled) = genuine(&header, secret, &passphrase) {
            return Ok(with(enrolled, false));
        }
        let pending = self.announce(derived_kdf()?)?;
        let keyslot = pending.keyslot;
        let volume = self.volume.clone();
        let token = FurtherToken::new(keyslot, volume, enrolled_with, secret)?.to_token()?;
        let token = self.make_keyslot(pending, &passphrase, |()| Ok(()), &token)?;
        let further = with(
            Enrolled {
                secret_id: Some(secret.id()),
                token,
                keyslot,
            },
            true,
        );
        let header = CheckedHeader::read(&self.device)?;
        if genuine(&header, secret, &passphrase).as_ref() == Some(&further.enrolled) {
            return Ok(further);
        }
        self.undo_further(&further);
        Err(EnrolmentError::NotVerified {
            device: self.device.clone(),
            reason: "the keyslot does not open, or the token is not there".into(),
        })
    }

    /// All of them, or none.
    pub(super) fn enroll_all_further(
        &self,
        volumes: &mut [Self],
        secret: &VolumeSecret,
    ) -> Result<Vec<FurtherEnrolled>, EnrolmentError> {
        let mut written = Vec::with_capacity(volumes.len());
        for position in 0..volumes.len() {
            let Some(volume) = volumes.get_mut(position) else {
                break;
            };
            match volume.enroll_further(secret, &self.volume.uuid) {
                Ok(further) => written.push(further),
                Err(error) => {
                    Self::undo_all_further(volumes, &written);
                    return Err(error);
                }
            }
        }
        Ok(written)
    }

    /// Takes back what [`Self::enroll_all_further`] has just written.
    pub(super) fn undo_all_further(volumes: &mut [Self], written: &[FurtherEnrolled]) {
        for (volume, further) in volumes.iter_mut().zip(written) {
            volume.undo_further(further);
        }
    }

    /// The keyslot goes first, so that nothing is left that opens the volume.
    fn undo_further(&mut self, further: &FurtherEnrolled) {
        if !further.new {
            return;
        }
        let removed = self
            .editor
            .remove_keyslot(further.enrolled.keyslot)
            .and_then(|()| self.editor.remove_token(further.enrolled.token));
        if let Err(error) = removed {
            // The first failure is the one to report. What is left opens nothing but with a secret
            // that nobody has.
            log::warn!("{}: undoing failed, too: {error}", self.device.display());
        }
    }

    /// Removes the tokens of earlier secrets of this volume, with the keyslots that taoboot made for them.
    /// Those of secrets that a record of this volume still has stay, and those of other volumes: a
    /// disk may belong to several machines. What cannot be removed is tried again by the next run.
    pub(super) fn finish_further(
        &self,
        volumes: &mut [Self],
        written: Vec<FurtherEnrolled>,
        secret: &VolumeSecret,
    ) -> Vec<FurtherEnrolled> {
        let kept = match CheckedHeader::read(&self.device) {
            Ok(header) => find_enrolled(&header)
                .into_iter()
                .filter_map(|(_, record)| Some(record.ok()?.secret_id().to_owned()))
                .collect::<Vec<_>>(),
            Err(error) => {
                log::warn!("earlier secrets are not cleaned up: {error}");
                return written;
            }
        };
        let all = volumes.iter_mut().zip(written);
        all.map(|(volume, further)| {
            let removed = volume.remove_stale(secret, &self.volume.uuid, &kept);
            let removed = removed.unwrap_or_else(|error| {
                log::warn!(
                    "{}: an earlier secret is not cleaned up: {error}",
                    volume.device.display()
                );
                Vec::new()
            });
            FurtherEnrolled { removed, ..further }
        })
        .collect()
    }

    /// Enrols further volumes with the secret that this volume's records have: all or none. No TPM
    /// is needed.
    ///
    /// # Errors
    /// This volume has no genuine record, or one of them cannot be enrolled.
    pub fn add_further(
        &self,
        volumes: &mut [Self],
    ) -> Result<Vec<FurtherEnrolled>, EnrolmentError> {
        let secret = self.volume_secret()?;
        let written = self.enroll_all_further(volumes, &secret)?;
        Ok(self.finish_further(volumes, written, &secret))
    }

    fn remove_stale(
        &mut self,
        secret: &VolumeSecret,
        enrolled_with: &str,
        kept_secrets: &[String],
    ) -> Result<Vec<u32>, EnrolmentError> {
        let header = CheckedHeader::read(&self.device)?;
        let metadata = header.metadata();
        let mut stale: Vec<(TokenId, Vec<u32>)> = Vec::new();
        for (number, token) in &metadata.tokens {
            let is_stale = FurtherToken::from_token(&token.json).is_ok_and(|token| {
                token.enrolled_with() == enrolled_with
                    && token.verify_mac(secret).is_err()
                    && !kept_secrets.iter().any(|kept| kept == token.secret_id())
            });
            if token.kind == FURTHER_TYPE && is_stale {
                stale.push((TokenId(*number), token.keyslots.clone()));
            }
        }
        let kept: Vec<u32> = metadata
            .tokens
            .iter()
            .filter(|(number, _)| !stale.iter().any(|(token, _)| token.0 == **number))
            .flat_map(|(_, token)| token.keyslots.iter().copied())
            .collect();
        let mut removed = Vec::new();
        for (token, keyslots) in stale {
            for keyslot in keyslots {
                // A token is untrusted: it may name a person's keyslot.
                let ours = is_ours(metadata, keyslot)
                    && !kept.contains(&keyslot)
                    && Some(keyslot) != self.opened_by;
                if ours && !removed.contains(&keyslot) {
                    self.editor.remove_keyslot(keyslot)?;
                    removed.push(keyslot);
                }
            }
            self.editor.remove_token(token)?;
        }
        Ok(removed)
    }
}

/// The token that is the secret's and whose keyslot it opens.
fn genuine(header: &CheckedHeader, secret: &VolumeSecret, passphrase: &[u8]) -> Option<Enrolled> {
    find_further(header).into_iter().find_map(|(id, token)| {
        let token = token.ok()?;
        token.verify_mac(secret).ok()?;
        let keyslot = token.keyslot().ok()?;
        test_passphrase(header, passphrase, Some(keyslot)).ok()?;
        Some(Enrolled {
            secret_id: Some(secret.id()),
            token: id,
            keyslot,
        })
    })
}
