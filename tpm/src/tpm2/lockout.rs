//! What the TPM says of its defence against dictionary attacks.

use tss_esapi::{
    constants::{CapabilityType, PropertyTag},
    structures::CapabilityData,
};

use super::{Tpm2, failure::in_command};
use crate::{Lockout, TpmError};

const GET_CAPABILITY: &str = "TPM2_GetCapability";
/// TPMA_PERMANENT, inLockout (TPM 2.0 Library, Part 2, 8.6).
const IN_LOCKOUT: u32 = 1 << 9;

impl Tpm2 {
    /// For words only: nothing is decided on it, so that the answers need no HMAC.
    pub(super) fn read_lockout(&mut self) -> Result<Lockout, TpmError> {
        Ok(Lockout {
            locked: self.variable(PropertyTag::Permanent)? & IN_LOCKOUT != 0,
            failed: self.variable(PropertyTag::LockoutCounter)?,
            most: self.variable(PropertyTag::MaxAuthFail)?,
            interval: self.variable(PropertyTag::LockoutInterval)?,
        })
    }

    /// A property that changes: the library's own `get_tpm_property` remembers the first answer.
    fn variable(&mut self, property: PropertyTag) -> Result<u32, TpmError> {
        let (data, _more) = self
            .context
            .get_capability(CapabilityType::TpmProperties, property.into(), 1)
            .map_err(in_command(GET_CAPABILITY))?;
        let value = match &data {
            CapabilityData::TpmProperties(list) => list.find(property),
            _ => None,
        };
        value
            .map(|value| value.value())
            .ok_or_else(|| TpmError::BadAnswer {
                command: GET_CAPABILITY,
                reason: format!("it has no {property:?}"),
            })
    }
}
