//! The events of a TPM 2.0 launch, computed from the files of a boot, and the PCR values they give.
//!
//! SINIT measures first (into PCR 17 what was launched, into PCR 18 by whose authority), then tboot:
//! its policy, then the modules. Order and rules are those of TXT's "details and authorities" PCR
//! mapping, the only one on TPM 2.0; checked against the log and PCRs of a real host.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tpm::pcr::{Bank, PcrIndex, PcrSyntaxError};
use txt::mlehash::{Mle, MleError};

use crate::{
    module::{Module, ModuleError},
    platform::{Measured, PlatformRecord, bank_alg},
    vlp::Policy,
};

mod extpol;
pub(crate) mod modules;
mod replay;

pub use extpol::{Extpol, ExtpolError, extend_policy};
pub use modules::{Finding, HashedModule, Mapping, Measurements, TbootRules, tboot_events};
pub use replay::{HashStartReading, replay, replay_reading};

/// Event types of the TXT Software Development Guide (EVTYPE_BASE 0x400) and of tboot.
pub mod event_type {
    /// What the CPU measured of SINIT.
    pub const HASH_START: u32 = 0x402;
    /// tboot.
    pub const MLE_HASH: u32 = 0x404;
    /// BIOS ACM registration data.
    pub const BIOSAC_REG_DATA: u32 = 0x40a;
    /// Status of the CPU's static root of trust.
    pub const CPU_SCRTM_STAT: u32 = 0x40b;
    /// PolicyControl of the launch control policy.
    pub const LCP_CONTROL_HASH: u32 = 0x40c;
    /// The SMM transfer monitor.
    pub const STM_HASH: u32 = 0x40e;
    /// OsSinitData.Capabilities.
    pub const OSSINITDATA_CAP_HASH: u32 = 0x40f;
    /// The key that signed SINIT.
    pub const SINIT_PUBKEY_HASH: u32 = 0x410;
    /// Matching elements of the launch control policy.
    pub const LCP_DETAILS_HASH: u32 = 0x412;
    /// Signers of the launch control policy.
    pub const LCP_AUTHORITIES_HASH: u32 = 0x413;
    /// Attributes of NV indices.
    pub const NV_INFO_HASH: u32 = 0x414;
    /// Everything that tboot extends itself.
    pub const TBOOT: u32 = 0x501;
}

/// Most events that tboot's list of extends holds.
const MAX_TBOOT_EVENTS: usize = 32;
/// Where the CPU, SINIT and tboot talk to the TPM.
const LOCALITY_CPU: u8 = 4;
const LOCALITY_SINIT: u8 = 3;
const LOCALITY_TBOOT: u8 = 2;

/// The files of a boot.
#[derive(Clone, Debug)]
pub struct LaunchInput {
    /// tboot.gz, or uncompressed.
    pub tboot: Vec<u8>,
    /// tboot's command line as GRUB passes it: the text after the file name.
    pub tboot_cmdline: Vec<u8>,
    /// The modules in GRUB's order, SINIT modules and LCP data left out as tboot does.
    pub modules: Vec<Module>,
    /// The verified launch policy; `None` for tboot's built-in one.
    pub vlp: Option<Policy>,
    /// The platform's own measurements.
    pub platform: PlatformRecord,
}

/// One extend of a PCR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The register.
    #[serde(serialize_with = "pcr_number")]
    pub pcr: PcrIndex,
    /// The locality that extends it: 4 CPU, 3 SINIT, 2 tboot.
    pub locality: u8,
    /// The number in the event log, see [`event_type`].
    pub event_type: u32,
    /// The event's name, or what tboot measures.
    pub name: String,
    /// The file that it measures.
    pub file: Option<String>,
    /// The measured data, for [`event_type::HASH_START`] when known: what TPM_HASH_DATA carries.
    #[serde(serialize_with = "hex_data")]
    pub data: Option<Vec<u8>>,
    /// The digest in each bank that is extended.
    #[serde(serialize_with = "hex_digests")]
    pub digests: BTreeMap<Bank, Vec<u8>>,
}

/// What a launch does.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The extends in order.
    pub events: Vec<Event>,
    /// Where the modules are not as the policy wants them.
    pub findings: Vec<Finding>,
    /// Does tboot halt because of the findings?
    pub halts: bool,
}

/// A boot whose PCR values can't be computed.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// tboot can't be hashed.
    #[error("tboot: {0}")]
    Mle(#[from] MleError),
    /// A module can't be hashed.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// tboot's command line asks for an extend policy that is not computed here.
    #[error(transparent)]
    Extpol(#[from] ExtpolError),
    /// The platform record lacks the bank that tboot extends.
    #[error(
        "tboot extends the {0} bank, but the platform record lacks {0} digests: take it again from a boot with this bank"
    )]
    Bank(Bank),
    /// The policy compares hashes of one algorithm while tboot computes another.
    #[error(
        "the policy holds {policy} hashes but tboot measures with {extend}: make both the same (tboot's extpol= option)"
    )]
    PolicyAlg {
        /// The policy's algorithm.
        policy: txt::hash::HashAlg,
        /// The algorithm of the bank that tboot extends.
        extend: txt::hash::HashAlg,
    },
    /// No kernel.
    #[error("there is no module: tboot needs at least a kernel")]
    NoModules,
    /// More than tboot can extend.
    #[error("tboot would extend {0} times, its list holds {MAX_TBOOT_EVENTS}: load fewer modules")]
    TooManyEvents(usize),
    /// A digest of the wrong length.
    #[error(transparent)]
    Digest(#[from] PcrSyntaxError),
}

/// The events of the launch of these files on this platform.
pub fn launch(input: &LaunchInput) -> Result<Launch, LaunchError> {
    let banks = input.platform.banks();
    let rules = TbootRules::tpm2(extend_policy(&input.tboot_cmdline)?, &banks);
    if let Some(bank) = rules.banks.iter().find(|bank| !banks.contains(bank)) {
        return Err(LaunchError::Bank(*bank));
    }
    let mut events = sinit_events(input, &banks)?;
    let default = Policy::default_tpm2();
    let policy = input.vlp.as_ref().unwrap_or(&default);
    let hashed = input
        .modules
        .iter()
        .map(|module| HashedModule::of(module, &rules.banks))
        .collect::<Result<Vec<_>, _>>()?;
    let measured = tboot_events(policy, &hashed, &rules)?;
    events.extend(measured.events);
    Ok(Launch {
        events,
        findings: measured.findings,
        halts: measured.halts,
    })
}

/// What the CPU and SINIT extend.
fn sinit_events(input: &LaunchInput, banks: &BTreeSet<Bank>) -> Result<Vec<Event>, LaunchError> {
    use event_type as t;
    let mle = Mle::parse(&input.tboot)?;
    let mle_digests = banks
        .iter()
        .map(|bank| {
            let hash = mle.hash(bank_alg(*bank), &input.tboot_cmdline)?;
            Ok((*bank, hash.as_bytes().to_vec()))
        })
        .collect::<Result<_, MleError>>()?;
    let mle_hash = Measured::Digests(mle_digests);
    let platform = &input.platform;
    let details = [
        (t::HASH_START, "HASH_START", &platform.hash_start),
        (
            t::BIOSAC_REG_DATA,
            "BIOSAC_REG_DATA",
            &platform.biosac_reg_data,
        ),
        (
            t::CPU_SCRTM_STAT,
            "CPU_SCRTM_STAT",
            &platform.cpu_scrtm_stat,
        ),
        (
            t::LCP_CONTROL_HASH,
            "LCP_CONTROL_HASH",
            &platform.lcp_control_hash,
        ),
        (
            t::LCP_DETAILS_HASH,
            "LCP_DETAILS_HASH",
            &platform.lcp_details_hash,
        ),
        (t::STM_HASH, "STM_HASH", &platform.stm_hash),
        (
            t::OSSINITDATA_CAP_HASH,
            "OSSINITDATA_CAP_HASH",
            &platform.ossinitdata_cap_hash,
        ),
        (t::MLE_HASH, "MLE_HASH", &mle_hash),
        (t::NV_INFO_HASH, "NV_INFO_HASH", &platform.nv_info_hash),
    ];
    let authorities = [
        (
            t::SINIT_PUBKEY_HASH,
            "SINIT_PUBKEY_HASH",
            &platform.sinit_pubkey_hash,
        ),
        (
            t::CPU_SCRTM_STAT,
            "CPU_SCRTM_STAT",
            &platform.cpu_scrtm_stat,
        ),
        (
            t::OSSINITDATA_CAP_HASH,
            "OSSINITDATA_CAP_HASH",
            &platform.ossinitdata_cap_hash,
        ),
        (
            t::LCP_CONTROL_HASH,
            "LCP_CONTROL_HASH",
            &platform.lcp_control_hash,
        ),
        (
            t::LCP_AUTHORITIES_HASH,
            "LCP_AUTHORITIES_HASH",
            &platform.lcp_authorities_hash,
        ),
        (t::NV_INFO_HASH, "NV_INFO_HASH", &platform.nv_info_hash),
    ];
    let (pcr17, pcr18) = (PcrIndex::try_from(17)?, PcrIndex::try_from(18)?);
    let details = details.iter().map(|event| (pcr17, event));
    let authorities = authorities.iter().map(|event| (pcr18, event));
    let events = details
        .chain(authorities)
        .map(|(pcr, (event_type, name, measured))| {
            let cpu = *event_type == t::HASH_START;
            Event {
                pcr,
                locality: if cpu { LOCALITY_CPU } else { LOCALITY_SINIT },
                event_type: *event_type,
                name: (*name).to_owned(),
                file: (*event_type == t::MLE_HASH).then(|| "tboot".to_owned()),
                data: if cpu {
                    measured.data().map(<[u8]>::to_vec)
                } else {
                    None
                },
                digests: banks
                    .iter()
                    .filter_map(|bank| Some((*bank, measured.digest(*bank)?)))
                    .collect(),
            }
        });
    Ok(events.collect())
}

fn pcr_number<S: serde::Serializer>(pcr: &PcrIndex, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(pcr.get())
}

fn hex_data<S: serde::Serializer>(
    data: &Option<Vec<u8>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    data.as_ref().map(hex::encode).serialize(serializer)
}

fn hex_digests<S: serde::Serializer>(
    digests: &BTreeMap<Bank, Vec<u8>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        digests
            .iter()
            .map(|(bank, digest)| (bank, hex::encode(digest))),
    )
}
