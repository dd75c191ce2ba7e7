//! Will an entry of GRUB's menu unlock the volume by itself?

use std::{cell::RefCell, fmt};

use agent::{
    forecast::Forecast,
    unlock::{SealedRecord, TokenId, explain},
};
use anyhow::{Result, bail};
use serde::Serialize;
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
        let tried = tpm
            .as_mut()?
            .rehearse_unseal(record.sealed(), policy, record.approval());
        tried.err().map(|error| error.to_string())
    }
}

/// What the machine will do with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Unlock itself.
    Unlock,
    /// Ask for a passphrase.
    Ask,
    /// Not boot.
    Stop,
    /// It cannot be told.
    Unknown,
}

/// The answer for one entry, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    pub entry: String,
    pub id: Option<String>,
    pub default: bool,
    pub verdict: Answer,
    /// The record that opens.
    pub record: Option<TokenId>,
    /// Why not, or what is worth knowing.
    pub why: String,
    /// Files that are not known on the encrypted root, one sentence each: no new record is made
    /// for the entry.
    pub unknown_files: Vec<String>,
    /// What /init and systemd will do; `None` for an entry that boots another initramfs.
    pub boot: Option<Forecast>,
}

impl Verdict {
    pub fn of(entry: &Entry, records: &[(TokenId, SealedRecord)], tpm: &TpmState) -> Self {
        let (verdict, record, why) = judge(entry, records, tpm);
        Self {
            entry: entry.name.clone(),
            id: entry.id.clone(),
            default: entry.default,
            verdict,
            record,
            why,
            unknown_files: Vec::new(),
            boot: None,
        }
    }

    /// The same with what will happen when the disk is unlocked: a boot that stops, or asks all
    /// the same, is not a boot by itself.
    pub fn with_forecast(mut self, forecast: Option<Forecast>) -> Self {
        if let Some(forecast) = &forecast {
            let mut reasons = [
                forecast.stops.clone(),
                forecast.asks.clone(),
                forecast.unknown.clone(),
            ]
            .concat();
            if !self.why.is_empty() {
                reasons.push(std::mem::take(&mut self.why));
            }
            self.why = reasons.join("; ");
            if !forecast.stops.is_empty() {
                self.verdict = Answer::Stop;
            } else if !forecast.asks.is_empty() {
                self.verdict = Answer::Ask;
            } else if !forecast.unknown.is_empty() && self.verdict == Answer::Unlock {
                self.verdict = Answer::Unknown;
            }
        }
        self.boot = forecast;
        self
    }

    /// The same with what is known of the Tao host's key: a disk that is unlocked and not mounted is no
    /// boot.
    pub fn with_host_key(mut self, check: &HostKeyCheck) -> Self {
        let (verdict, sentence) = match check {
            HostKeyCheck::Fits => return self,
            HostKeyCheck::Other(sentence) => (Answer::Stop, sentence),
            HostKeyCheck::Unknown(sentence) => (Answer::Unknown, sentence),
        };
        // Without a record there is no host, and /init asks.
        if self.verdict == Answer::Unlock {
            self.verdict = verdict;
            self.why.clone_from(sentence);
        }
        self
    }

    /// The same with what is known of the pinned ACPI tables: where the TPM is not asked, /init asks.
    pub fn with_acpi_tables(mut self, objection: Option<&str>) -> Self {
        if let Some(why) = objection
            && matches!(self.verdict, Answer::Unlock | Answer::Unknown)
        {
            self.verdict = Answer::Ask;
            why.clone_into(&mut self.why);
        }
        self
    }

    /// The same with what is to be said of the files; where it asks, they are a reason.
    pub fn with_unknown(mut self, sentences: Vec<String>) -> Self {
        if self.verdict == Answer::Ask && !sentences.is_empty() {
            let files = sentences.join("; ");
            self.why = format!("{}; {files}", self.why);
        }
        self.unknown_files = sentences;
        self
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

/// A line for the entry, its reason below.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.default { '*' } else { ' ' };
        write!(f, "{mark} {}: ", self.entry)?;
        match (self.verdict, self.record) {
            (Answer::Unlock, Some(record)) => writeln!(f, "will unlock (record {record})")?,
            (Answer::Ask, _) => writeln!(f, "WILL ASK for a passphrase")?,
            (Answer::Stop, _) => writeln!(f, "WILL NOT BOOT")?,
            _ => writeln!(f, "cannot be told")?,
        }
        if !self.why.is_empty() {
            writeln!(f, "      {}", self.why)?;
        }
        for note in self.boot.iter().flat_map(|boot| &boot.notes) {
            writeln!(f, "      note: {note}")?;
        }
        if self.verdict != Answer::Ask {
            for sentence in &self.unknown_files {
                writeln!(f, "      {sentence}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unlocks() -> Verdict {
        Verdict {
            entry: "Debian".into(),
            id: None,
            default: true,
            verdict: Answer::Unlock,
            record: None,
            why: String::new(),
            unknown_files: Vec::new(),
            boot: None,
        }
    }

    #[test]
    fn what_cannot_be_told_of_root_is_no_promise_and_hides_nothing_worse() {
        let unknown = Forecast {
            unknown: vec!["it cannot be read".into()],
            ..Forecast::default()
        };
        let verdict = unlocks().with_forecast(Some(unknown.clone()));
        assert_eq!(verdict.verdict, Answer::Unknown);
        let text = verdict.to_string();
        assert!(
            text.contains("cannot be told") && text.contains("cannot be read"),
            "{text}"
        );
        for (forecast, answer) in [
            (Forecast::default(), Answer::Unlock),
            (
                Forecast {
                    asks: vec!["a".into()],
                    ..unknown.clone()
                },
                Answer::Ask,
            ),
            (
                Forecast {
                    stops: vec!["s".into()],
                    ..unknown.clone()
                },
                Answer::Stop,
            ),
        ] {
            assert_eq!(unlocks().with_forecast(Some(forecast)).verdict, answer);
        }
        let asks = Verdict {
            verdict: Answer::Ask,
            ..unlocks()
        };
        assert_eq!(asks.with_forecast(Some(unknown)).verdict, Answer::Ask);
    }
}
