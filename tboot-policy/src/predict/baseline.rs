//! The recorded launch that a prediction begins with.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tpm::pcr::{Bank, PcrValues};
use txt::hash::HashAlg;

use super::{error::PredictError, family::Family};
use crate::{
    acm::Role,
    extends::Mapping,
    log::{
        EventLog, Format, LogEvent, event_type, names,
        replay::{Agreement, Reading, Register, compare},
    },
    platform::{BANKS, Measured, PlatformRecord},
    vlp::Policy,
};

/// A SINIT module or policy data, by its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileHash {
    /// What it is.
    pub role: Role,
    /// Its name, for messages.
    pub name: String,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

impl FileHash {
    /// The hash of a file.
    pub fn of(role: Role, name: &str, content: &[u8]) -> Self {
        Self {
            role,
            name: name.to_owned(),
            sha256: HashAlg::Sha256.digest(content).to_string(),
        }
    }
}

/// A launch whose log replayed to its PCRs. As JSON: a platform record, which predictions can begin
/// with until SINIT, firmware or launch control policy change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Which TPM.
    #[serde(rename = "tpm")]
    pub family: Family,
    /// Which registers.
    pub mapping: Mapping,
    /// How HASH_START becomes PCR 17 there.
    pub reading: Reading,
    /// Are the events those of a whole launch? (A simulated platform has none of tboot.)
    pub complete: bool,
    /// The events of the launch, in the banks that agreed with the PCRs.
    pub events: Vec<LogEvent>,
    /// The SINIT modules and policy data that were loaded, as far as it is known.
    #[serde(default)]
    pub left_out: Vec<FileHash>,
}

/// A log that no prediction can begin with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaselineError {
    /// Nothing to check it with.
    #[error(
        "a log says nothing until it is compared with PCR 17 and 18: give their values (--pcrs), or run on the machine itself"
    )]
    NotCompared,
    /// The log does not lead to the PCRs.
    #[error("the log does not lead to the PCRs: {0}; predict from the log of a launch that does")]
    Disagrees(String),
    /// An event that no rule is known for.
    #[error(
        "event {place} (type {event_type:#x} in PCR {pcr}) is unknown: whether it changes with the files cannot be said"
    )]
    UnknownEvent {
        /// Its place in the log, from 0.
        place: usize,
        /// Its type.
        event_type: u32,
        /// Its register.
        pcr: u32,
    },
    /// A log without what must be there.
    #[error(
        "the log has no {0} event: SINIT's log is incomplete, as some SINIT modules leave it; nothing can be predicted from it"
    )]
    Missing(&'static str),
    /// SHA-1 only, and it may be of either TPM.
    #[error("the log has SHA-1 digests only: say with --tpm 1.2 or --tpm 2.0 which TPM it is of")]
    Family,
}

impl Baseline {
    /// Checks a log against PCR values; only banks that agree are kept.
    pub fn from_log(
        log: &EventLog,
        pcrs: &[PcrValues],
        family: Option<Family>,
    ) -> Result<Self, BaselineError> {
        let launch_only = |register: &Register| (17..=19).contains(&register.pcr);
        let compared: Vec<Register> = compare(log, pcrs).into_iter().filter(launch_only).collect();
        if let Some(sentence) = compared.iter().find_map(|r| disagreement(log, r)) {
            return Err(BaselineError::Disagrees(sentence));
        }
        let mut banks = BTreeSet::new();
        let mut reading = Reading::Extended;
        for bank in BANKS {
            let agrees = |pcr: u8| {
                let of = compared.iter().find(|r| r.bank == bank && r.pcr == pcr);
                of.and_then(|register| match register.agreement {
                    Agreement::Agrees(reading) => Some(reading),
                    _ => None,
                })
            };
            if let (Some(found), Some(_)) = (agrees(17), agrees(18)) {
                banks.insert(bank);
                reading = found;
            }
        }
        if banks.is_empty() {
            return Err(BaselineError::NotCompared);
        }
        let mut events = Vec::new();
        for (place, event) in log.events.iter().enumerate() {
            if !event.is_extended() || !(17..=22).contains(&event.pcr) {
                continue;
            }
            let known =
                names::is_launch(event.event_type) && names::name(event.event_type).is_some();
            if !known {
                return Err(BaselineError::UnknownEvent {
                    place,
                    event_type: event.event_type,
                    pcr: event.pcr,
                });
            }
            let mut event = event.clone();
            event.digests.retain(|bank, _| banks.contains(bank));
            events.push(event);
        }
        let has = |kind: u32| events.iter().any(|event| event.event_type == kind);
        for (kind, name) in [
            (event_type::HASH_START, "HASH_START"),
            (event_type::MLE_HASH, "MLE_HASH"),
            (event_type::TBOOT, "tboot"),
        ] {
            if !has(kind) {
                return Err(BaselineError::Missing(name));
            }
        }
        let legacy = has(COMBINED_HASH);
        let sha1_only = log.banks() == [Bank::Sha1].into();
        let family = match (family, log.format) {
            (Some(family), _) => family,
            (None, Format::TxtContainer | Format::Sha1Stream) => Family::Tpm12,
            (None, _) if legacy => Family::Tpm12,
            (None, Format::CryptoAgile | Format::TxtLegacy) => Family::Tpm20,
            (None, Format::Text | Format::Merged) if !sha1_only => Family::Tpm20,
            (None, _) => return Err(BaselineError::Family),
        };
        Ok(Self {
            family,
            mapping: if legacy {
                Mapping::Legacy
            } else {
                Mapping::DetailsAuthorities
            },
            reading,
            complete: true,
            events,
            left_out: Vec::new(),
        })
    }

    /// The platform of the simulated launch in a virtual machine: SINIT's events without a launch.
    pub fn from_platform(platform: &PlatformRecord) -> Self {
        use event_type as t;
        let zeros = Measured::Digests(BANKS.map(|bank| (bank, vec![0; bank.digest_len()])).into());
        let list = [
            (17, t::HASH_START, &platform.hash_start),
            (17, t::BIOSAC_REG_DATA, &platform.biosac_reg_data),
            (17, t::CPU_SCRTM_STAT, &platform.cpu_scrtm_stat),
            (17, t::LCP_CONTROL_HASH, &platform.lcp_control_hash),
            (17, t::LCP_DETAILS_HASH, &platform.lcp_details_hash),
            (17, t::STM_HASH, &platform.stm_hash),
            (17, t::OSSINITDATA_CAP_HASH, &platform.ossinitdata_cap_hash),
            (17, t::MLE_HASH, &zeros),
            (17, t::NV_INFO_HASH, &platform.nv_info_hash),
            (18, t::SINIT_PUBKEY_HASH, &platform.sinit_pubkey_hash),
            (18, t::CPU_SCRTM_STAT, &platform.cpu_scrtm_stat),
            (18, t::OSSINITDATA_CAP_HASH, &platform.ossinitdata_cap_hash),
            (18, t::LCP_CONTROL_HASH, &platform.lcp_control_hash),
            (18, t::LCP_AUTHORITIES_HASH, &platform.lcp_authorities_hash),
            (18, t::NV_INFO_HASH, &platform.nv_info_hash),
        ];
        let banks = platform.banks();
        let event = |(pcr, event_type, measured): (u32, u32, &Measured)| LogEvent {
            pcr,
            event_type,
            digests: banks
                .iter()
                .filter_map(|bank| Some((*bank, measured.digest(*bank)?)))
                .collect(),
            data: Vec::new(),
        };
        Self {
            family: Family::Tpm20,
            mapping: Mapping::DetailsAuthorities,
            reading: Reading::Extended,
            complete: false,
            events: list.map(event).into(),
            left_out: Vec::new(),
        }
    }

    /// The banks in which SINIT's events are known.
    pub fn banks(&self) -> BTreeSet<Bank> {
        let mut banks: BTreeSet<Bank> = BANKS.into();
        for event in self.by_sinit() {
            banks.retain(|bank| event.digests.contains_key(bank));
        }
        banks
    }

    pub(super) fn by_sinit(&self) -> impl Iterator<Item = &LogEvent> {
        self.events
            .iter()
            .filter(|event| event.event_type != event_type::TBOOT)
    }

    pub(super) fn by_tboot(&self) -> impl Iterator<Item = &LogEvent> {
        self.events
            .iter()
            .filter(|event| event.event_type == event_type::TBOOT)
    }

    /// tboot's built-in policy there.
    pub(super) fn default_policy(&self) -> Policy {
        match (self.family, self.mapping) {
            (Family::Tpm20, _) => Policy::default_tpm2(),
            (Family::Tpm12, Mapping::Legacy) => Policy::default_tpm12(),
            (Family::Tpm12, Mapping::DetailsAuthorities) => Policy::default_tpm12_da(),
        }
    }

    /// SINIT modules and policy data must be those of the recorded launch.
    pub(super) fn check_files(
        &self,
        files: &[FileHash],
        warnings: &mut Vec<String>,
    ) -> Result<(), PredictError> {
        for (role, what) in [
            (Role::Sinit, "SINIT module"),
            (Role::LcpData, "policy data"),
        ] {
            let of_role = |file: &&FileHash| file.role == role;
            let recorded: Vec<&FileHash> = self.left_out.iter().filter(of_role).collect();
            if recorded.is_empty() {
                if let Some(file) = files.iter().find(of_role) {
                    warnings.push(format!(
                        "the record does not say with which {what} it was made: {} is taken for the same",
                        file.name
                    ));
                }
                continue;
            }
            let among = |file: &FileHash, list: &[&FileHash]| {
                list.iter().any(|other| other.sha256 == file.sha256)
            };
            let given: Vec<&FileHash> = files.iter().filter(of_role).collect();
            if let Some(file) = given.iter().find(|file| !among(file, &recorded)) {
                let file = file.name.clone();
                return Err(PredictError::OtherFile { what, file });
            }
            if let Some(file) = recorded.iter().find(|file| !among(file, &given)) {
                let file = file.name.clone();
                return Err(PredictError::MissingFile { what, file });
            }
        }
        Ok(())
    }
}

/// The one digest of TPM 1.2's legacy mapping for everything but tboot.
const COMBINED_HASH: u32 = 0x403;

/// One sentence about a register that disagrees with the log; `None` where it agrees or is not
/// compared.
pub fn disagreement(log: &EventLog, register: &Register) -> Option<String> {
    let at = format!("{} PCR {}", register.bank, register.pcr);
    let name = |place: usize| {
        let event = log.events.get(place);
        let name = event.map_or(String::new(), LogEvent::name);
        format!("event {place} ({name})")
    };
    match &register.agreement {
        Agreement::Agrees(_) | Agreement::NotCompared => None,
        Agreement::NotLaunched => Some(format!(
            "{at} is all ones: that machine had no measured launch"
        )),
        Agreement::After { unseen, .. } => {
            let first = unseen
                .first()
                .map_or_else(|| "nothing".to_owned(), |first| name(*first));
            Some(format!("{at} agrees up to, but without {first}"))
        }
        Agreement::Without { event, .. } => {
            Some(format!("{at} agrees only without {}", name(*event)))
        }
        Agreement::Differs => Some(format!(
            "{at} is {}, the log gives {}",
            register
                .expected
                .as_ref()
                .map_or(String::new(), hex::encode),
            register
                .replayed
                .get(&Reading::Extended)
                .map_or(String::new(), hex::encode)
        )),
    }
}
