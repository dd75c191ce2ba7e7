//! Will an entry of GRUB's menu unlock the volume by itself?

use std::cell::RefCell;

use agent::{
    forecast::verdict::{Answer, Verdict},
    unlock::{SealedRecord, TokenId, explain},
};
use anyhow::{Result, bail};
use tpm::{Bank, Name, PcrIndex, PcrSet, PcrValues, Tpm as _, Tpm2};

use crate::next_boot::{host_key::HostKeyCheck, predictions::Entry};

/// The TPM, as far as it could be opened.
#[derive(Default)]
pub struct TpmState {
    tpm: RefCell<Option<Tpm2>>,
    /// Why it could not.
    pub silent: Option<String>,
}

impl TpmState {
    /// Opens it; a machine without TPM (an image made elsewhere) is judged by the records alone.
    pub fn ask(tcti: &str) -> Self {
        match Tpm2::open(tcti) {
            Ok(tpm) => Self {
                tpm: RefCell::new(Some(tpm)),
                silent: None,
            },
            Err(error) => Self {
                tpm: RefCell::new(None),
                silent: Some(error.to_string()),
            },
        }
    }

    /// The SHA-256 values of these registers.
    pub fn pcrs(&self, pcrs: PcrSet) -> Result<PcrValues> {
        match self.tpm.borrow_mut().as_mut() {
            Some(tpm) => Ok(tpm.pcr_read(Bank::Sha256, pcrs)?),
            None => bail!("{}", self.silent.as_deref().unwrap_or("no TPM was asked")),
        }
    }

    /// The name of its storage root key, where it can be had.
    pub fn srk(&self) -> Option<Name> {
        let mut tpm = self.tpm.borrow_mut();
        tpm.as_mut()?.srk().ok().map(|srk| srk.name)
    }

    /// Why the TPM would not open this record for the launch it is for. All is tried that can be
    /// tried in another launch and with the latch closed.
    pub fn objection(&self, record: &SealedRecord) -> Option<String> {
        let mut tpm = self.tpm.borrow_mut();
        let policy = &record.record().parts().policy;
        let tried = tpm.as_mut()?.rehearse_unseal(
            record.sealed(),
            policy,
            record.approval(),
            record.pin().is_some(),
        );
        tried.err().map(|error| error.to_string())
    }
}

/// The answer for one entry by its records and the TPM, and why.
pub fn verdict_of(entry: &Entry, records: &[(TokenId, SealedRecord)], tpm: &TpmState) -> Verdict {
    let (verdict, record, why) = judge(entry, records, tpm);
    Verdict {
        entry: entry.name.clone(),
        id: entry.id.clone(),
        default: entry.default,
        verdict,
        record,
        pin: records
            .iter()
            .any(|(token, found)| Some(*token) == record && found.pin().is_some()),
        why,
        unknown_files: Vec::new(),
        boot: None,
    }
}

/// The same with what is known of the Tao host's key: a disk that is unlocked and not mounted is no
/// boot.
pub fn with_host_key(verdict: Verdict, check: &HostKeyCheck) -> Verdict {
    match check {
        HostKeyCheck::Fits => verdict,
        HostKeyCheck::Other(why) => verdict.with_answer_if_it_unlocks(Answer::Stop, why),
        HostKeyCheck::Unknown(why) => verdict.with_answer_if_it_unlocks(Answer::Unknown, why),
    }
}

fn judge(
    entry: &Entry,
    records: &[(TokenId, SealedRecord)],
    tpm: &TpmState,
) -> (Answer, Option<TokenId>, String) {
    let values = match &entry.predicted {
        Ok(values) => values,
        Err(why) if !entry.tboot => return (Answer::Ask, None, why.clone()),
        Err(why) => {
            return (
                Answer::Unknown,
                None,
                format!("it cannot be predicted: {why}"),
            );
        }
    };
    if entry.halts {
        let why = "tboot would halt: its policy does not allow these files";
        return (Answer::Ask, None, why.into());
    }
    let mut objections = Vec::new();
    for (token, record) in records.iter().filter(|(_, record)| fits(record, values)) {
        match tpm.objection(record) {
            None => return (Answer::Unlock, Some(*token), String::new()),
            Some(objection) => objections.push(format!("record {token}: {objection}")),
        }
    }
    if !objections.is_empty() {
        return (Answer::Ask, None, objections.join("; "));
    }
    (Answer::Ask, None, nearest(records, values))
}

/// Is the record for a launch with these values? Registers that a prediction says nothing
/// about, the latch among them, do not speak against it.
pub fn fits(record: &SealedRecord, values: &PcrValues) -> bool {
    let expected = record.expected();
    let mut compared = expected
        .iter()
        .filter(|(pcr, _)| values.get(*pcr).is_some())
        .peekable();
    compared.peek().is_some() && compared.all(|(pcr, value)| values.get(pcr) == Some(value))
}

fn nearest(records: &[(TokenId, SealedRecord)], values: &PcrValues) -> String {
    let differences = records.iter().map(|(token, record)| {
        let mut found = explain(record.expected(), values, record.components());
        found.retain(|difference| {
            difference.pcr != PcrIndex::LATCH && values.get(difference.pcr).is_some()
        });
        (token, found)
    });
    match differences.min_by_key(|(_, found)| found.len()) {
        Some((token, found)) => {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            format!(
                "no record is for this launch (nearest is record {token}: {})",
                found.join("; ")
            )
        }
        None => "the volume has no usable record".into(),
    }
}
