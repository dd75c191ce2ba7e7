//! The PCRs of a launch that has not happened yet.
//!
//! Most of what SINIT measures only the platform knows: it is taken from the log of a launch that
//! replayed to its PCRs ([`Baseline`]). What the files of the boot determine is computed anew: tboot
//! with its command line, OsSinitData's capabilities, the launch control policy's control field, and
//! everything that tboot extends itself. What is neither known nor computable is refused.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tpm::pcr::{Bank, PcrSyntaxError, PcrValues};
use txt::policy::{Policy as LcpPolicy, PolicyType as LcpType};

use crate::{
    acm::Role,
    extends::{Extpol, Finding, HashedModule, Mapping, TbootRules, extend_policy, tboot_events},
    grub::BootFiles,
    log::{EventLog, Format, LogEvent, event_type, replay},
    module::Module,
    platform::bank_alg,
    tboot::Tboot,
    vlp::{Object, Policy},
};

mod baseline;
mod caps;
mod error;
mod family;
pub mod printed;

pub use baseline::{Baseline, BaselineError, FileHash, disagreement};
pub use error::PredictError;
pub use family::{Family, UnknownFamily};

/// What is to be launched.
#[derive(Clone, Debug)]
pub struct Launching {
    /// tboot's name, for the listing.
    pub tboot_name: String,
    /// tboot.
    pub tboot: Tboot,
    /// tboot's command line.
    pub tboot_cmdline: Vec<u8>,
    /// The modules as tboot counts them.
    pub modules: Vec<Module>,
    /// The verified launch policy; `None`: tboot's built-in one.
    pub vlp: Option<Policy>,
    /// The owner's launch control policy; `None`: as it was at the recorded launch.
    pub lcp: Option<LcpPolicy>,
    /// The SINIT modules and policy data that GRUB loads.
    pub left_out: Vec<FileHash>,
}

impl Launching {
    /// The launch of a GRUB entry's files under a verified launch policy (`None`: tboot's built-in
    /// one), with the launch control policy of the recorded launch.
    pub fn of(files: BootFiles, vlp: Option<Policy>) -> Self {
        Self {
            left_out: files.hashes(),
            tboot_name: files.tboot_path.display().to_string(),
            tboot: files.tboot,
            tboot_cmdline: files.tboot_cmdline,
            modules: files.modules,
            vlp,
            lcp: None,
        }
    }
}

/// One line of the comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The register.
    pub pcr: u32,
    /// The event's name.
    pub name: String,
    /// The file that it measures.
    pub file: Option<String>,
    /// The recorded launch's event.
    pub old: Option<LogEvent>,
    /// The coming launch's event.
    pub new: Option<LogEvent>,
}

impl Row {
    /// Is anything different?
    pub fn changed(&self) -> bool {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => (old.pcr, &old.digests) != (new.pcr, &new.digests),
            _ => true,
        }
    }
}

/// PCR 17, 18 and 19 of one bank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankValues {
    /// At the recorded launch, where the record has it.
    pub old: Option<PcrValues>,
    /// At the coming one.
    pub new: PcrValues,
}

/// The outcome.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The events, old beside new, in the order of the launch.
    pub rows: Vec<Row>,
    /// The registers in every bank of the record, also in those that tboot leaves alone: to be
    /// sealed to is only what [`Self::sealable`] gives.
    pub values: BTreeMap<Bank, BankValues>,
    /// Which banks tboot extends; `None` on TPM 1.2, which has one.
    pub extpol: Option<Extpol>,
    /// Where the modules are not as the policy wants them.
    pub findings: Vec<Finding>,
    /// Does tboot halt because of them?
    pub halts: bool,
    /// What holds only if something is as it was; one sentence each.
    pub warnings: Vec<String>,
}

impl Prediction {
    /// The values of a bank that tboot's measurements are in, under a policy that tboot enforces:
    /// in another bank PCR 17-19 are the same whatever kernel is booted.
    ///
    /// # Errors
    /// [`PredictError::NotExtended`], [`PredictError::Embedded`], or [`PredictError::Bank`] when
    /// the record lacks the bank.
    pub fn sealable(&self, bank: Bank) -> Result<&BankValues, PredictError> {
        match self.extpol {
            Some(Extpol::Embedded) => return Err(PredictError::Embedded),
            Some(Extpol::Fixed(extended)) if extended != bank => {
                return Err(PredictError::NotExtended {
                    asked: bank,
                    extended,
                });
            }
            _ => {}
        }
        self.values.get(&bank).ok_or(PredictError::Bank(bank))
    }
}

/// Predicts a launch.
pub fn predict(baseline: &Baseline, launching: &Launching) -> Result<Prediction, PredictError> {
    let mut warnings = Vec::new();
    baseline.check_files(&launching.left_out, &mut warnings)?;
    let banks = baseline.banks();
    let default = baseline.default_policy();
    let policy = match &launching.vlp {
        Some(policy) => policy,
        None => {
            warnings.push(
                "no policy is given: predicted for tboot's built-in one, which counts only when neither the TPM's NV index nor the launch control policy holds another"
                    .to_owned(),
            );
            &default
        }
    };
    let extpol = match baseline.family {
        Family::Tpm20 => Some(extend_policy(&launching.tboot_cmdline)?),
        Family::Tpm12 => None,
    };
    let rules = match extpol {
        Some(extpol) => TbootRules::tpm2(extpol, &banks),
        None => TbootRules::tpm12(baseline.mapping),
    };
    if let Some(bank) = rules.banks.iter().find(|bank| !banks.contains(bank)) {
        return Err(PredictError::Bank(*bank));
    }
    if baseline.family == Family::Tpm12 {
        check_tpm12_options(baseline, launching, policy)?;
    }
    let mut rows = sinit_rows(baseline, launching, &banks, &mut warnings)?;
    let hashed = launching
        .modules
        .iter()
        .map(|module| HashedModule::of(module, &rules.banks))
        .collect::<Result<Vec<_>, _>>()?;
    let measured = tboot_events(policy, &hashed, &rules)?;
    let mut old = baseline.by_tboot();
    for event in measured.events {
        rows.push(Row {
            pcr: event.pcr.get().into(),
            name: event.name,
            file: event.file,
            old: old.next().cloned(),
            new: Some(LogEvent {
                pcr: event.pcr.get().into(),
                event_type: event_type::TBOOT,
                digests: event.digests,
                data: Vec::new(),
            }),
        });
    }
    rows.extend(old.map(|event| Row {
        pcr: event.pcr,
        name: "tboot (no more)".to_owned(),
        file: None,
        old: Some(event.clone()),
        new: None,
    }));
    let values = values(baseline, &rows, &banks)?;
    Ok(Prediction {
        rows,
        values,
        extpol,
        findings: measured.findings,
        halts: measured.halts,
        warnings,
    })
}

/// What tboot's command line changes on TPM 1.2.
fn check_tpm12_options(
    baseline: &Baseline,
    launching: &Launching,
    policy: &Policy,
) -> Result<(), PredictError> {
    let options = String::from_utf8_lossy(&launching.tboot_cmdline);
    let option = |wanted: &str| options.split_ascii_whitespace().any(|word| word == wanted);
    let da = baseline.mapping == Mapping::DetailsAuthorities;
    if option("pcr_map=da") != da {
        let recorded = if da { "details/authorities" } else { "legacy" };
        return Err(PredictError::Mapping { recorded });
    }
    let nv = |object| matches!(object, Object::NvHashed | Object::NvRaw);
    let names_nv = policy.entries().iter().any(|entry| nv(entry.object));
    if option("measure_nv=true") && names_nv {
        return Err(PredictError::MeasuredNv);
    }
    Ok(())
}

fn values(
    baseline: &Baseline,
    rows: &[Row],
    banks: &BTreeSet<Bank>,
) -> Result<BTreeMap<Bank, BankValues>, PcrSyntaxError> {
    let log = |events: Vec<LogEvent>| EventLog {
        format: Format::Merged,
        events,
    };
    let new = log(rows.iter().filter_map(|row| row.new.clone()).collect());
    let old = log(baseline.events.clone());
    let mut values = BTreeMap::new();
    for bank in banks {
        values.insert(
            *bank,
            BankValues {
                old: match baseline.complete {
                    true => Some(replay::launch_values(&old, *bank, baseline.reading)?),
                    false => None,
                },
                new: replay::launch_values(&new, *bank, baseline.reading)?,
            },
        );
    }
    Ok(values)
}

/// What SINIT measures, with what the new files change in it.
fn sinit_rows(
    baseline: &Baseline,
    launching: &Launching,
    banks: &BTreeSet<Bank>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Row>, PredictError> {
    let mle = &launching.tboot;
    let mut mle_hash = BTreeMap::new();
    for bank in banks {
        let hash = mle.hash(bank_alg(*bank), &launching.tboot_cmdline)?;
        mle_hash.insert(*bank, hash.as_bytes().to_vec());
    }
    let of_data = |data: &[u8]| -> BTreeMap<Bank, Vec<u8>> {
        let digest = |bank: &Bank| (*bank, bank_alg(*bank).digest(data).as_bytes().to_vec());
        banks.iter().map(digest).collect()
    };
    let lcp = launching
        .lcp
        .as_ref()
        .map(|policy| lcp_change(baseline, policy));
    let lcp = lcp.transpose()?;
    if lcp.is_some() {
        warnings.push(
            "LCP_CONTROL_HASH is computed of the policy's control field; a platform supplier's policy may change it"
                .to_owned(),
        );
    }
    let mut rows = Vec::new();
    for old in baseline.by_sinit() {
        let mut new = old.clone();
        let mut file = None;
        match old.event_type {
            event_type::MLE_HASH => {
                new.digests = mle_hash.clone();
                file = Some(launching.tboot_name.clone());
            }
            event_type::OSSINITDATA_CAP_HASH => {
                if let Some(data) =
                    caps::changed(old, mle.header().capabilities, &launching.tboot_cmdline)?
                {
                    new.digests = of_data(&data.to_le_bytes());
                    file = Some(launching.tboot_name.clone());
                }
            }
            event_type::LCP_CONTROL_HASH => {
                if let Some((control, _)) = lcp {
                    new.digests = of_data(&control.to_le_bytes());
                    file = Some("launch control policy".to_owned());
                }
            }
            event_type::LCP_DETAILS_HASH | event_type::LCP_AUTHORITIES_HASH => {
                if let Some((_, LcpType::Any)) = lcp {
                    new.digests = of_data(&[0]);
                    file = Some("launch control policy".to_owned());
                }
            }
            _ => {}
        }
        rows.push(Row {
            pcr: old.pcr,
            name: old.name(),
            file,
            old: baseline.complete.then(|| old.clone()),
            new: Some(new),
        });
    }
    Ok(rows)
}

/// Control field and type of a new launch control policy, where its effect can be computed.
fn lcp_change(baseline: &Baseline, policy: &LcpPolicy) -> Result<(u32, LcpType), PredictError> {
    if baseline.mapping == Mapping::Legacy {
        return Err(PredictError::Lcp(
            "with the legacy mapping of TPM 1.2 the policy's hash is part of COMBINED_HASH, which only SINIT computes",
        ));
    }
    let (control, kind) = match policy {
        LcpPolicy::Tpm12(policy) => (policy.control, policy.policy_type),
        LcpPolicy::Tpm20(policy) => (policy.control, policy.policy_type),
    };
    let known = |role| baseline.left_out.iter().any(|file| file.role == role);
    if kind == LcpType::List && !known(Role::LcpData) {
        return Err(PredictError::Lcp(
            "LCP_DETAILS_HASH and LCP_AUTHORITIES_HASH of a list policy are only known from a launch under the same policy data, and the record names none",
        ));
    }
    Ok((control, kind))
}
