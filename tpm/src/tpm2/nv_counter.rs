//! NV counters: 64 bits that only go up, whatever is done to the disk (Part 1, 37.2.4).
//!
//! A new counter begins where the highest one that the TPM ever had ended: to delete and define it
//! again does not set it back.

use tss_esapi::interface_types::reserved_handles::NvAuth as Authorizer;

use super::{Tpm2, failure::in_command, session::Encrypted};
use crate::{
    TpmError,
    approval::COUNTER_ATTRIBUTES,
    nv::{NvAttributes, NvAuth, NvPublic},
};

const INCREMENT: &str = "TPM2_NV_Increment";
/// TPM_NT_COUNTER in the type bits.
const COUNTER: u32 = 1 << 4;
/// Read and incremented with the index's own, empty password: who may use the TPM at all may do
/// that. It can only go up.
const ATTRIBUTES: u32 = COUNTER
    | NvAttributes::AUTH_READ
    | NvAttributes::AUTH_WRITE
    | NvAttributes::OWNER_READ
    | NvAttributes::NO_DA;

impl Tpm2 {
    /// Defines a counter, as the owner without password, and counts once: until then it has no value.
    ///
    /// # Errors
    /// As [`Tpm2::nv_define`]; [`TpmError::WrongPassword`] when the owner has a password.
    pub fn counter_create(&mut self, index: u32) -> Result<u64, TpmError> {
        self.nv_define(&NvPublic::new(index, NvAttributes(ATTRIBUTES), 8), b"")?;
        self.counter_increment(index)
    }

    /// Defines the rollback counter of [`crate::CounterLimit`] as the owner with this password, and
    /// counts once: until then it has no value.
    ///
    /// # Errors
    /// As [`Tpm2::nv_define`].
    pub fn rollback_counter_create(&mut self, index: u32, owner: &[u8]) -> Result<u64, TpmError> {
        let public = NvPublic::new(index, NvAttributes(COUNTER_ATTRIBUTES), 8);
        self.nv_define(&public, owner)?;
        self.rollback_counter_raise(index, owner)
    }

    /// The rollback counter's value; `None` when there is none at that index.
    ///
    /// # Errors
    /// [`TpmError::BadParameter`] when the index is something else, with which
    /// TPM2_PolicyNV would fail; or what the TPM says.
    pub fn rollback_counter_value(&mut self, index: u32) -> Result<Option<u64>, TpmError> {
        if let Some(public) = self.nv_public(index)? {
            let expected = COUNTER_ATTRIBUTES | NvAttributes::WRITTEN;
            let ours = public.attributes.0 == expected
                && public.name_algorithm == 0x0b
                && public.policy.is_empty()
                && public.size == 8;
            if !ours {
                return Err(TpmError::BadParameter(format!(
                    "NV index {index:#x} is not taoboot's rollback counter: its attributes are {:#x}, expected {expected:#x}",
                    public.attributes.0
                )));
            }
        }
        self.counter_value(index)
    }

    /// Adds one to the rollback counter, for good, and gives the new value.
    ///
    /// # Errors
    /// [`TpmError::WrongPassword`], or what the TPM says.
    pub fn rollback_counter_raise(&mut self, index: u32, owner: &[u8]) -> Result<u64, TpmError> {
        let (handle, _) = self.nv_existing(index)?;
        let done = self.as_owner(owner, Encrypted::Nothing, |context| {
            context
                .nv_increment(Authorizer::Owner, handle)
                .map_err(in_command(INCREMENT))
        });
        self.then_close(handle, done)?;
        self.counter_value(index)?
            .ok_or_else(|| TpmError::BadAnswer {
                command: INCREMENT,
                reason: "the counter has no value afterwards".to_owned(),
            })
    }

    /// A counter's value; `None` when there is none at that index, or it never counted.
    ///
    /// # Errors
    /// [`TpmError::BadParameter`] when the index is something else than a counter, or what the TPM says.
    pub fn counter_value(&mut self, index: u32) -> Result<Option<u64>, TpmError> {
        let Some(public) = self.nv_public(index)? else {
            return Ok(None);
        };
        if public.attributes.0 & NvAttributes::TYPE != COUNTER {
            return Err(TpmError::BadParameter(format!(
                "NV index {index:#x} is not a counter"
            )));
        }
        match self.nv_read(index, NvAuth::Index)? {
            None => Ok(None),
            Some(data) => match <[u8; 8]>::try_from(data) {
                Ok(bytes) => Ok(Some(u64::from_be_bytes(bytes))),
                Err(data) => Err(TpmError::BadAnswer {
                    command: "TPM2_NV_Read",
                    reason: format!("a counter of {} bytes", data.len()),
                }),
            },
        }
    }

    /// Adds one and gives the new value.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn counter_increment(&mut self, index: u32) -> Result<u64, TpmError> {
        let (handle, _) = self.nv_existing(index)?;
        let done = self
            .with_password(|context| context.nv_increment(Authorizer::NvIndex(handle), handle))
            .map_err(in_command(INCREMENT));
        self.then_close(handle, done.map_err(TpmError::from))?;
        self.counter_value(index)?
            .ok_or_else(|| TpmError::BadAnswer {
                command: INCREMENT,
                reason: "the counter has no value afterwards".to_owned(),
            })
    }
}
