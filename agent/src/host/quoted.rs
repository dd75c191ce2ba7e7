//! A TPM 2.0 as the root of a host: its attestation key and the PCRs of the launch are the
//! host's name, and a quote lets the host's own key speak for that name: the key that PCR 15
//! names.

use sha2::{Digest, Sha256};
use tao::{
    attestation::{self, BootEvent},
    host::{Anchor, Root, RootError},
    logic::{Form, Prin, Says, SubPrin},
};
use tpm::{Bank, PcrIndex, PcrSet, Tpm, Tpm2, TpmError};

/// NV index of the counter that makes an old copy of the host's counters worthless: in the
/// range that is the owner's.
pub const ANCHOR_INDEX: u32 = 0x0180_74a0;

/// A TPM, and the registers that name the machine.
pub struct QuotedRoot {
    tpm: Box<Tpm2>,
    bank: Bank,
    pcrs: PcrSet,
    /// What PCR 15 was extended with after the latch.
    event: BootEvent,
    /// DER SubjectPublicKeyInfo of the attestation key, once it is known.
    spki: Vec<u8>,
}

impl QuotedRoot {
    /// A root over these registers of one bank, and over PCR 15 with this event.
    pub fn new(tpm: Box<Tpm2>, bank: Bank, pcrs: PcrSet, event: BootEvent) -> Self {
        QuotedRoot {
            tpm,
            bank,
            pcrs,
            event,
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
        // The name has the registers of the launch only, as in the original; PCR 15 is quoted
        // besides, so that the quote is for the host's key and for no other.
        let quoted = self.pcrs.with(PcrIndex::LATCH);
        let quote = self
            .tpm
            .quote(&Sha256::digest(&statement), self.bank, quoted)?;
        Ok(Some(attestation::quoted(
            statement,
            self.spki.clone(),
            quote.attest,
            quote.signature,
            self.event.to_string(),
        )))
    }

    fn boot_event(&self) -> Option<String> {
        Some(self.event.to_string())
    }

    fn anchor(&mut self) -> Option<&mut dyn Anchor> {
        Some(self)
    }
}

impl Anchor for QuotedRoot {
    fn describe(&self) -> String {
        format!("the TPM's NV counter {ANCHOR_INDEX:#010x}")
    }

    fn value(&mut self) -> Result<Option<u64>, RootError> {
        Ok(self.tpm.counter_value(ANCHOR_INDEX)?)
    }

    /// The owner must have no password, or have defined the counter already.
    fn create(&mut self) -> Result<u64, RootError> {
        if self.tpm.nv_public(ANCHOR_INDEX)?.is_some() {
            return Ok(self.tpm.counter_increment(ANCHOR_INDEX)?);
        }
        self.tpm.counter_create(ANCHOR_INDEX).map_err(|error| {
            let sentence = match error {
                TpmError::WrongPassword { .. } => format!(
                    "the TPM's owner has a password, so the counter {ANCHOR_INDEX:#010x} can't be defined; define it by hand (tpm2_nvdefine -s 8 -a \"nt=counter|authread|authwrite|ownerread|no_da\" {ANCHOR_INDEX:#010x})"
                ),
                other => other.to_string(),
            };
            sentence.into()
        })
    }

    fn increment(&mut self) -> Result<u64, RootError> {
        Ok(self.tpm.counter_increment(ANCHOR_INDEX)?)
    }
}
