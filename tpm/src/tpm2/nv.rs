//! NV indices: list, show, define, undefine, write, read.

use tss_esapi::{
    attributes::NvIndexAttributes,
    constants::{CapabilityType, PropertyTag},
    handles::{NvIndexHandle, NvIndexTpmHandle, ObjectHandle, TpmHandle},
    interface_types::{
        algorithm::HashingAlgorithm,
        reserved_handles::{NvAuth as Authorizer, Provision},
    },
    structures::{CapabilityData, MaxNvBuffer, NvPublic as TssPublic},
};

use super::{Tpm2, failure::in_command, session::Encrypted};
use crate::{
    TpmError,
    nv::{Lockout, NvAttributes, NvAuth, NvPublic, NvState},
};

const READ_PUBLIC: &str = "TPM2_NV_ReadPublic";
const DEFINE: &str = "TPM2_NV_DefineSpace";
const UNDEFINE: &str = "TPM2_NV_UndefineSpace";
const WRITE: &str = "TPM2_NV_Write";
const READ: &str = "TPM2_NV_Read";
const GET_CAPABILITY: &str = "TPM2_GetCapability";

/// First handle of an NV index.
const FIRST: u32 = 0x0100_0000;
/// Most indices in one answer; a longer list is asked for in parts.
const LIST_PART: u32 = 64;
/// Most indices that are listed at all; a TPM has room for some tens.
const MAX_LISTED: usize = 4096;
/// Smallest chunk that every TPM takes in one read or write, in bytes.
const MIN_CHUNK: u32 = 64;

impl Tpm2 {
    /// The indices that are defined, in ascending order.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn nv_list(&mut self) -> Result<Vec<u32>, TpmError> {
        let mut list: Vec<u32> = Vec::new();
        let mut first = FIRST;
        loop {
            let (data, more) = self
                .context
                .get_capability(CapabilityType::Handles, first, LIST_PART)
                .map_err(in_command(GET_CAPABILITY))?;
            let CapabilityData::Handles(handles) = data else {
                return Err(bad_answer(GET_CAPABILITY, "it is not a list of handles"));
            };
            let before = list.len();
            for handle in handles.into_inner() {
                let handle = u32::from(handle);
                if handle < first || list.last().is_some_and(|last| handle <= *last) {
                    return Err(bad_answer(GET_CAPABILITY, "the handles are out of order"));
                }
                list.push(handle);
            }
            match list.last() {
                Some(last) if more && list.len() > before && list.len() < MAX_LISTED => {
                    first = last.saturating_add(1);
                }
                _ => return Ok(list),
            }
        }
    }

    /// What an index is; `None` when it is not defined.
    ///
    /// # Errors
    /// [`TpmError::BadParameter`] when the number is none of an index, or what the TPM says.
    pub fn nv_public(&mut self, index: u32) -> Result<Option<NvPublic>, TpmError> {
        match self.nv_opened(index)? {
            None => Ok(None),
            Some((handle, public)) => {
                self.close(handle.into())?;
                Ok(Some(public))
            }
        }
    }

    /// Defines an index for the owner.
    ///
    /// # Errors
    /// [`TpmError::WrongPassword`] for the owner's, or what the TPM says (0x14b: no room, 0x14c:
    /// it exists, 0x2d5 and similar: larger than the TPM allows).
    pub fn nv_define(&mut self, public: &NvPublic, owner: &[u8]) -> Result<(), TpmError> {
        let template = TssPublic::builder()
            .with_nv_index(nv_handle(public.index)?)
            .with_index_name_algorithm(HashingAlgorithm::Sha256)
            .with_index_attributes(
                NvIndexAttributes::try_from(public.attributes.0).map_err(in_command(DEFINE))?,
            )
            .with_data_area_size(public.size.into())
            .build()
            .map_err(in_command(DEFINE))?;
        let handle = self.as_owner(owner, Encrypted::Command, |context| {
            context
                .nv_define_space(Provision::Owner, None, template)
                .map_err(in_command(DEFINE))
        })?;
        self.close(handle.into())
    }

    /// Deletes an index and its data.
    ///
    /// # Errors
    /// [`TpmError::WrongPassword`] for the owner's, or what the TPM says (0x149: only the
    /// platform may delete it).
    pub fn nv_undefine(&mut self, index: u32, owner: &[u8]) -> Result<(), TpmError> {
        let (handle, _) = self.nv_existing(index)?;
        let done = self.as_owner(owner, Encrypted::Nothing, |context| {
            context
                .nv_undefine_space(Provision::Owner, handle)
                .map_err(in_command(UNDEFINE))
        });
        if done.is_err() {
            self.close(handle.into())?;
        }
        done
    }

    /// Writes `data` to the begin of an index; what is behind it stays (0xff if never written).
    ///
    /// # Errors
    /// [`TpmError::WrongPassword`] for the owner's, or what the TPM says (0x146: too long, 0x148:
    /// locked, 0x149: this authorization does not do).
    pub fn nv_write(&mut self, index: u32, data: &[u8], auth: NvAuth<'_>) -> Result<(), TpmError> {
        let chunk = self.nv_chunk()?;
        let (handle, _) = self.nv_existing(index)?;
        let done = data
            .chunks(chunk)
            .enumerate()
            .try_for_each(|(number, part)| {
                let offset = u16::try_from(number.saturating_mul(chunk)).map_err(|_| {
                    TpmError::BadParameter("no index has more than 65535 bytes".into())
                })?;
                let buffer = MaxNvBuffer::try_from(part.to_vec()).map_err(in_command(WRITE))?;
                match auth {
                    NvAuth::Owner(password) => {
                        self.as_owner(password, Encrypted::Command, |context| {
                            context
                                .nv_write(Authorizer::Owner, handle, buffer, offset)
                                .map_err(in_command(WRITE))
                        })
                    }
                    NvAuth::Index => Ok(self
                        .with_password(|context| {
                            context.nv_write(Authorizer::NvIndex(handle), handle, buffer, offset)
                        })
                        .map_err(in_command(WRITE))?),
                }
            });
        self.then_close(handle, done)
    }

    /// Reads an index as a whole; `None` when it was never written.
    ///
    /// # Errors
    /// As [`Tpm2::nv_write`].
    pub fn nv_read(&mut self, index: u32, auth: NvAuth<'_>) -> Result<Option<Vec<u8>>, TpmError> {
        let chunk = self.nv_chunk()?;
        let (handle, public) = self.nv_existing(index)?;
        if !public.attributes.has(NvAttributes::WRITTEN) {
            return self.then_close(handle, Ok(None));
        }
        let size = usize::from(public.size);
        let mut data = Vec::with_capacity(size);
        let mut read = || {
            while data.len() < size {
                let length =
                    u16::try_from(chunk.min(size.saturating_sub(data.len()))).unwrap_or(u16::MAX);
                let offset = u16::try_from(data.len()).unwrap_or(u16::MAX);
                let part = match auth {
                    NvAuth::Owner(password) => {
                        self.as_owner(password, Encrypted::Response, |context| {
                            context
                                .nv_read(Authorizer::Owner, handle, length, offset)
                                .map_err(in_command(READ))
                        })?
                    }
                    NvAuth::Index => self
                        .with_password(|context| {
                            context.nv_read(Authorizer::NvIndex(handle), handle, length, offset)
                        })
                        .map_err(in_command(READ))?,
                };
                if part.len() != usize::from(length) {
                    return Err(bad_answer(
                        READ,
                        &format!(
                            "{} bytes were returned, {length} were requested",
                            part.len()
                        ),
                    ));
                }
                data.extend_from_slice(&part);
            }
            Ok(())
        };
        let done = read();
        self.then_close(handle, done.map(|()| Some(data)))
    }

    /// Owner's password, lockout and sizes.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn nv_state(&mut self) -> Result<NvState, TpmError> {
        /// TPMA_PERMANENT: ownerAuthSet and inLockout.
        const OWNER_AUTH_SET: u32 = 1;
        const IN_LOCKOUT: u32 = 1 << 9;
        /// TPMA_STARTUP_CLEAR: shEnable.
        const OWNER_ENABLED: u32 = 1 << 1;
        let permanent = self.tpm_property(PropertyTag::Permanent)?;
        let startup = self.tpm_property(PropertyTag::StartupClear)?;
        Ok(NvState {
            owner_password: permanent & OWNER_AUTH_SET != 0,
            owner_enabled: startup & OWNER_ENABLED != 0,
            lockout: Lockout {
                counter: self.tpm_property(PropertyTag::LockoutCounter)?,
                max_tries: self.tpm_property(PropertyTag::MaxAuthFail)?,
                interval: self.tpm_property(PropertyTag::LockoutInterval)?,
                locked: permanent & IN_LOCKOUT != 0,
            },
            max_size: self.tpm_property(PropertyTag::NvIndexMax)?,
        })
    }

    fn tpm_property(&mut self, property: PropertyTag) -> Result<u32, TpmError> {
        self.context
            .get_tpm_property(property)
            .map_err(in_command(GET_CAPABILITY))?
            .ok_or_else(|| bad_answer(GET_CAPABILITY, "the property is missing"))
    }

    fn nv_chunk(&mut self) -> Result<usize, TpmError> {
        let most = self.tpm_property(PropertyTag::NvBufferMax)?;
        let library = u32::try_from(MaxNvBuffer::MAX_SIZE).unwrap_or(u32::MAX);
        usize::try_from(most.clamp(MIN_CHUNK, library))
            .map_err(|error| bad_answer(GET_CAPABILITY, &error.to_string()))
    }

    pub(super) fn nv_existing(
        &mut self,
        index: u32,
    ) -> Result<(NvIndexHandle, NvPublic), TpmError> {
        self.nv_opened(index)?
            .ok_or_else(|| TpmError::BadParameter(format!("NV index {index:#x} is not defined")))
    }

    /// The library's handle of an index, and what the index is.
    fn nv_opened(&mut self, index: u32) -> Result<Option<(NvIndexHandle, NvPublic)>, TpmError> {
        let place = TpmHandle::NvIndex(nv_handle(index)?);
        let object = match self.context.tr_from_tpm_public(place) {
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
        let handle = NvIndexHandle::from(object);
        match self.nv_checked_public(index, handle) {
            Ok(public) => Ok(Some((handle, public))),
            Err(error) => {
                self.close(object)?;
                Err(error)
            }
        }
    }

    fn nv_checked_public(
        &mut self,
        index: u32,
        handle: NvIndexHandle,
    ) -> Result<NvPublic, TpmError> {
        let (public, _name) = self
            .context
            .nv_read_public(handle)
            .map_err(in_command(READ_PUBLIC))?;
        let found = u32::from(public.nv_index());
        if found != index {
            return Err(bad_answer(
                READ_PUBLIC,
                &format!("it describes index {found:#x}, but {index:#x} was requested"),
            ));
        }
        let size = u16::try_from(public.data_size())
            .map_err(|error| bad_answer(READ_PUBLIC, &error.to_string()))?;
        let attributes = u32::try_from(public.attributes()).map_err(in_command(READ_PUBLIC))?;
        Ok(NvPublic {
            index,
            attributes: NvAttributes(attributes),
            size,
            name_algorithm: public.name_algorithm().into(),
            policy: public.authorization_policy().to_vec(),
        })
    }

    pub(super) fn then_close<T>(
        &mut self,
        handle: NvIndexHandle,
        done: Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let closed = self.close(ObjectHandle::from(handle));
        // The first error is the one to tell.
        let value = done?;
        closed?;
        Ok(value)
    }
}

fn nv_handle(index: u32) -> Result<NvIndexTpmHandle, TpmError> {
    NvIndexTpmHandle::new(index).map_err(|_| {
        TpmError::BadParameter(format!(
            "{index:#x} is not an NV index of a TPM 2.0: 0x1000000 to 0x1ffffff"
        ))
    })
}

fn bad_answer(command: &'static str, reason: &str) -> TpmError {
    TpmError::BadAnswer {
        command,
        reason: reason.to_owned(),
    }
}
