//! The storage root key: found at its reserved handle, or derived from the owner seed.
//!
//! Derived is the ECC P-256 template of the TCG's Provisioning Guidance (7.5.1, from template
//! L-2 of the EK Credential Profile) with an empty `unique` field, not one of 32 zero bytes:
//! so do tpm2-tools (`tpm2_createprimary -G ecc`) and systemd, and so the key is the same as
//! theirs.

use tss_esapi::{
    handles::{KeyHandle, ObjectHandle, PersistentTpmHandle, TpmHandle},
    interface_types::{
        algorithm::HashingAlgorithm,
        data_handles::Persistent,
        reserved_handles::{Hierarchy, Provision},
    },
    structures::Public,
};

use super::{
    Tpm2,
    failure::{Failure, in_command},
    saved_key::SavedKey,
    srk_template::{is_storage_key, name_of, srk_template},
};
use crate::{Name, Srk, TpmError};

/// The handle reserved for the storage root key (TCG registry of reserved handles).
pub(super) const SRK_HANDLE: u32 = 0x8100_0001;

const READ_PUBLIC: &str = "TPM2_ReadPublic";
const CREATE_PRIMARY: &str = "TPM2_CreatePrimary";
const EVICT_CONTROL: &str = "TPM2_EvictControl";

/// A storage root key in use.
pub(super) struct StorageKey {
    pub(super) handle: KeyHandle,
    pub(super) name: Name,
    persistent: Option<u32>,
}

impl Tpm2 {
    /// Name and place of the storage root key.
    pub(super) fn describe_srk(&mut self) -> Result<Srk, TpmError> {
        self.with_srk(|_, key| {
            Ok(Srk {
                name: key.name.clone(),
                persistent: key.persistent,
            })
        })
    }

    /// Makes the derived storage root key persistent at 0x81000001, so that a boot can read it
    /// instead of deriving it. Does nothing when that very key is there already.
    ///
    /// # Errors
    /// [`TpmError::HierarchyPassword`] when the owner hierarchy has a password,
    /// [`TpmError::BadParameter`] when another object occupies the handle.
    pub fn persist_srk(&mut self) -> Result<Srk, TpmError> {
        let present = match self.persistent_object()? {
            Some((object, public)) => {
                self.close(object)?;
                Some(name_of(&public, READ_PUBLIC)?)
            }
            None => None,
        };
        let key = self.derive_srk()?;
        let srk = Srk {
            name: key.name.clone(),
            persistent: Some(SRK_HANDLE),
        };
        self.then_flush(key.handle.into(), |tpm| match present {
            Some(name) if name == srk.name => Ok(srk),
            Some(name) => Err(TpmError::BadParameter(format!(
                "another object ({name}) occupies handle 0x{SRK_HANDLE:x} of the TPM; the storage \
                 root key is left unpersisted: evict that object first, if nothing needs it"
            ))),
            None => {
                let place =
                    PersistentTpmHandle::new(SRK_HANDLE).map_err(in_command(EVICT_CONTROL))?;
                let persistent = tpm
                    .with_password(|context| {
                        context.evict_control(
                            Provision::Owner,
                            key.handle.into(),
                            Persistent::Persistent(place),
                        )
                    })
                    .map_err(in_command(EVICT_CONTROL))
                    .map_err(owner_password)?;
                tpm.close(persistent)?;
                Ok(srk)
            }
        })
    }

    /// Runs `work` with the storage root key: the persistent one if it is usable.
    pub(super) fn with_srk<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &StorageKey) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let key = match self.persistent_srk()? {
            Some(key) => key,
            None => self.derive_srk()?,
        };
        self.use_then_release(key, work)
    }

    /// Runs `work` with the storage root key of this very name, wherever it is.
    pub(super) fn with_srk_named<T>(
        &mut self,
        name: &Name,
        work: impl FnOnce(&mut Self, &StorageKey) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        if let Some(key) = self.persistent_srk()? {
            if key.name == *name {
                return self.use_then_release(key, work);
            }
            self.use_then_release(key, |_, _| Ok(()))?;
        }
        let derived = self.derive_srk()?;
        self.use_then_release(derived, |tpm, key| {
            if key.name != *name {
                return Err(TpmError::WrongSrk {
                    expected: name.clone(),
                    found: key.name.clone(),
                });
            }
            work(tpm, key)
        })
    }

    fn use_then_release<T>(
        &mut self,
        key: StorageKey,
        work: impl FnOnce(&mut Self, &StorageKey) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        if key.persistent.is_none() {
            return self.then_flush(key.handle.into(), |tpm| work(tpm, &key));
        }
        let done = work(self, &key);
        // The first error is the one to tell.
        let closed = self.close(key.handle.into());
        let value = done?;
        closed?;
        Ok(value)
    }

    /// The key at the reserved handle, if it is one that can be a parent here: restricted
    /// decryption key, made in this TPM, usable with a password.
    fn persistent_srk(&mut self) -> Result<Option<StorageKey>, TpmError> {
        let Some((object, public)) = self.persistent_object()? else {
            return Ok(None);
        };
        if !is_storage_key(&public) {
            self.close(object)?;
            return Ok(None);
        }
        let name = name_of(&public, READ_PUBLIC)?;
        Ok(Some(StorageKey {
            handle: object.into(),
            name,
            persistent: Some(SRK_HANDLE),
        }))
    }

    /// What is at the reserved handle, if anything, with its public area.
    ///
    /// The library keeps the public area of its first TPM2_ReadPublic to itself, and does not
    /// compare it with the name: so it is read again here. Both must show the same name.
    fn persistent_object(&mut self) -> Result<Option<(ObjectHandle, Public)>, TpmError> {
        let place = PersistentTpmHandle::new(SRK_HANDLE).map_err(in_command(READ_PUBLIC))?;
        let object = match self
            .context
            .tr_from_tpm_public(TpmHandle::Persistent(place))
        {
            Ok(object) => object,
            Err(error) => {
                let failure = in_command(READ_PUBLIC)(error);
                return if failure.is_missing_handle() {
                    Ok(None)
                } else {
                    Err(failure.into())
                };
            }
        };
        match self.checked_public(object) {
            Ok(public) => Ok(Some((object, public))),
            Err(error) => {
                self.close(object)?;
                Err(error)
            }
        }
    }

    fn checked_public(&mut self, object: ObjectHandle) -> Result<Public, TpmError> {
        let (public, claimed, _qualified) = self
            .context
            .read_public(object.into())
            .map_err(in_command(READ_PUBLIC))?;
        let in_library = self
            .context
            .tr_get_name(object)
            .map_err(in_command(READ_PUBLIC))?;
        // A key with another name algorithm is not one of ours, and not checked further.
        if public.name_hashing_algorithm() == HashingAlgorithm::Sha256 {
            let name = name_of(&public, READ_PUBLIC)?;
            if claimed.value() != name.as_bytes() || in_library.value() != name.as_bytes() {
                return Err(TpmError::BadAnswer {
                    command: READ_PUBLIC,
                    reason: format!("the key shown has the name {name}, but another is claimed"),
                });
            }
        }
        Ok(public)
    }

    fn derive_srk(&mut self) -> Result<StorageKey, TpmError> {
        if let Some(saved) = self.saved_srk.take() {
            // After a reset or a clear of the TPM it is not taken any more: then it is made anew.
            if let Ok(object) = self.context.context_load(saved.context.clone()) {
                let key = StorageKey {
                    handle: object.into(),
                    name: saved.name.clone(),
                    persistent: None,
                };
                self.saved_srk = Some(saved);
                return Ok(key);
            }
        }
        let key = self.make_srk()?;
        // What cannot be saved is derived again the next time.
        self.saved_srk = self
            .context
            .context_save(key.handle.into())
            .ok()
            .map(|context| SavedKey {
                context,
                name: key.name.clone(),
            });
        Ok(key)
    }

    fn make_srk(&mut self) -> Result<StorageKey, TpmError> {
        let template = srk_template().map_err(in_command(CREATE_PRIMARY))?;
        let (handle, public) = self.create_primary(Hierarchy::Owner, template)?;
        match name_of(&public, CREATE_PRIMARY) {
            Ok(name) => Ok(StorageKey {
                handle,
                name,
                persistent: None,
            }),
            Err(error) => self.then_flush(handle.into(), |_| Err(error)),
        }
    }

    /// TPM2_CreatePrimary in a hierarchy without password. The caller flushes the key.
    pub(super) fn create_primary(
        &mut self,
        hierarchy: Hierarchy,
        template: Public,
    ) -> Result<(KeyHandle, Public), TpmError> {
        let made = self
            .with_password(|tpm| tpm.create_primary(hierarchy, template, None, None, None, None))
            .map_err(in_command(CREATE_PRIMARY))
            .map_err(|failure| match hierarchy {
                Hierarchy::Endorsement => wrong_auth(failure, "endorsement"),
                _ => owner_password(failure),
            })?;
        Ok((made.key_handle, made.out_public))
    }

    /// Forgets a persistent object in the library; the TPM is not asked.
    pub(super) fn close(&mut self, mut object: ObjectHandle) -> Result<(), TpmError> {
        Ok(self
            .context
            .tr_close(&mut object)
            .map_err(in_command("closing a handle"))?)
    }
}

fn owner_password(failure: Failure) -> TpmError {
    wrong_auth(failure, "owner")
}

fn wrong_auth(failure: Failure, hierarchy: &'static str) -> TpmError {
    if failure.is_wrong_auth() {
        TpmError::HierarchyPassword {
            hierarchy,
            code: failure.code,
        }
    } else {
        failure.into()
    }
}
