//! NV storage of a TPM 1.2.

use tpm::{
    family::Family,
    tpm12::{Attributes, NvAuth, NvPublic, PcrInfoShort, ReturnCode, Secret, Tpm12, Tpm12Error},
};

use super::storage::{Definition, Index, NvError, NvStorage, Owner, OwnerState, State, Tries};

/// A TPM 1.2 through its own client.
pub struct Storage12(Tpm12);

impl Storage12 {
    /// Over an open TPM.
    pub const fn new(tpm: Tpm12) -> Self {
        Self(tpm)
    }

    /// The TPM's defence against wrong passwords; many a TPM keeps it to itself.
    fn tries(&mut self) -> Result<Option<Tries>, NvError> {
        match self.0.dictionary_attack() {
            Ok(defence) => Ok(Some(Tries {
                counted: defence.count.into(),
                max: defence.threshold.into(),
                locked: defence.active,
            })),
            // Refused, or an answer of the limited kind: it does not tell.
            Err(Tpm12Error::Refused { .. } | Tpm12Error::BadAnswer { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn as_owner<T>(
        &mut self,
        owner: &Owner,
        command: impl FnOnce(&mut Tpm12, &Secret) -> Result<T, Tpm12Error>,
    ) -> Result<T, NvError> {
        let secret = match owner.bytes() {
            Some(password) => Secret::from_password(password),
            None => Secret::well_known(),
        };
        command(&mut self.0, &secret).or_else(|error| match error.code() {
            Some(ReturnCode::AUTH_FAIL) => Err(NvError::WrongPassword {
                tries: self.tries()?,
                counted: true,
            }),
            Some(ReturnCode::DEFEND_LOCK_RUNNING) => Err(NvError::LockedOut),
            _ => Err(error.into()),
        })
    }
}

fn index(public: &NvPublic) -> Index {
    let attributes = public.attributes;
    let mut names: Vec<_> = Attributes::NAMES
        .into_iter()
        .filter(|(bit, _)| attributes.has(*bit))
        .map(|(_, name)| name)
        .collect();
    if public.is_write_locked() {
        names.push("locked");
    }
    Index {
        number: public.index,
        size: public.size,
        attributes: attributes.0,
        names,
        localities: Some([public.read.localities, public.write.localities]),
        platform: attributes.has(Attributes::PP_WRITE),
        write_locked: public.is_write_locked(),
        policy_delete: false,
        owner_read: attributes.has(Attributes::OWNER_READ),
    }
}

impl NvStorage for Storage12 {
    fn family(&self) -> Family {
        Family::Tpm12
    }

    fn state(&mut self) -> Result<State, NvError> {
        let flags = self.0.permanent_flags()?;
        let owner = if flags.disabled || flags.deactivated {
            OwnerState::Unusable(
                "the TPM is disabled or deactivated: switch it on in the firmware's setup"
                    .to_owned(),
            )
        } else if self.0.has_owner()? {
            OwnerState::Password
        } else {
            OwnerState::Unusable(
                "the TPM has no owner: take ownership first, and leave the storage root key's \
                 password at the well-known secret (tboot seals under it)"
                    .to_owned(),
            )
        };
        let max_size = match self.0.nv_available() {
            Ok(size) => size,
            // Not every TPM has this property.
            Err(Tpm12Error::Refused { .. }) => u32::MAX,
            Err(error) => return Err(error.into()),
        };
        Ok(State {
            owner,
            tries: self.tries()?,
            checked: flags.nv_locked,
            max_size,
        })
    }

    fn list(&mut self) -> Result<Vec<u32>, NvError> {
        let mut list = self.0.nv_list()?;
        list.sort_unstable();
        Ok(list)
    }

    fn index(&mut self, number: u32) -> Result<Option<Index>, NvError> {
        Ok(self.0.nv_public(number)?.as_ref().map(index))
    }

    fn read(&mut self, index: &Index, owner: Option<&Owner>) -> Result<Option<Vec<u8>>, NvError> {
        let (number, size) = (index.number, index.size);
        let attributes = Attributes(index.attributes);
        let unreadable = || NvError::Unreadable {
            number,
            attributes: index.names.join(", "),
        };
        if attributes.has(Attributes::AUTH_READ | Attributes::PP_READ) {
            return Err(unreadable());
        }
        let data = if attributes.has(Attributes::OWNER_READ) {
            self.as_owner(owner.ok_or_else(unreadable)?, |tpm, secret| {
                tpm.nv_read(number, 0, size, NvAuth::Owner(secret))
            })?
        } else {
            self.0.nv_read(number, 0, size, NvAuth::None)?
        };
        Ok(Some(data))
    }

    fn define(&mut self, definition: &Definition, owner: &Owner) -> Result<(), NvError> {
        let mut public = NvPublic::new(
            definition.number,
            Attributes(definition.attributes),
            definition.size.into(),
        );
        public.read = PcrInfoShort::localities(definition.localities);
        public.write = PcrInfoShort::localities(definition.localities);
        self.as_owner(owner, |tpm, secret| {
            tpm.nv_define(&public, Some(secret), &Secret::well_known())
        })
    }

    fn release(&mut self, number: u32, owner: &Owner) -> Result<(), NvError> {
        self.as_owner(owner, |tpm, secret| tpm.nv_release(number, Some(secret)))
    }

    fn write(&mut self, number: u32, data: &[u8], owner: &Owner) -> Result<(), NvError> {
        self.as_owner(owner, |tpm, secret| {
            tpm.nv_write(number, 0, data, NvAuth::Owner(secret))
        })
    }

    fn lock_index(&mut self, index: &Index, owner: &Owner) -> Result<(), NvError> {
        let lockable = Attributes::WRITE_DEFINE | Attributes::WRITE_ST_CLEAR;
        let number = index.number;
        if !Attributes(index.attributes).has(lockable) {
            return Err(NvError::Refused(format!(
                "NV index {number:#x} cannot be locked: it has neither WRITEDEFINE nor \
                 WRITE_STCLEAR ({})",
                index.names.join(", ")
            )));
        }
        if Attributes(index.attributes).has(Attributes::OWNER_WRITE) {
            return self.as_owner(owner, |tpm, secret| {
                tpm.nv_write(number, 0, &[], NvAuth::Owner(secret))
            });
        }
        Ok(self.0.nv_write(number, 0, &[], NvAuth::None)?)
    }

    fn lock_storage(&mut self) -> Result<bool, NvError> {
        if self.0.permanent_flags()?.nv_locked {
            return Ok(false);
        }
        self.0.nv_lock()?;
        Ok(true)
    }
}
