//! What `taoboot status` shows, for people and as JSON.

use std::collections::BTreeMap;

use agent::{
    config::Config,
    forecast::verdict::Verdict,
    unlock::{
        CheckedHeader, FurtherToken, Kdf, Keyslot, LaunchPcrs, PcrDifference, RecordError,
        SealedRecord, TokenId, VolumeIdentity,
        enrolment::{Leftover, find_leftovers, find_recovery_keys},
        explain, find_further,
    },
};
use anyhow::Result;
use serde::Serialize;
use tpm::{PcrIndex, PcrValues};

use crate::next_boot::next_system::pin_objection;
use crate::next_boot::verdict::TpmState;
use crate::pins::state::PinState;
use crate::status::machine::MachineVolume;

/// The whole report.
#[derive(Serialize)]
pub struct StatusReport {
    pub(super) device: String,
    pub(super) volume: VolumeIdentity,
    pub(super) records: Vec<RecordReport>,
    /// By which the secret of another volume's records opens this one.
    pub(super) further: Vec<FurtherReport>,
    pub(super) keyslots: Vec<KeyslotReport>,
    pub(super) leftovers: Vec<Leftover>,
    /// `None`: no PCR values to compare with.
    pub(super) would_open: Option<bool>,
    pub(super) measured_launch: Option<bool>,
    /// Why the values are not those of a measured launch.
    pub(super) no_launch: Option<String>,
    pub(super) latch_closed: Option<bool>,
    /// Where this TPM's storage key is not pinned in the measured configuration.
    pub pin_warning: Option<String>,
    /// The other volumes of the machine, where no volume was named.
    pub machine: Vec<MachineVolume>,
    /// What the next images pin; `None` where none are made here.
    pub pins: Option<PinState>,
    /// What each entry of GRUB's menu will do; `None`: nothing to predict it from.
    pub entries: Option<Vec<Verdict>>,
}

#[derive(Serialize)]
pub(super) struct RecordReport {
    pub(super) record: TokenId,
    #[serde(flatten)]
    pub(super) state: RecordState,
    pub(super) would_open: Option<bool>,
    /// What the resident agent says of it; `None`: no agent of this volume's secret answers.
    pub(super) genuine: Option<bool>,
    /// Why it would not be opened, whatever the launch is.
    pub(super) objection: Option<String>,
    pub(super) differences: Vec<PcrDifference>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum RecordState {
    Usable {
        #[serde(flatten)]
        details: Box<RecordDetails>,
        /// Always null.
        error: Option<String>,
    },
    Unusable {
        error: String,
    },
}

#[derive(Serialize)]
pub(super) struct RecordDetails {
    pub(super) keyslot: u32,
    pub(super) label: String,
    pub(super) created: u64,
    pub(super) pcrs: String,
    pub(super) parent: String,
    pub(super) secret_id: String,
    pub(super) swap: Option<String>,
    /// Highest value of the rollback counter at which it opens.
    pub(super) limit: Option<u64>,
    /// It asks for a PIN.
    pub(super) pin: bool,
    /// The policy key that signed the launch.
    pub(super) policy_key: Option<String>,
}

/// The enrolment of a further volume.
#[derive(Serialize)]
pub(super) struct FurtherReport {
    pub(super) token: TokenId,
    pub(super) keyslot: Option<u32>,
    /// UUID of the volume with the records.
    pub(super) enrolled_with: Option<String>,
    pub(super) secret_id: Option<String>,
    pub(super) error: Option<String>,
}

#[derive(Serialize)]
pub(super) struct KeyslotReport {
    pub(super) keyslot: u32,
    pub(super) kdf: String,
    pub(super) purpose: String,
}

/// Who has a say in whether a record opens.
pub struct Judges<'j> {
    pub tpm: Option<&'j TpmState>,
    pub config: Option<&'j Config>,
    /// Which records are genuine, where the resident agent can tell.
    pub told: &'j BTreeMap<TokenId, bool>,
}

impl StatusReport {
    pub fn new(
        header: &CheckedHeader,
        records: &[(TokenId, Result<SealedRecord, RecordError>)],
        seen: Option<&PcrValues>,
        judges: &Judges<'_>,
    ) -> Result<Self> {
        let records: Vec<RecordReport> = records
            .iter()
            .map(|(id, record)| RecordReport::new(*id, record, seen, judges))
            .collect();
        let latch = seen.and_then(|seen| seen.get(PcrIndex::LATCH));
        Ok(Self {
            device: header.device().display().to_string(),
            volume: header.identity().clone(),
            keyslots: keyslots(header, &records),
            leftovers: find_leftovers(header),
            further: find_further(header)
                .into_iter()
                .map(|(id, token)| FurtherReport::new(id, token))
                .collect(),
            would_open: seen.map(|_| records.iter().any(|r| r.would_open == Some(true))),
            measured_launch: seen.map(|seen| LaunchPcrs::check(seen).is_ok()),
            no_launch: seen
                .and_then(|seen| LaunchPcrs::check(seen).err())
                .map(|error| error.to_string()),
            latch_closed: latch.map(|value| value.iter().any(|byte| *byte != 0)),
            records,
            pin_warning: None,
            pins: None,
            machine: Vec::new(),
            entries: None,
        })
    }

    pub fn would_open(&self) -> bool {
        self.would_open == Some(true)
    }

    /// Is it opened only with another volume's secret?
    pub(super) const fn is_further(&self) -> bool {
        self.records.is_empty() && !self.further.is_empty()
    }

    /// Is a record that fits known to be genuine?
    pub(super) fn is_proved(&self) -> bool {
        let mut fitting = self.records.iter().filter(|r| r.would_open == Some(true));
        fitting.any(|record| record.genuine == Some(true))
    }
}

impl RecordReport {
    fn new(
        id: TokenId,
        record: &Result<SealedRecord, RecordError>,
        seen: Option<&PcrValues>,
        judges: &Judges<'_>,
    ) -> Self {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                return Self {
                    record: id,
                    state: RecordState::Unusable {
                        error: error.to_string(),
                    },
                    would_open: seen.map(|_| false),
                    genuine: None,
                    objection: None,
                    differences: Vec::new(),
                };
            }
        };
        // Without values there is nothing to compare with, and `would_open` says so.
        let mut differences = seen.map_or_else(Vec::new, |seen| {
            explain(record.expected(), seen, record.components())
        });
        differences.retain(|difference| difference.pcr != PcrIndex::LATCH);
        let genuine = judges.told.get(&id).copied();
        let forged = (genuine == Some(false)).then(|| {
            "it does not belong to the secret that opened this machine, or was changed".to_owned()
        });
        let objection = forged.or_else(|| judges.tpm?.objection(record));
        let objection = objection.or_else(|| pin_objection(judges.config?, record));
        Self {
            record: id,
            state: RecordState::Usable {
                error: None,
                details: Box::new(RecordDetails {
                    keyslot: record.keyslot(),
                    label: record.label().to_owned(),
                    created: record.created(),
                    pcrs: record.expected().set().without(PcrIndex::LATCH).to_string(),
                    parent: record.sealed().parent.to_string(),
                    secret_id: record.secret_id().to_owned(),
                    swap: record.swap().map(ToString::to_string),
                    limit: record.counter().map(|counter| counter.limit),
                    pin: record.pin().is_some(),
                    policy_key: record.signer().map(|signer| signer.name().to_string()),
                }),
            },
            would_open: seen.map(|_| differences.is_empty() && objection.is_none()),
            genuine,
            objection,
            differences,
        }
    }
}

impl FurtherReport {
    fn new(token: TokenId, further: Result<FurtherToken, RecordError>) -> Self {
        let usable = further.and_then(|further| further.keyslot().map(|slot| (slot, further)));
        match usable {
            Ok((keyslot, further)) => Self {
                token,
                keyslot: Some(keyslot),
                enrolled_with: Some(further.enrolled_with().to_owned()),
                secret_id: Some(further.secret_id().to_owned()),
                error: None,
            },
            Err(error) => Self {
                token,
                keyslot: None,
                enrolled_with: None,
                secret_id: None,
                error: Some(error.to_string()),
            },
        }
    }
}

fn keyslots(header: &CheckedHeader, records: &[RecordReport]) -> Vec<KeyslotReport> {
    let recovery = find_recovery_keys(header);
    let metadata = header.metadata();
    let purpose = |number: u32| {
        let record = records
            .iter()
            .find(|record| matches!(&record.state, RecordState::Usable { details, .. } if details.keyslot == number));
        if let Some(record) = record {
            return format!("record {}", record.record);
        }
        if recovery
            .iter()
            .any(|(_, keyslots)| keyslots.contains(&number))
        {
            return "recovery key".into();
        }
        match metadata
            .tokens
            .iter()
            .find(|(_, token)| token.keyslots.contains(&number))
        {
            Some((id, token)) => {
                let kind: String = token.kind.chars().take(40).collect();
                format!("token {id} ({})", printable::line(kind))
            }
            None => "passphrase".into(),
        }
    };
    metadata
        .keyslots
        .iter()
        .map(|(number, keyslot)| KeyslotReport {
            keyslot: *number,
            kdf: match keyslot {
                Keyslot::Luks2(keyslot) => match &keyslot.kdf {
                    Kdf::Pbkdf2 { iterations, .. } => format!("pbkdf2, {iterations} iterations"),
                    Kdf::Argon2i { memory, .. } => format!("argon2i, {memory} KiB"),
                    Kdf::Argon2id { memory, .. } => format!("argon2id, {memory} KiB"),
                },
                Keyslot::Other(kind) => printable::line(kind).to_string(),
            },
            purpose: purpose(*number),
        })
        .collect()
}
