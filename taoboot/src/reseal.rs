//! `taoboot reseal`.

mod run;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use agent::unlock::{
    SealedRecord, TokenId, VolumeHeader,
    enrolment::{WipeRequest, wipe},
    find_records,
};
use anyhow::{Context as _, Result, bail, ensure};
use argh::FromArgs;
use serde_json::json;
use tpm::{CounterLimit, Tpm2};

use crate::{
    genuine::Genuine,
    journal::Journal,
    known::Known,
    menu::Menu,
    passphrase::{self, Passphrase},
    predictions::{Entry, Source, select},
    prune, rollback, root_volume,
    verdict::TpmState,
};
use run::{Outcome, Run};

const EXIT_SOME_WILL_ASK: u8 = 1;

/// Seal the boot secret for the launches that GRUB's menu offers, before they happen. Records
/// of other launches stay. Only files that are known on the encrypted root are sealed for
/// (`taoboot trust`). The resident agent does it without a passphrase; where there is none, a
/// passphrase or the recovery key does. Exit code 0: every entry that boots tboot has a record,
/// 1: some have none, 2: it failed.
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
    /// grub.cfg, which must not be the one in /boot (default: the menu that the kernel hook kept,
    /// or one that is generated now)
    #[argh(option, arg_name = "file")]
    grub_config: Option<PathBuf>,
    /// the menu that GRUB reads, whose records stay (default /boot/grub/grub.cfg)
    #[argh(option, arg_name = "file")]
    boot_menu: Option<PathBuf>,
    /// where the root file system is mounted (default /)
    #[argh(option, arg_name = "folder")]
    root: Option<PathBuf>,
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
    /// pass over entries with unknown files, unless they load a file of --replace (kernel hook)
    #[argh(switch)]
    skip_unknown: bool,
    /// note which records are made, for --take-back (kernel hook)
    #[argh(switch)]
    pending: bool,
    /// remove the records that a run with --pending made before it failed and that the menu in
    /// /boot does not need; nothing else is done (kernel hook)
    #[argh(switch)]
    take_back: bool,
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

impl Reseal {
    pub fn run(self) -> Result<ExitCode> {
        if self.passphrase_file.is_some() && self.recovery_key {
            bail!("give only one of --passphrase-file and --recovery-key");
        }
        if self.take_back {
            return self.take_back();
        }
        if self.new_host_secret && self.passphrase_file.is_none() && !self.recovery_key {
            bail!(
                "--new-host-secret goes with --recovery-key or --passphrase-file: the resident agent keeps the host's secret"
            );
        }
        let device = root_volume::named_or_root(self.volume.as_deref())?;
        let header = VolumeHeader::read(&device)?;
        header.check()?;
        let menu = match self.predictions {
            Some(_) => None,
            None => Some(Menu::to_seal(self.root(), self.grub_config.as_deref())?),
        };
        let entries = self.source(menu.as_ref()).entries()?;
        drop(menu);
        let mut wanted = select(&entries, &self.entry)?;
        ensure!(
            !wanted.is_empty(),
            "20_linux_taoboot has made no entry of GRUB's menu: run update-grub with it installed, or name another entry with --entry"
        );
        // Where the header has not room for all, those come first that are booted first.
        wanted.sort_by_key(|entry| (!entry.default, !loads_replaced(entry)));
        let passphrase = self.passphrase(&device)?;
        let mut genuine = Genuine::default();
        // With a passphrase nobody needs to be resident, who could tell which are genuine.
        let records = match &passphrase {
            None => genuine.records(&header, &self.socket, None),
            Some(_) => usable(&header),
        };
        let counter = self.counter_limit(&records)?;
        let mut run = Run {
            options: &self,
            device: &device,
            entries: &entries,
            tpm: TpmState::ask(&self.tcti),
            counter,
            genuine,
            known: Known::read(self.root())?,
            journal: Journal::read(self.root())?,
            passphrase,
            sealer: None,
        };
        let mut outcomes = Vec::new();
        for entry in wanted {
            let outcome = run.seal(entry)?;
            if !self.json {
                outcome.print();
            }
            outcomes.push(outcome);
        }
        run.sealer = None;
        let pruned = match self.keep {
            Some(keep) => run.prune(keep)?,
            None => Vec::new(),
        };
        if self.json {
            let list: Vec<_> = outcomes.iter().map(Outcome::json).collect();
            println!(
                "{:#}",
                json!({ "volume": device, "entries": list, "pruned": pruned })
            );
        }
        let all_open = outcomes.iter().all(|outcome| {
            let passed_over = outcome.result == "unknown" && outcome.may_be_passed_over;
            outcome.record.is_some() || (self.skip_unknown && passed_over)
        });
        Ok(if all_open {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(EXIT_SOME_WILL_ASK)
        })
    }

    fn root(&self) -> &Path {
        self.root.as_deref().unwrap_or_else(|| Path::new("/"))
    }

    fn source(&self, menu: Option<&Menu>) -> Source {
        Source {
            root: self.root.clone(),
            predictions: self.predictions.clone(),
            platform: self.platform.clone(),
            policy: self.policy.clone(),
            grub_config: menu.map(|menu| menu.path.clone()),
            replace: self.replace.clone(),
        }
    }

    /// What is in /boot now: it decides only about which records stay.
    fn in_place(&self) -> Source {
        Source {
            grub_config: self.boot_menu.clone(),
            replace: Vec::new(),
            ..self.source(None)
        }
    }

    fn passphrase(&self, device: &Path) -> Result<Option<Passphrase>> {
        if self.passphrase_file.is_none() && !self.recovery_key {
            return Ok(None);
        }
        passphrase::existing(self.passphrase_file.as_deref(), device).map(Some)
    }

    /// After a run that failed or was killed: what it sealed for and nothing in /boot boots.
    fn take_back(&self) -> Result<ExitCode> {
        let mut journal = Journal::read(self.root())?;
        if journal.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let device = root_volume::named_or_root(self.volume.as_deref())?;
        let header = VolumeHeader::read(&device)?;
        header.check()?;
        let needed = self
            .in_place()
            .entries()
            .and_then(|entries| prune::needed(&entries, &self.tcti))
            .context("the records of the run before are kept for now")?;
        let unneeded = prune::stale(&header, &usable(&header), &needed, 0);
        let mut made = journal.records(&usable(&header));
        made.retain(|token| unneeded.contains(token));
        made.sort_unstable();
        made.dedup();
        if !made.is_empty() {
            wipe(&device, WipeRequest::Records(made.clone()), false)?;
            println!("taken back: {}", numbers(&made));
        }
        journal.clear()?;
        Ok(ExitCode::SUCCESS)
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
}

/// The usable records.
pub fn usable(header: &VolumeHeader) -> Vec<(TokenId, SealedRecord)> {
    let records = find_records(header).into_iter();
    records
        .filter_map(|(token, record)| Some((token, record.ok()?)))
        .collect()
}

fn loads_replaced(entry: &Entry) -> bool {
    entry.files.iter().any(|file| file.read_from.is_some())
}

fn numbers(tokens: &[TokenId]) -> String {
    let list: Vec<String> = tokens.iter().map(ToString::to_string).collect();
    list.join(", ")
}
