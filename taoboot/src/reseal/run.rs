//! One run of `taoboot reseal`: entry by entry.

use std::path::Path;

use agent::unlock::{
    CheckedHeader, Pin, SealedRecord, TokenId,
    enrolment::{EnrolmentError, WipeRequest, last_record_goes, wipe},
};
use anyhow::Result;
use serde::Serialize;
use serde_json::json;
use tpm::CounterLimit;

use super::options::Reseal;
use crate::volume::genuine::Genuine;
use crate::{
    next_boot::{
        next_system::CONFIG,
        predictions::Entry,
        verdict::{TpmState, verdict_of},
    },
    pins::{self, image_config, in_use},
    reseal::{
        journal::Journal,
        prune,
        sealer::{Sealer, Wanted},
    },
    srk::pinned_srk,
    time,
    trust::known::Known,
    volume::{passphrase::Passphrase, records::numbers},
};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Done {
    /// Nothing: there is a record.
    Present,
    /// A record was made.
    Sealed,
    /// Nothing: a file is not known.
    Unknown,
    /// It did not work.
    Failed,
}

/// What was done for one entry.
pub(super) struct Outcome {
    pub entry: String,
    pub id: Option<String>,
    pub result: Done,
    pub record: Option<TokenId>,
    pub why: String,
    /// It loads nothing that is about to be put into place.
    pub may_be_passed_over: bool,
}

/// One run.
pub(super) struct Run<'r> {
    pub options: &'r Reseal,
    pub device: &'r Path,
    pub entries: &'r [Entry],
    pub tpm: TpmState,
    pub counter: Option<CounterLimit>,
    pub genuine: Genuine,
    pub known: Known,
    pub journal: Journal,
    pub passphrase: Option<Passphrase>,
    pub pin: Option<Pin>,
    pub sealer: Option<Sealer>,
}

impl Run<'_> {
    pub fn seal(&mut self, entry: &Entry) -> Result<Outcome> {
        let header = CheckedHeader::read(self.device)?;
        let genuine = self.genuine(&header)?;
        if let Some(outcome) = present(entry, &genuine, &self.tpm, self.counter) {
            return Ok(outcome);
        }
        let objections = self.known.objections(entry);
        // Before it is asked: the resident agent looks at what is kept, not at dpkg's records.
        self.known.save()?;
        if !objections.is_empty() {
            return Ok(Outcome::none(entry, Done::Unknown, objections.join("; ")));
        }
        let values = match &entry.predicted {
            Ok(values) => values.clone(),
            Err(why) => return Ok(Outcome::none(entry, Done::Failed, why.clone())),
        };
        if let Some(pins) = self.options.pins(self.device) {
            let secret = self.sealer()?.secret_id()?;
            pins::check_secret(&pins, secret.as_deref())?;
        }
        if self.options.pending {
            self.journal.note(&values, time::now())?;
        }
        let counter = self.counter;
        let wanted = || Wanted::of(entry, &values, counter);
        let mut sealed = self.sealer()?.seal(&header, wanted());
        if let Err(error) = &sealed
            && is_full(error)
        {
            let tokens = matches!(full(error), Some(EnrolmentError::TokensFull(_)));
            let why = if tokens {
                // Who else's they are, the error's own sentence leaves open.
                crate::exit::sentence(error)
            } else {
                self.no_room(&genuine)
            };
            // The volume's lock is free for a moment.
            self.sealer = None;
            let removed = self.prune(0)?;
            if removed.is_empty() {
                return Ok(Outcome::none(entry, Done::Failed, why));
            }
            let header = CheckedHeader::read(self.device)?;
            sealed = self.sealer()?.seal(&header, wanted());
        }
        Ok(match sealed {
            Ok(record) => Outcome {
                record: Some(record),
                ..Outcome::none(entry, Done::Sealed, String::new())
            },
            Err(error) => Outcome::none(entry, Done::Failed, crate::exit::sentence(&error)),
        })
    }

    fn sealer(&mut self) -> Result<&mut Sealer> {
        let made = match self.sealer.take() {
            Some(sealer) => sealer,
            None => match &self.passphrase {
                None => Sealer::resident(self.device, &self.options.socket)?,
                Some(passphrase) => Sealer::key(
                    self.device,
                    passphrase,
                    &self.options.tcti,
                    self.options.new_host_secret,
                    self.pin.as_ref(),
                    pinned_srk::config(&self.options.root().join(CONFIG))
                        .and_then(|config| config.srk_name),
                )?,
            },
        };
        Ok(self.sealer.insert(made))
    }

    fn genuine(&mut self, header: &CheckedHeader) -> Result<Vec<(TokenId, SealedRecord)>> {
        if self.passphrase.is_some() {
            self.sealer()?;
        }
        let key = self.passphrase.as_ref().and(self.sealer.as_ref());
        Ok(self.genuine.records(header, &self.options.socket, key))
    }

    /// Removes the records that neither the menu, be it the one in /boot or the one to come, nor
    /// the running launch needs.
    pub fn prune(&mut self, keep: usize) -> Result<Vec<TokenId>> {
        let header = CheckedHeader::read(self.device)?;
        let genuine = self.genuine(&header)?;
        self.sealer = None;
        let present = match self.options.predictions {
            Some(_) => Ok(Vec::new()),
            None => self.options.in_place().entries(),
        };
        let needed = present.and_then(|present| {
            prune::needed(self.entries.iter().chain(&present), &self.options.tcti)
        });
        let needed = match needed {
            Ok(needed) => needed,
            Err(error) => {
                eprintln!("taoboot: no record is removed: {error:#}");
                return Ok(Vec::new());
            }
        };
        let stale = prune::stale(&header, &genuine, &needed, keep);
        if stale.is_empty() {
            return Ok(stale);
        }
        if let Err(error) = self.keep_pinned(&header, &genuine, &stale) {
            eprintln!("taoboot: no record is removed: {error:#}");
            return Ok(Vec::new());
        }
        wipe(self.device, WipeRequest::Records(stale.clone()), false)?;
        if !self.options.json {
            println!("removed records that nothing needs: {}", numbers(&stale));
        }
        Ok(stale)
    }

    /// The images in /boot open the volume afterwards, too. Of another secret than that which is sealed nobody
    /// here knows which records are genuine: then their form has to do.
    fn keep_pinned(
        &self,
        header: &CheckedHeader,
        genuine: &[(TokenId, SealedRecord)],
        stale: &[TokenId],
    ) -> Result<()> {
        let root = self.options.root();
        let config = root.join(image_config::PLACE);
        in_use::keep(self.device, &config, root, |secret| {
            let known = genuine
                .iter()
                .any(|(_, record)| record.secret_id() == secret);
            let is_genuine = |token| !known || genuine.iter().any(|(found, _)| *found == token);
            Ok(last_record_goes(
                header,
                secret,
                |token, _| is_genuine(token),
                |token, _| stale.contains(&token),
            ))
        })
    }

    fn no_room(&self, records: &[(TokenId, SealedRecord)]) -> String {
        let launches = self.entries.iter().filter(|entry| entry.tboot).count();
        format!(
            "the LUKS2 header has room for {} records and all are needed, the menu has {launches} launches: remove kernels or a tboot that you do not boot; a volume formatted with --luks2-metadata-size has more room",
            records.len()
        )
    }
}

fn full(error: &anyhow::Error) -> Option<&EnrolmentError> {
    error.downcast_ref()
}

fn is_full(error: &anyhow::Error) -> bool {
    matches!(
        full(error),
        Some(EnrolmentError::HeaderFull(_) | EnrolmentError::TokensFull(_))
    )
}

/// Nothing to do, or nothing that can be done.
fn present(
    entry: &Entry,
    records: &[(TokenId, SealedRecord)],
    tpm: &TpmState,
    counter: Option<CounterLimit>,
) -> Option<Outcome> {
    if let Err(why) = &entry.predicted {
        return Some(Outcome::none(entry, Done::Failed, why.clone()));
    }
    if entry.halts {
        let why = "tboot would halt: its policy does not allow these files";
        return Some(Outcome::none(entry, Done::Failed, why.into()));
    }
    // A record without limit does not do where limits are asked for.
    let limited: Vec<_> = records
        .iter()
        .filter(|(_, record)| counter.is_none() || record.counter().is_some())
        .cloned()
        .collect();
    let record = verdict_of(entry, &limited, tpm).record?;
    Some(Outcome {
        record: Some(record),
        ..Outcome::none(entry, Done::Present, String::new())
    })
}

impl Outcome {
    /// Without a record.
    fn none(entry: &Entry, result: Done, why: String) -> Self {
        Self {
            entry: entry.name.clone(),
            id: entry.id.clone(),
            result,
            record: None,
            why,
            may_be_passed_over: !entry.loads_replaced(),
        }
    }

    pub fn print(&self) {
        match (self.result, self.record) {
            (Done::Present, Some(record)) => println!("{}: record {record} is for it", self.entry),
            (_, Some(record)) => println!("{}: sealed, record {record}", self.entry),
            _ => eprintln!("{}: WILL ASK for a passphrase: {}", self.entry, self.why),
        }
    }

    pub fn json(&self) -> serde_json::Value {
        json!({
            "entry": self.entry,
            "id": self.id,
            "result": self.result,
            "record": self.record,
            "why": self.why,
        })
    }
}
