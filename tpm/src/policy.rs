//! The policy a secret is sealed to: PCR values, and the digest the TPM makes of them.

use sha2::{Digest, Sha256};

use crate::{Bank, PcrSet, PcrValues};

/// TPM_CC_PolicyPCR (TPM 2.0 Library, Part 2, 6.5.2).
const TPM_CC_POLICY_PCR: u32 = 0x0000_017f;
/// TPM_ALG_SHA256 and TPM_ALG_SHA1 (Part 2, 6.3).
const TPM_ALG_SHA256: u16 = 0x000b;
const TPM_ALG_SHA1: u16 = 0x0004;

/// A set of registers with the values they must have: TPM2_PolicyPCR over the SHA-256 bank, or the
/// registers of a TPM 1.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcrPolicy {
    values: PcrValues,
}

impl PcrPolicy {
    /// A policy for exactly these values; `None` unless they are SHA-256 values and at least one.
    pub fn new(values: PcrValues) -> Option<Self> {
        (values.bank() == Bank::Sha256 && !values.set().is_empty()).then_some(Self { values })
    }

    /// The same for a TPM 1.2; `None` unless they are SHA-1 values and at least one.
    pub fn for_tpm12(values: PcrValues) -> Option<Self> {
        (values.bank() == Bank::Sha1 && !values.set().is_empty()).then_some(Self { values })
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
        // No TPM 2.0 is asked for SHA-1 values; but if so, this is what it compares with.
        let bank = match self.values.bank() {
            Bank::Sha1 => TPM_ALG_SHA1,
            Bank::Sha256 | Bank::Sha384 => TPM_ALG_SHA256,
        };
        hash.update(bank.to_be_bytes());
        hash.update([3]);
        hash.update(self.pcrs().select_bytes());
        hash.update(self.pcr_digest());
        hash.finalize().into()
    }
}
