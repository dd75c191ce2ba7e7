//! The policy a secret is sealed to: PCR values, and the digest the TPM makes of them.

use sha2::{Digest, Sha256};

use crate::{Bank, PcrSet, PcrValues};

/// TPM_CC_PolicyPCR (TPM 2.0 Library, Part 2, 6.5.2).
const TPM_CC_POLICY_PCR: u32 = 0x0000_017f;
/// TPM_ALG_SHA256 (Part 2, 6.3).
const TPM_ALG_SHA256: u16 = 0x000b;

/// TPM2_PolicyPCR over a set of registers of the SHA-256 bank with the values they must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcrPolicy {
    values: PcrValues,
}

impl PcrPolicy {
    /// A policy for exactly these values; `None` unless they are SHA-256 values and at least one.
    pub fn new(values: PcrValues) -> Option<Self> {
        (values.bank() == Bank::Sha256 && !values.set().is_empty()).then_some(Self { values })
    }

    /// The values that must be found.
    pub const fn values(&self) -> &PcrValues {
        &self.values
    }

    /// The registers that are compared.
    pub fn pcrs(&self) -> PcrSet {
        self.values.set()
    }

    /// H(values in ascending order of register): what TPM2_PolicyPCR compares with.
    pub fn pcr_digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (_, value) in self.values.iter() {
            hash.update(value);
        }
        hash.finalize().into()
    }

    /// The authPolicy of an object that only this policy opens (Part 3, 23.7): the digest of
    /// a fresh SHA-256 policy session after TPM2_PolicyPCR.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update([0; 32]);
        hash.update(TPM_CC_POLICY_PCR.to_be_bytes());
        // TPML_PCR_SELECTION: one TPMS_PCR_SELECTION { hash, sizeofSelect, pcrSelect }.
        hash.update(1u32.to_be_bytes());
        hash.update(TPM_ALG_SHA256.to_be_bytes());
        hash.update([3]);
        hash.update(self.pcrs().select_bytes());
        hash.update(self.pcr_digest());
        hash.finalize().into()
    }
}
