//! What `tboot-policy predict --json` prints: one launch, or with `--all` a list of the menu's
//! entries. `taoboot` reads it through the same types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tpm::pcr::{Bank, PcrIndex, PcrSyntaxError, PcrValues};

use super::{BankValues, Prediction, Row};
use crate::{grub::files::FileRole, log::LogEvent};

/// Registers and their values, hex.
pub type PrintedPcrs = BTreeMap<Bank, BTreeMap<PcrIndex, String>>;

/// A launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintedPrediction {
    /// The registers in the banks that the launch is measured into.
    pub pcrs: PrintedPcrs,
    /// The same at the recorded launch, where the record has it.
    #[serde(default)]
    pub old_pcrs: PrintedPcrs,
    /// What an object sealed to PCR 17, 18 and 19 of the SHA-256 bank has as authPolicy.
    pub policy_digest: Option<String>,
    /// Every extend, old beside new.
    pub events: Vec<PrintedEvent>,
    /// Where the modules are not as the policy wants them.
    #[serde(default)]
    pub findings: Vec<String>,
    /// Does tboot halt because of them?
    pub halts: bool,
    /// What holds only if something is as it was.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// One extend of a launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintedEvent {
    /// The register.
    pub pcr: u32,
    /// The event's name.
    pub name: String,
    /// The file that it measures.
    pub file: Option<String>,
    /// Is anything different from the recorded launch?
    pub changed: bool,
    /// The recorded launch's event.
    pub old: Option<LogEvent>,
    /// The coming launch's event.
    pub new: Option<LogEvent>,
}

/// An entry of GRUB's menu.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintedEntry {
    /// Place and title.
    pub entry: String,
    /// The title alone.
    pub title: String,
    /// As in GRUB_DEFAULT.
    pub place: Option<String>,
    /// `--id` of the entry.
    pub id: Option<String>,
    /// GRUB boots it when nobody touches a key.
    pub default: bool,
    /// Does it boot tboot, as far as can be told?
    pub tboot: bool,
    /// Its launch, where it can be predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<PrintedPrediction>,
    /// Why it cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Set where GRUB's environment block has a say in what is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The script of `/etc/grub.d` that wrote the entry and everything that it loads, where
    /// grub-mkconfig's lines say that for certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The files that it loads.
    pub files: Vec<PrintedFile>,
}

/// A file that an entry loads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintedFile {
    /// Where it will be when GRUB loads it.
    pub path: String,
    /// Where it is now, if that is another path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_from: Option<String>,
    /// Of the bytes that the prediction was made of.
    pub sha256: String,
    /// What it is to the boot.
    pub role: FileRole,
    /// What is measured with it; `None`: nothing, or what is not text and so cannot stand here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<String>,
}

/// Values of a bank that are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrintedPcrsError {
    /// The launch is not measured into this bank.
    #[error("the prediction has no {0} bank")]
    NoBank(Bank),
    /// A value that is none.
    #[error("the prediction's PCR {0} is not hex digits")]
    NotHex(PcrIndex),
    /// A value of another length.
    #[error(transparent)]
    Value(#[from] PcrSyntaxError),
}

impl PrintedPrediction {
    /// Of the banks that tboot's measurements are in.
    pub fn new(prediction: &Prediction, policy_digest: Option<String>) -> Self {
        let by_bank = |pick: &dyn Fn(&BankValues) -> Option<PcrValues>| {
            let banks = prediction.values.iter();
            let measured = banks.filter(|(bank, _)| prediction.sealable(**bank).is_ok());
            measured
                .filter_map(|(bank, values)| Some((*bank, printed(&pick(values)?))))
                .collect()
        };
        Self {
            pcrs: by_bank(&|values| Some(values.new.clone())),
            old_pcrs: by_bank(&|values| values.old.clone()),
            policy_digest,
            events: prediction.rows.iter().map(PrintedEvent::of).collect(),
            findings: prediction
                .findings
                .iter()
                .map(ToString::to_string)
                .collect(),
            halts: prediction.halts,
            warnings: prediction.warnings.clone(),
        }
    }

    /// The predicted registers of one bank.
    ///
    /// # Errors
    /// When the launch is not measured into that bank, or a value is none.
    pub fn values(&self, bank: Bank) -> Result<PcrValues, PrintedPcrsError> {
        let printed = self.pcrs.get(&bank).ok_or(PrintedPcrsError::NoBank(bank))?;
        let mut values = PcrValues::new(bank);
        for (pcr, digits) in printed {
            let value = hex::decode(digits).map_err(|_| PrintedPcrsError::NotHex(*pcr))?;
            values.insert(*pcr, value)?;
        }
        Ok(values)
    }
}

fn printed(values: &PcrValues) -> BTreeMap<PcrIndex, String> {
    values
        .iter()
        .map(|(pcr, value)| (pcr, hex::encode(value)))
        .collect()
}

impl PrintedEvent {
    fn of(row: &Row) -> Self {
        Self {
            pcr: row.pcr,
            name: row.name.clone(),
            file: row.file.clone(),
            changed: row.changed(),
            old: row.old.clone(),
            new: row.new.clone(),
        }
    }
}
