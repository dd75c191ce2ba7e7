//! Under which storage key is sealed. Who answers on the TPM's bus with a key of his own would be sent the
//! boot secret, or that by which the PIN can be guessed; so another key than the known one is sent nothing.

use tpm::{Name, Tpm, TpmError};

use crate::unlock::record::EnrolledRecord;

/// The storage key that a new record is sealed under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parent {
    /// This one: the images' configuration pins it.
    Pinned(Name),
    /// One that a genuine record is sealed under. Where there is none, this one; the first enrolment, where
    /// nothing is pinned, takes whatever is there.
    OfRecords(Option<Name>),
    /// Whatever is there: the administrator says that the TPM is another one.
    Present,
}

impl Parent {
    /// Its name, where it is known. Records may be of several TPMs, where one was exchanged.
    pub(super) fn known<'r>(
        &self,
        tpm: &mut dyn Tpm,
        records: impl IntoIterator<Item = &'r EnrolledRecord>,
    ) -> Result<Option<Name>, TpmError> {
        match self {
            Self::Pinned(name) => Ok(Some(name.clone())),
            Self::Present => Ok(None),
            Self::OfRecords(pinned) => {
                let names: Vec<&Name> = records
                    .into_iter()
                    .map(|record| &record.parts().sealed.parent)
                    .collect();
                let Some(first) = names.first() else {
                    return Ok(pinned.clone());
                };
                // Only a choice among those that are known: the TPM has to prove it.
                let shown = tpm.srk()?.name;
                let chosen = names.iter().find(|name| ***name == shown).unwrap_or(first);
                Ok(Some((*chosen).clone()))
            }
        }
    }
}
