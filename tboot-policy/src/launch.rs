//! The events of a TPM 2.0 launch, computed from the files of a boot, and the PCR values they give.
//!
//! SINIT measures first (into PCR 17 what was launched, into PCR 18 by whose authority), then tboot:
//! its policy, then the modules. Order and rules are those of TXT's "details and authorities" PCR
//! mapping, the only one on TPM 2.0; checked against the log and PCRs of a real host.

use std::collections::BTreeSet;

use tpm::pcr::{Bank, PcrIndex};
use txt::mlehash::{Mle, MleError};

use self::event::{LOCALITY_CPU, LOCALITY_SINIT};
use crate::{
    module::Module,
    platform::{Measured, PlatformRecord, bank_alg},
    vlp::Policy,
};

mod error;
mod event;
pub mod event_type;
mod extpol;
pub(crate) mod modules;
mod replay;

pub use error::LaunchError;
pub use event::Event;
pub use extpol::{Extpol, ExtpolError, extend_policy};
pub use modules::{Finding, HashedModule, Mapping, Measurements, TbootRules, tboot_events};
pub use replay::{HashStartReading, replay, replay_reading};

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
