//! A TPM 2.0 as the root of a host: its attestation key and the PCRs of the launch are the
//! host's name, and a quote lets the host's own key speak for that name.

use sha2::{Digest, Sha256};
use tao::{
    attestation,
    host::{Anchor, Root, RootError},
    logic::{Form, Prin, Says, SubPrin},
};
use tpm::{Bank, PcrSet, Tpm};

/// A TPM, and the registers that name the machine.
pub struct QuotedRoot {
    tpm: Box<dyn Tpm + Send>,
    bank: Bank,
    pcrs: PcrSet,
    /// DER SubjectPublicKeyInfo of the attestation key, once it is known.
    spki: Vec<u8>,
}

impl QuotedRoot {
    /// A root over these registers of one bank.
    pub fn new(tpm: Box<dyn Tpm + Send>, bank: Bank, pcrs: PcrSet) -> Self {
        QuotedRoot {
            tpm,
            bank,
            pcrs,
            spki: Vec::new(),
        }
    }
}

impl Root for QuotedRoot {
    fn host_name(&mut self, _key: &Prin, guard: &SubPrin) -> Result<Prin, RootError> {
        self.spki = self.tpm.attestation_key()?.spki;
        let values = self.tpm.pcr_read(self.bank, self.pcrs)?;
        let ext = SubPrin::pcrs(values.iter().map(|(index, value)| (index.get(), value)))?;
        let machine = Prin::of_public_key("tpm2", &self.spki)?.extended(&ext);
        Ok(machine.extended(guard))
    }

    fn delegate(&mut self, statement: &Says) -> Result<Option<Vec<u8>>, RootError> {
        let statement = Form::Says(statement.clone()).encode();
        let quote = self
            .tpm
            .quote(&Sha256::digest(&statement), self.bank, self.pcrs)?;
        Ok(Some(attestation::quoted(
            statement,
            self.spki.clone(),
            quote.attest,
            quote.signature,
        )))
    }

    /// None yet: the TPM's NV counters are not used.
    fn anchor(&mut self) -> Option<&mut dyn Anchor> {
        None
    }
}
