//! The policy a secret is sealed to: PCR values, and the digest the TPM makes of them.

use crate::{Bank, PcrSet, PcrValues};

/// TPM2_PolicyPCR over a set of registers of the SHA-256 bank with the values they must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcrPolicy {
    values: PcrValues,
}

impl PcrPolicy {
    /// A policy for exactly these values; `None` unless they are SHA-256 values and at least one.
    pub fn new(values: PcrValues) -> Option<Self> {
        (values.bank() == Bank::Sha256 && !values.set().is_empty()).then_some(PcrPolicy { values })
    }

    /// The values that must be found.
    pub const fn values(&self) -> &PcrValues {
        &self.values
    }

    /// The registers that are compared.
    pub fn pcrs(&self) -> PcrSet {
        self.values.set()
    }
}
