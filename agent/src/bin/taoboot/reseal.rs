//! `taoboot reseal`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use agent::unlock::{
    SealedRecord, TokenId, VolumeHeader,
    enrolment::{WipeRequest, wipe},
    find_records,
};
use anyhow::{Result, bail, ensure};
use argh::FromArgs;
use serde_json::json;
use tpm::{CounterLimit, Tpm2};

use crate::{
    passphrase,
    predictions::{Entry, Source, select, short_text},
    prune, rollback, root_volume,
    sealer::{Sealer, Wanted},
    time,
    verdict::{TpmState, Verdict},
};

const EXIT_SOME_WILL_ASK: u8 = 1;

/// Seal the boot secret for the launches that GRUB's menu offers, before they happen. Records
/// of other launches stay. The resident agent does it without a passphrase; where there is
/// none, a passphrase or the recovery key does. Exit code 0: every entry that boots tboot has a
/// record, 1: some have none, 2: it failed.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "reseal",
    example = "After a kernel, initramfs, tboot or command line was changed:\n  taoboot reseal",
    example = "Where the machine asked for the recovery key:\n  taoboot reseal --recovery-key"
)]
pub struct Reseal {
    /// the LUKS2 volume (default: the one under the root file system)
    #[argh(option, arg_name = "device")]
    volume: Option<PathBuf>,
    /// what `tboot-policy predict --all --json` printed, - for standard input (default: run it)
    #[argh(option, arg_name = "file")]
    predictions: Option<PathBuf>,
    /// record of the platform (default /var/lib/taoboot/platform.json)
    #[argh(option, arg_name = "file")]
    platform: Option<PathBuf>,
    /// tboot's policy in the TPM (default /etc/taoboot/vlp.pol, or the built-in one)
    #[argh(option, arg_name = "file")]
    policy: Option<PathBuf>,
    /// grub.cfg (default /boot/grub/grub.cfg)
    #[argh(option, arg_name = "file")]
    grub_config: Option<PathBuf>,
    /// PATH=FILE: what will stand at PATH lies at FILE now; may be repeated
    #[argh(option, arg_name = "path=file")]
    replace: Vec<String>,
    /// only this entry, by place, id or title; may be repeated
    #[argh(option, arg_name = "entry")]
    entry: Vec<String>,
    /// remove records that no entry of the menu and not the running launch needs, but for the
    /// newest N
    #[argh(option, arg_name = "n")]
    keep: Option<usize>,
    /// let the approvals end when the TPM's rollback counter is raised (`taoboot retire`); the
    /// counter is made if there is none
    #[argh(switch)]
    rollback_counter: bool,
    /// file with the password of the TPM's owner, if it has one, for making the counter
    #[argh(option, arg_name = "file")]
    owner_password_file: Option<PathBuf>,
    /// do it with a passphrase of the volume, from this file
    #[argh(option, arg_name = "file")]
    passphrase_file: Option<PathBuf>,
    /// do it with the recovery key or another passphrase, which is asked for
    #[argh(switch)]
    recovery_key: bool,
    /// with a passphrase: make a new secret for the Tao host, which only the TPM and the resident
    /// agent know. In these launches the host has other keys, and what hosted programs sealed is
    /// lost to them
    #[argh(switch)]
    new_host_secret: bool,
    /// the resident agent's socket (default /run/tao/reseal.sock)
    #[argh(option, default = "agent::reseal::SOCKET.into()", arg_name = "path")]
    socket: PathBuf,
    /// the TPM (default device:/dev/tpmrm0)
    #[argh(option, default = "crate::DEFAULT_TCTI.into()")]
    tcti: String,
    /// print the result as JSON
    #[argh(switch)]
    json: bool,
}

/// What was done for one entry.
struct Outcome {
    entry: String,
    id: Option<String>,
    /// `present`, `sealed` or `failed`.
    result: &'static str,
    record: Option<TokenId>,
    why: String,
}

impl Reseal {
    pub fn run(self) -> Result<ExitCode> {
        if self.passphrase_file.is_some() && self.recovery_key {
            bail!("give only one of --passphrase-file and --recovery-key");
        }
        if self.new_host_secret && self.passphrase_file.is_none() && !self.recovery_key {
            bail!(
                "--new-host-secret goes with --recovery-key or --passphrase-file: the resident agent keeps the host's secret"
            );
        }
        let device = root_volume::named_or_root(self.volume.as_deref())?;
        let header = VolumeHeader::read(&device)?;
        header.check()?;
        let entries = self.source().entries()?;
        let wanted = select(&entries, &self.entry)?;
        ensure!(
            !wanted.is_empty(),
            "20_linux_taoboot has made no entry of GRUB's menu: run update-grub with it installed, or name another entry with --entry"
        );
        let counter = self.counter_limit(&usable(&header))?;
        let tpm = TpmState::ask(&self.tcti);
        let mut sealer = None;
        let mut outcomes = Vec::new();
        for entry in wanted {
            let header = VolumeHeader::read(&device)?;
            let outcome = match present(entry, &usable(&header), &tpm, counter) {
                Some(outcome) => outcome,
                None => {
                    let sealer = match &mut sealer {
                        Some(sealer) => sealer,
                        none => none.insert(self.sealer(&device)?),
                    };
                    seal(entry, sealer, &header, counter)
                }
            };
            if !self.json {
                outcome.print();
            }
            outcomes.push(outcome);
        }
        drop(sealer);
        let pruned = match self.keep {
            Some(keep) => self.prune(&device, &entries, keep)?,
            None => Vec::new(),
        };
        if self.json {
            let list: Vec<_> = outcomes.iter().map(Outcome::json).collect();
            println!(
                "{:#}",
                json!({ "volume": device, "entries": list, "pruned": pruned })
            );
        }
        let all_open = outcomes.iter().all(|outcome| outcome.record.is_some());
        Ok(if all_open {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(EXIT_SOME_WILL_ASK)
        })
    }

    fn source(&self) -> Source {
        Source {
            predictions: self.predictions.clone(),
            platform: self.platform.clone(),
            policy: self.policy.clone(),
            grub_config: self.grub_config.clone(),
            replace: self.replace.clone(),
        }
    }

    fn sealer(&self, device: &Path) -> Result<Sealer> {
        if self.passphrase_file.is_none() && !self.recovery_key {
            return Sealer::resident(device, &self.socket);
        }
        let passphrase = passphrase::existing(self.passphrase_file.as_deref(), device)?;
        Sealer::key(device, &passphrase, &self.tcti, self.new_host_secret)
    }

    /// Once a volume's approvals have limits, new ones have them, too.
    fn counter_limit(&self, records: &[(TokenId, SealedRecord)]) -> Result<Option<CounterLimit>> {
        let in_use = records.iter().any(|(_, record)| record.counter().is_some());
        if !self.rollback_counter && !in_use {
            return Ok(None);
        }
        let password = passphrase::owner(self.owner_password_file.as_deref())?;
        rollback::present_limit(&mut Tpm2::open(&self.tcti)?, &password).map(Some)
    }

    fn prune(&self, device: &Path, entries: &[Entry], keep: usize) -> Result<Vec<TokenId>> {
        let header = VolumeHeader::read(device)?;
        let stale = match prune::stale(&header, entries, &self.tcti, keep) {
            Ok(stale) => stale,
            Err(error) => {
                eprintln!("taoboot: no record is removed: {error:#}");
                return Ok(Vec::new());
            }
        };
        if stale.is_empty() {
            return Ok(stale);
        }
        wipe(device, WipeRequest::Records(stale.clone()), false)?;
        if !self.json {
            let list: Vec<String> = stale.iter().map(ToString::to_string).collect();
            println!("removed records that nothing needs: {}", list.join(", "));
        }
        Ok(stale)
    }
}

/// The usable records.
pub fn usable(header: &VolumeHeader) -> Vec<(TokenId, SealedRecord)> {
    let records = find_records(header).into_iter();
    records
        .filter_map(|(token, record)| Some((token, record.ok()?)))
        .collect()
}

/// Nothing to do, or nothing that can be done.
fn present(
    entry: &Entry,
    records: &[(TokenId, SealedRecord)],
    tpm: &TpmState,
    counter: Option<CounterLimit>,
) -> Option<Outcome> {
    let outcome = |result, record, why| Outcome {
        entry: entry.name.clone(),
        id: entry.id.clone(),
        result,
        record,
        why,
    };
    if let Err(why) = &entry.predicted {
        return Some(outcome("failed", None, why.clone()));
    }
    if entry.halts {
        let why = "tboot would halt: its policy does not allow these files";
        return Some(outcome("failed", None, why.into()));
    }
    // A record without limit does not do where limits are asked for.
    let limited: Vec<_> = records
        .iter()
        .filter(|(_, record)| counter.is_none() || record.counter().is_some())
        .cloned()
        .collect();
    let verdict = Verdict::of(entry, &limited, tpm);
    verdict
        .record
        .map(|record| outcome("present", Some(record), String::new()))
}

fn seal(
    entry: &Entry,
    sealer: &mut Sealer,
    header: &VolumeHeader,
    counter: Option<CounterLimit>,
) -> Outcome {
    let outcome = |result, record, why| Outcome {
        entry: entry.name.clone(),
        id: entry.id.clone(),
        result,
        record,
        why,
    };
    let values = match &entry.predicted {
        Ok(values) => values.clone(),
        Err(why) => return outcome("failed", None, why.clone()),
    };
    let wanted = Wanted {
        values,
        counter,
        label: short_text(&entry.title),
        components: entry.components.clone(),
        files: entry.files.clone(),
        created: time::now(),
    };
    match sealer.seal(header, wanted) {
        Ok(record) => outcome("sealed", Some(record), String::new()),
        Err(error) => outcome("failed", None, crate::sentence(&error)),
    }
}

impl Outcome {
    fn print(&self) {
        match (self.result, self.record) {
            ("present", Some(record)) => println!("{}: record {record} is for it", self.entry),
            (_, Some(record)) => println!("{}: sealed, record {record}", self.entry),
            _ => eprintln!("{}: WILL ASK for a passphrase: {}", self.entry, self.why),
        }
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "entry": self.entry,
            "id": self.id,
            "result": self.result,
            "record": self.record,
            "why": self.why,
        })
    }
}
