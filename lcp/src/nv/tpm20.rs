//! NV storage of a TPM 2.0.

use tpm::{
    Tpm2, TpmError,
    family::Family,
    nv::{NvAttributes, NvAuth, NvPublic},
    write_lock,
};

use super::storage::{Definition, Index, NvError, NvStorage, Owner, OwnerState, State, Tries};

/// TPM_RC_LOCKOUT.
const LOCKOUT: u32 = 0x921;

/// A TPM 2.0 through tpm2-tss.
pub struct Storage20 {
    tcti: String,
    /// Open until somebody else must talk to the TPM.
    tpm: Option<Tpm2>,
}

impl Storage20 {
    /// Opens the TPM at `device:PATH`, `swtpm:host=H,port=N` or `mssim:host=H,port=N`.
    ///
    /// # Errors
    /// What [`Tpm2::open`] says.
    pub fn open(tcti: &str) -> Result<Self, NvError> {
        let mut storage = Self {
            tcti: tcti.to_owned(),
            tpm: None,
        };
        storage.tpm()?;
        Ok(storage)
    }

    fn tpm(&mut self) -> Result<&mut Tpm2, NvError> {
        let tpm = match self.tpm.take() {
            Some(tpm) => tpm,
            None => Tpm2::open(&self.tcti).map_err(explained)?,
        };
        Ok(self.tpm.insert(tpm))
    }

    fn tries(&mut self) -> Result<Tries, NvError> {
        let lockout = self.tpm()?.nv_state().map_err(explained)?.lockout;
        Ok(Tries {
            counted: lockout.counter,
            max: lockout.max_tries,
            locked: lockout.locked,
        })
    }

    /// A command of the owner; a wrong password is told with what it did to the lockout.
    fn as_owner<T>(
        &mut self,
        owner: &Owner,
        command: impl FnOnce(&mut Tpm2, &[u8]) -> Result<T, TpmError>,
    ) -> Result<T, NvError> {
        let before = self.tries()?;
        // An owner without a password has the empty one.
        let password = owner.bytes().unwrap_or_default();
        let done = command(self.tpm()?, password);
        self.judged(before, done)
    }

    fn judged<T>(&mut self, before: Tries, done: Result<T, TpmError>) -> Result<T, NvError> {
        match done {
            Err(TpmError::WrongPassword { .. }) => {
                let after = self.tries()?;
                Err(NvError::WrongPassword {
                    tries: Some(after),
                    counted: after.counted > before.counted,
                })
            }
            done => done.map_err(explained),
        }
    }
}

/// What the TPM's refusals mean here.
fn explained(source: TpmError) -> NvError {
    let explanation = match source.code() {
        Some(LOCKOUT) => return NvError::LockedOut,
        Some(0x146) => "the data reaches behind the index's end: ",
        Some(0x148) => "the index is locked: ",
        Some(0x149) => "the owner may not do this to the index: ",
        Some(0x14b) => "the TPM has no room for the index, release one that is not needed: ",
        Some(0x14c) => "the index is defined already: ",
        _ => "",
    };
    NvError::Tpm20 {
        explanation,
        source,
    }
}

fn index(public: &NvPublic) -> Index {
    let attributes = public.attributes;
    Index {
        number: public.index,
        size: public.size.into(),
        attributes: attributes.0 & !NvAttributes::STATE,
        names: NvAttributes::NAMES
            .into_iter()
            .filter(|(bit, _)| attributes.has(*bit))
            .map(|(_, name)| name)
            .collect(),
        localities: None,
        platform: attributes.has(NvAttributes::PP_WRITE | NvAttributes::PLATFORM_CREATE),
        write_locked: attributes.has(NvAttributes::WRITE_LOCKED),
        policy_delete: attributes.has(NvAttributes::POLICY_DELETE),
        owner_read: attributes.has(NvAttributes::OWNER_READ)
            && !attributes.has(NvAttributes::AUTH_READ),
    }
}

impl NvStorage for Storage20 {
    fn family(&self) -> Family {
        Family::Tpm20
    }

    fn state(&mut self) -> Result<State, NvError> {
        let state = self.tpm()?.nv_state().map_err(explained)?;
        let owner = match (state.owner_enabled, state.owner_password) {
            (false, _) => OwnerState::Unusable(
                "the firmware switched the TPM's owner hierarchy off for this boot".to_owned(),
            ),
            (true, true) => OwnerState::Password,
            (true, false) => OwnerState::NoPassword,
        };
        Ok(State {
            owner,
            tries: Some(Tries {
                counted: state.lockout.counter,
                max: state.lockout.max_tries,
                locked: state.lockout.locked,
            }),
            checked: true,
            max_size: state.max_size,
        })
    }

    fn list(&mut self) -> Result<Vec<u32>, NvError> {
        self.tpm()?.nv_list().map_err(explained)
    }

    fn index(&mut self, number: u32) -> Result<Option<Index>, NvError> {
        let public = self.tpm()?.nv_public(number).map_err(explained)?;
        Ok(public.as_ref().map(index))
    }

    fn read(&mut self, index: &Index, owner: Option<&Owner>) -> Result<Option<Vec<u8>>, NvError> {
        let attributes = NvAttributes(index.attributes);
        if attributes.has(NvAttributes::AUTH_READ) {
            let number = index.number;
            return self
                .tpm()?
                .nv_read(number, NvAuth::Index)
                .map_err(explained);
        }
        match owner {
            Some(owner) if attributes.has(NvAttributes::OWNER_READ) => {
                let number = index.number;
                self.as_owner(owner, |tpm, password| {
                    tpm.nv_read(number, NvAuth::Owner(password))
                })
            }
            _ => Err(NvError::Unreadable {
                number: index.number,
                attributes: index.names.join(", "),
            }),
        }
    }

    fn define(&mut self, definition: &Definition, owner: &Owner) -> Result<(), NvError> {
        let public = NvPublic::new(
            definition.number,
            NvAttributes(definition.attributes),
            definition.size,
        );
        self.as_owner(owner, |tpm, password| tpm.nv_define(&public, password))
    }

    fn release(&mut self, number: u32, owner: &Owner) -> Result<(), NvError> {
        self.as_owner(owner, |tpm, password| tpm.nv_undefine(number, password))
    }

    fn write(&mut self, number: u32, data: &[u8], owner: &Owner) -> Result<(), NvError> {
        self.as_owner(owner, |tpm, password| {
            tpm.nv_write(number, data, NvAuth::Owner(password))
        })
    }

    fn lock_index(&mut self, index: &Index, owner: &Owner) -> Result<(), NvError> {
        let lockable = NvAttributes::WRITE_DEFINE | NvAttributes::WRITE_ST_CLEAR;
        let number = index.number;
        if !NvAttributes(index.attributes).has(lockable) {
            return Err(NvError::Refused(format!(
                "NV index {number:#x} cannot be locked: it has neither writedefine nor \
                 write_stclear ({})",
                index.names.join(", ")
            )));
        }
        let before = self.tries()?;
        // It has a connection of its own, and a simulator takes one at a time.
        self.tpm = None;
        // As above: an owner without a password has the empty one.
        let password = owner.bytes().unwrap_or_default();
        let done = write_lock::nv_write_lock(&self.tcti, number, password);
        self.judged(before, done)
    }

    fn lock_storage(&mut self) -> Result<bool, NvError> {
        Ok(false)
    }
}
