//! Adds records that somebody else made: the resident agent, which holds the secret, or the
//! owner's policy key. No passphrase and no volume key is needed for that; a record that is
//! not genuine opens nothing.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{editor::Editor, error::EnrolmentError, room, volume_lock::VolumeLock};
use crate::unlock::{
    find_records::{TokenId, find_enrolled},
    header::CheckedHeader,
    identity::VolumeIdentity,
    record::{ApprovedLaunch, EnrolledRecord},
};

/// A volume that is locked against other writers, for new records on its present keyslots.
pub struct Resealing {
    device: PathBuf,
    volume: VolumeIdentity,
    editor: Editor,
    _lock: VolumeLock,
}

impl Resealing {
    /// Locks the device and checks its header. Writes nothing.
    pub fn begin(device: &Path) -> Result<Self, EnrolmentError> {
        CheckedHeader::read(device)?;
        let lock = VolumeLock::acquire(device)?;
        let volume = CheckedHeader::read(device)?.identity().clone();
        let editor = Editor::open(device)?;
        Ok(Self {
            device: device.into(),
            volume,
            editor,
            _lock: lock,
        })
    }

    /// The header as it is now.
    pub fn header(&self) -> Result<CheckedHeader, EnrolmentError> {
        Ok(CheckedHeader::read(&self.device)?)
    }

    /// Adds a record in one write of the header, and reads it back.
    pub fn add(&mut self, token: &Value) -> Result<TokenId, EnrolmentError> {
        let record = EnrolledRecord::from_token(token)?;
        if let Some((what, enrolled, found)) = record.parts().volume.first_difference(&self.volume)
        {
            return Err(EnrolmentError::Record(
                crate::unlock::RecordError::OtherVolume {
                    what,
                    enrolled,
                    found,
                },
            ));
        }
        let id = self.editor.add_token(token)?;
        let written = find_enrolled(&self.header()?)
            .into_iter()
            .find(|(token, _)| *token == id);
        match written {
            Some((_, Ok(_))) => Ok(id),
            Some((_, Err(error))) => Err(self.not_verified(error.to_string())),
            None => Err(self.not_verified("the token is not there".into())),
        }
    }

    /// Refuses records that do not fit beside those that are there.
    pub fn room_for(&self, tokens: &[Value]) -> Result<(), EnrolmentError> {
        let header = self.header()?;
        room::for_all(&header, tokens)
    }

    /// Removes a record in one write of the header, if it is this one still. Its keyslot stays, which others of
    /// the secret have too.
    pub fn remove(&mut self, old: TokenId, record: &EnrolledRecord) -> Result<(), EnrolmentError> {
        let present = find_enrolled(&self.header()?)
            .into_iter()
            .find(|(id, _)| *id == old);
        let is_it = matches!(&present, Some((_, Ok(present))) if present.to_token().ok() == record.to_token().ok());
        if !is_it {
            return Err(self.not_verified(format!("record {old} is not the one that was read")));
        }
        self.editor.remove_token(old)
    }

    /// Adds a signed launch in one write of the header. Whose signature it is and whether a
    /// record is sealed to that key, the caller has checked.
    pub fn approve(&mut self, launch: &ApprovedLaunch) -> Result<TokenId, EnrolmentError> {
        self.editor.add_token(&launch.to_json()?)
    }

    fn not_verified(&self, reason: String) -> EnrolmentError {
        EnrolmentError::NotVerified {
            device: self.device.clone(),
            reason,
        }
    }
}
