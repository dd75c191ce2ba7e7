//! The two ways to a new record: the resident agent seals, or a passphrase of the volume gives
//! the secret.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use agent::{
    reseal::{self, LaunchEvent, MeasuredFile, Question, Reply, ResealError, SealRequest},
    unlock::{
        CheckedHeader, EnrolledRecord, LaunchPcrs, Pin, PinKey, SealedRecord, TokenId,
        enrolment::{EnrollRequest, Enrolment, EnrolmentError, Parent, Resealing, Target},
        find_records,
    },
};
use anyhow::{Context as _, Result, bail};
use tpm::{AuthPolicy, CounterLimit, Name, PcrIndex, PcrValues, Tpm2};

use crate::{
    next_boot::predictions::{Entry, short_text},
    reseal::proof,
    time,
    volume::passphrase::Passphrase,
};

/// The record that is wanted.
pub struct Wanted {
    /// Predicted PCR values.
    pub values: LaunchPcrs,
    pub counter: Option<CounterLimit>,
    pub label: String,
    pub components: BTreeMap<PcrIndex, String>,
    pub files: Vec<MeasuredFile>,
    /// Every extend, for the resident agent; or why they cannot be listed.
    pub events: Result<Vec<LaunchEvent>>,
    pub created: u64,
}

impl Wanted {
    /// A record for an entry of the menu with these values.
    pub fn of(entry: &Entry, values: &LaunchPcrs, counter: Option<CounterLimit>) -> Self {
        Self {
            values: values.clone(),
            counter,
            label: short_text(&entry.title),
            components: entry.components.clone(),
            files: proof::files(entry),
            events: proof::events(entry),
            created: time::now(),
        }
    }
}

/// Makes and stores records; the volume is locked as long as this value exists.
pub enum Sealer {
    /// Through the resident agent, which holds the secret with this name.
    Resident {
        volume: Resealing,
        secret_id: String,
        socket: PathBuf,
    },
    /// With the volume's key.
    Key {
        volume: Box<Enrolment>,
        tpm: Box<Tpm2>,
        /// The storage key that the next images pin.
        pinned: Option<Name>,
        /// Make a new host secret, as the administrator said.
        new_host_secret: bool,
    },
}

impl Sealer {
    /// Asks the resident agent which secret it holds, and locks the volume.
    pub fn resident(device: &Path, socket: &Path) -> Result<Self> {
        let reply = reseal::ask(socket, &Question::Which)?;
        let Reply::Holds(secret_id) = reply else {
            bail!("the resident agent did not say which secret it holds");
        };
        Ok(Self::Resident {
            volume: Resealing::begin(device)?,
            secret_id,
            socket: socket.to_owned(),
        })
    }

    /// Opens the volume's key with a passphrase, and locks the volume.
    pub fn key(
        device: &Path,
        passphrase: &Passphrase,
        tcti: &str,
        new_host_secret: bool,
        pin: Option<&Pin>,
        pinned: Option<Name>,
    ) -> Result<Self> {
        let tpm = Tpm2::open(tcti)?;
        let pin = pin.map(PinKey::fresh).transpose()?;
        Ok(Self::Key {
            volume: Box::new(begin(device, passphrase)?.with_pin(pin)),
            tpm: Box::new(tpm),
            pinned,
            new_host_secret,
        })
    }

    /// Is the record one of the volume's secret? `None` where only the resident agent can tell.
    pub fn proves(&self, record: &SealedRecord) -> Option<bool> {
        match self {
            Self::Resident { .. } => None,
            Self::Key { volume, .. } => volume.proves(record.record()),
        }
    }

    /// The secret that is sealed; `None` where a new one is made.
    pub fn secret_id(&self) -> Result<Option<String>> {
        Ok(match self {
            Self::Resident { secret_id, .. } => Some(secret_id.clone()),
            Self::Key { volume, .. } => volume
                .authentic_record()?
                .map(|record| record.secret_id().to_owned()),
        })
    }

    /// Seals for a launch and stores the record. `header` is as it was read last.
    pub fn seal(&mut self, header: &CheckedHeader, wanted: Wanted) -> Result<TokenId> {
        match self {
            Self::Resident {
                volume,
                secret_id,
                socket,
            } => {
                let token = ask_for(header, wanted, secret_id, socket)?;
                Ok(volume.add(&token)?)
            }
            Self::Key {
                volume,
                tpm,
                pinned,
                new_host_secret,
            } => {
                // The swap partition is overwritten at each boot, so it is taken from a record
                // that the volume's key proves genuine, and from no other.
                let genuine = volume.authentic_record()?;
                let parts = genuine.as_ref().map(EnrolledRecord::parts);
                let pattern = parts.and_then(|parts| match &parts.policy {
                    AuthPolicy::Launch(launch) => Some(launch.pcrs().values()),
                    AuthPolicy::Signed(_) => None,
                });
                let request = EnrollRequest {
                    target: Target::Launch(
                        LaunchPcrs::new(completed(pattern, &wanted.values)?)?,
                        wanted.counter,
                    ),
                    parent: Parent::OfRecords(pinned.clone()),
                    label: wanted.label,
                    swap: parts.and_then(|parts| parts.swap.clone()),
                    components: wanted.components,
                    created: wanted.created,
                    fresh_secret: false,
                    fresh_host_secret: *new_host_secret,
                };
                Ok(volume.enroll(tpm.as_mut(), request)?.token)
            }
        }
    }
}

/// The record, sealed by the resident agent after a pattern. What stands in the header anybody
/// may have written: a newer record that is forged does not keep the others from being one.
fn ask_for(
    header: &CheckedHeader,
    wanted: Wanted,
    secret_id: &str,
    socket: &Path,
) -> Result<serde_json::Value> {
    let mut patterns: Vec<SealedRecord> = find_records(header)
        .into_iter()
        .filter_map(|(_, record)| record.ok())
        .filter(|record| record.secret_id() == secret_id)
        .collect();
    patterns.sort_by_key(|record| std::cmp::Reverse(record.created()));
    let mut genuine = None;
    for record in patterns {
        let token = record.record().to_token()?;
        match reseal::ask(socket, &Question::Genuine(Box::new(token.clone()))) {
            Ok(Reply::Genuine(false)) | Err(ResealError::Refused(_)) => {}
            Ok(Reply::Genuine(true)) => {
                genuine = Some((record, token));
                break;
            }
            Ok(_) => bail!("the resident agent answered something else than yes or no"),
            Err(error) => return Err(error.into()),
        }
    }
    let (pattern, token) = genuine.context(
        "the volume has no record of the secret that opened this machine: use --recovery-key or --passphrase-file",
    )?;
    let question = Question::Seal(Box::new(SealRequest {
        pattern: token,
        pcrs: completed(Some(pattern.expected()), &wanted.values)?,
        limit: wanted.counter.map(|counter| counter.limit),
        label: wanted.label,
        components: wanted.components,
        created: wanted.created,
        files: wanted.files,
        events: wanted.events?,
    }));
    match reseal::ask(socket, &question)? {
        Reply::Record(token) => Ok(token),
        _ => bail!("the resident agent answered something else than a record"),
    }
}

/// Locks the volume with a passphrase; a key file may really end with a newline.
pub fn begin(device: &Path, passphrase: &Passphrase) -> Result<Enrolment, EnrolmentError> {
    match Enrolment::begin(device, passphrase.without_newline()) {
        Err(EnrolmentError::Passphrase(_)) if passphrase.ends_with_newline() => {
            Enrolment::begin(device, passphrase.whole())
        }
        other => other,
    }
}

/// The registers that the present records name: with their predicted value, or, where the
/// prediction says nothing (firmware), as they are approved now. The latch is added later.
fn completed(pattern: Option<&PcrValues>, predicted: &PcrValues) -> Result<PcrValues> {
    let Some(pattern) = pattern else {
        return Ok(predicted.clone());
    };
    let mut values = PcrValues::new(predicted.bank());
    for (pcr, approved) in pattern.iter() {
        if pcr == PcrIndex::LATCH {
            continue;
        }
        let value = predicted.get(pcr).unwrap_or(approved);
        values.insert(pcr, value.to_vec())?;
    }
    Ok(values)
}
