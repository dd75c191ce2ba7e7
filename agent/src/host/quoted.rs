//! A TPM 2.0 as the root of a host: its attestation key and the PCRs of the launch are the
//! host's name, and a quote lets the host's own key speak for that name: the key that PCR 15
//! names.

use sha2::{Digest, Sha256};
use tao::{
    attestation::{self, BootEvent},
    logic::{Form, Prin, Says, SubPrin},
};
use tao_host::{Anchor, Root, RootError};
use tpm::{Bank, PcrIndex, PcrSet, PcrValues, Tpm, Tpm2, TpmError};

use crate::unlock::{LaunchPcrs, LaunchPcrsError};

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
    /// May the machine be resumed from hibernation, with this process in the image?
    may_hibernate: bool,
    /// DER SubjectPublicKeyInfo of the attestation key, once it is known.
    spki: Vec<u8>,
}

impl QuotedRoot {
    /// A root over these registers of one bank, normally 17, 18 and 19, and over PCR 15 with what
    /// it was extended with after the latch. The TPM is for the quote, which is renewed before it
    /// expires, and for the counter that anchors the programs' own.
    pub fn new(tpm: Box<Tpm2>, bank: Bank, pcrs: PcrSet, event: BootEvent) -> Self {
        Self {
            tpm,
            bank,
            pcrs,
            event,
            may_hibernate: false,
            spki: Vec::new(),
        }
    }

    /// On a machine that may hibernate: before each statement PCR 15 is compared with the event. /init extends it
    /// once more before an image takes over, and the host in it has the quote of an earlier boot.
    #[must_use]
    pub fn hibernating(self, may_hibernate: bool) -> Self {
        Self {
            may_hibernate,
            ..self
        }
    }
}

impl Root for QuotedRoot {
    fn host_name(&mut self, _key: &Prin, guard: &SubPrin) -> Result<Prin, RootError> {
        self.spki = self.tpm.attestation_key()?.spki;
        let values = self.tpm.pcr_read(self.bank, self.pcrs)?;
        refuse_unwritten(&values)?;
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

    fn stands(&mut self) -> Result<bool, RootError> {
        if !self.may_hibernate {
            return Ok(true);
        }
        let latch = PcrSet::default().with(PcrIndex::LATCH);
        let values = self.tpm.pcr_read(self.bank, latch)?;
        let found = values.get(PcrIndex::LATCH).unwrap_or(&[]);
        Ok(found == self.event.register(found.len())?)
    }

    fn boot_event(&self) -> Option<String> {
        Some(self.event.to_string())
    }

    fn anchor(&mut self) -> Option<&mut dyn Anchor> {
        Some(self)
    }
}

/// A bank that the launch left alone names no software: every kernel would have that name. (A
/// machine without a launch is named by all ones, which says what it is.)
fn refuse_unwritten(values: &PcrValues) -> Result<(), LaunchPcrsError> {
    match LaunchPcrs::check(values) {
        Err(error @ (LaunchPcrsError::NotWritten(_) | LaunchPcrsError::HashOfNothing)) => {
            Err(error)
        }
        _ => Ok(()),
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
                    "the TPM's owner has a password, so the counter {ANCHOR_INDEX:#010x} cannot be defined; define it by hand (tpm2_nvdefine -s 8 -a \"nt=counter|authread|authwrite|ownerread|no_da\" {ANCHOR_INDEX:#010x})"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bank_that_the_launch_left_alone_names_no_host() {
        for (last, named) in [(0x13, true), (0x00, false)] {
            let mut values = PcrValues::new(Bank::Sha256);
            for (pcr, byte) in [(17, 0x11), (18, 0x12), (19, last)] {
                let pcr = PcrIndex::try_from(pcr).unwrap();
                values.insert(pcr, vec![byte; 32]).unwrap();
            }
            assert_eq!(refuse_unwritten(&values).is_ok(), named);
        }
        let mut unlaunched = PcrValues::new(Bank::Sha256);
        for pcr in PcrSet::LAUNCH.iter() {
            unlaunched.insert(pcr, vec![0xff; 32]).unwrap();
        }
        assert_eq!(refuse_unwritten(&unlaunched), Ok(()));
    }
}
