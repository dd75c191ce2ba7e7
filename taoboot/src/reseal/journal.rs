//! The launches that a run is sealing for, noted before the records are made: when the run
//! fails or is killed, its records are taken back.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use agent::unlock::{SealedRecord, TokenId};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tao::state_file;
use tpm::{PcrIndex, PcrValues};

const JOURNAL: &str = "var/lib/taoboot/new-records.json";

/// A launch that a record is made for.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Noted {
    pcrs: BTreeMap<PcrIndex, String>,
    /// No record of before is taken back.
    since: u64,
}

/// The journal of one machine.
pub struct Journal {
    path: PathBuf,
    noted: Vec<Noted>,
}

impl Journal {
    pub fn read(root: &Path) -> Result<Self> {
        let path = root.join(JOURNAL);
        let noted = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            text => {
                let text = text.with_context(|| path.display().to_string())?;
                serde_json::from_slice(&text).with_context(|| path.display().to_string())?
            }
        };
        Ok(Self { path, noted })
    }

    pub const fn is_empty(&self) -> bool {
        self.noted.is_empty()
    }

    /// On disk before it returns.
    pub fn note(&mut self, values: &PcrValues, since: u64) -> Result<()> {
        self.noted.push(Noted {
            pcrs: listed(values),
            since,
        });
        self.write()
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// The records that were made for what is noted.
    pub fn records(&self, all: &[(TokenId, SealedRecord)]) -> Vec<TokenId> {
        let is_noted = |record: &SealedRecord| {
            self.noted.iter().any(|noted| {
                let mut expected = record.expected().iter().peekable();
                noted.since <= record.created()
                    && expected.peek().is_some()
                    && expected.all(|(pcr, value)| {
                        let launch = noted.pcrs.get(&pcr);
                        launch.is_none_or(|launch| *launch == hex::encode(value))
                    })
            })
        };
        let new = all.iter().filter(|(_, record)| is_noted(record));
        new.map(|(token, _)| *token).collect()
    }

    /// Nothing is noted any more.
    pub fn clear(&mut self) -> Result<()> {
        self.noted.clear();
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.with_context(|| format!("cannot remove {}", self.path.display())),
        }
    }

    fn write(&self) -> io::Result<()> {
        state_file::replace(&self.path, &serde_json::to_vec(&self.noted)?)
    }
}

fn listed(values: &PcrValues) -> BTreeMap<PcrIndex, String> {
    let pairs = values.iter();
    pairs
        .map(|(pcr, value)| (pcr, hex::encode(value)))
        .collect()
}
