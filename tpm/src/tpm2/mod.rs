//! TPM 2.0 through tss-esapi.

use crate::TpmError;

/// A TPM 2.0, open for commands.
pub struct Tpm2;

impl Tpm2 {
    /// Opens the TPM that `tcti` names (`device:/dev/tpmrm0`, `swtpm:host=...,port=...`).
    pub fn open(tcti: &str) -> Result<Self, TpmError> {
        Err(TpmError::Absent { tcti: tcti.into(), reason: "not written yet".into() })
    }
}
