//! Where the policy goes: the owner's NV index.

use super::{NvSpec, SpecError, TpmVersion};

/// Attributes of the owner's policy index on TPM 2.0: ownerwrite, policywrite, authread, no_da.
pub const PO_ATTRIBUTES: u32 = 0x0204_000a;
/// Permission of the owner's policy index on TPM 1.2: OWNERWRITE.
pub const PO_PERMISSIONS: u32 = 0x2;

/// The owner's policy index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NvIndex {
    /// Is it a TPM 1.2?
    pub tpm12: bool,
    /// Its number.
    pub index: u32,
    /// Its size in bytes: the policy's.
    pub size: usize,
    /// Its attributes (TPM 2.0) or permissions (TPM 1.2).
    pub attributes: u32,
}

impl NvIndex {
    pub(super) fn of(
        spec: &NvSpec,
        tpm: TpmVersion,
        size: usize,
        sinit_set: Option<u32>,
    ) -> Result<Self, SpecError> {
        let wrong = |text: String| Err(SpecError::at("nv", text));
        if let (Some(set), Some(_)) = (spec.set, spec.index) {
            return wrong(format!("give set = {set} or index, not both"));
        }
        let (index, attributes) = match tpm {
            TpmVersion::Tpm12 => {
                if spec.set.is_some() {
                    return wrong("TPM 1.2 has no sets of indices: give index or nothing".into());
                }
                (spec.index.unwrap_or(0x4000_0001), PO_PERMISSIONS)
            }
            TpmVersion::Tpm20 => {
                let set = spec.set.map(u32::from).or(sinit_set).unwrap_or(1);
                let of_set = match set {
                    0 => 0x0140_0001,
                    1 => 0x01c1_0106,
                    other => return wrong(format!("set = {other}: there are 0 and 1")),
                };
                if let Some(known) = sinit_set
                    && spec.set.is_some()
                    && known != set
                {
                    return wrong(format!(
                        "set = {set}, but the SINIT module reads the indices of set {known}"
                    ));
                }
                (spec.index.unwrap_or(of_set), PO_ATTRIBUTES)
            }
        };
        Ok(Self {
            tpm12: tpm == TpmVersion::Tpm12,
            index,
            size,
            attributes,
        })
    }
}
