//! `taoboot reseal`.

mod journal;
mod options;
pub mod proof;
mod prune;
mod run;
pub mod sealer;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use agent::unlock::{
    CheckedHeader, SealedRecord, TokenId,
    enrolment::{WipeRequest, wipe},
};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use storage::pins::PLACE;
use tpm::{CounterLimit, Tpm2};

use crate::{
    next_boot::{menu::Menu, predictions::select, verdict::TpmState},
    pins,
    reseal::journal::Journal,
    retire::rollback,
    trust::known::Known,
    volume::genuine::Genuine,
    volume::{
        passphrase::{self, Passphrase},
        pin,
        records::{numbers, usable},
        root_volume,
    },
};
pub use options::Reseal;
use run::{Done, Outcome, Run};

const EXIT_SOME_WILL_ASK: u8 = 1;

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
        if (self.pin || self.pin_file.is_some())
            && self.passphrase_file.is_none()
            && !self.recovery_key
        {
            bail!(
                "--pin and --pin-file go with --recovery-key or --passphrase-file: the resident agent takes the PIN that was typed at boot"
            );
        }
        let device = root_volume::named_or_root(self.volume.as_deref())?;
        let header = CheckedHeader::read(&device)?;
        let menu = match self.predictions {
            Some(_) => None,
            None => Some(Menu::to_seal(self.root(), self.grub_config.as_deref())?),
        };
        let entries = self.source(menu.as_ref()).entries()?;
        drop(menu);
        let mut wanted = select(&entries, &self.entry)?;
        ensure!(
            !wanted.is_empty(),
            "20_linux_taoboot has made no entry of GRUB's menu: run /usr/lib/taoboot/kernel refresh with it installed, or name another entry with --entry"
        );
        // Where the header has not room for all, those come first that are booted first.
        wanted.sort_by_key(|entry| (!entry.default, !entry.loads_replaced()));
        let passphrase = self.passphrase(&device)?;
        let pin = pin::wished(self.pin, self.pin_file.as_deref())?;
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
            pin,
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
        self.pin(&device, &outcomes)?;
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
            let passed_over = outcome.result == Done::Unknown && outcome.may_be_passed_over;
            outcome.record.is_some() || (self.skip_unknown && passed_over)
        });
        Ok(if all_open {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(EXIT_SOME_WILL_ASK)
        })
    }

    /// Where enrolment pinned TPM and secret, and what was sealed now has others.
    fn pin(&self, device: &Path, outcomes: &[Outcome]) -> Result<()> {
        let mut sealed = outcomes
            .iter()
            .filter(|outcome| outcome.result == Done::Sealed);
        let Some(token) = sealed.find_map(|outcome| outcome.record) else {
            return Ok(());
        };
        let Some(pins) = self.pins(device) else {
            return Ok(());
        };
        let records = usable(&CheckedHeader::read(device)?);
        match records.iter().find(|(record, _)| *record == token) {
            Some((_, record)) => pins::follow(&pins, record),
            None => Ok(()),
        }
    }

    /// The pins that belong to the volume: those of the machine whose root file system is on it.
    fn pins(&self, device: &Path) -> Option<PathBuf> {
        (self.root.is_some() || pins::is_root(device)).then(|| self.root().join(PLACE))
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
        let header = CheckedHeader::read(&device)?;
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
