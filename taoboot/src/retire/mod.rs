//! `taoboot retire`: raises the rollback counter, so that images approved before open nothing.

pub mod booted;
pub mod rollback;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use agent::unlock::{
    CheckedHeader, LaunchPcrs, ROLLBACK_COUNTER, SealedRecord, TokenId,
    enrolment::{WipeRequest, wipe},
};
use anyhow::{Context as _, Result, bail, ensure};
use argh::FromArgs;
use serde_json::json;
use tpm::{CounterLimit, PcrValues, Tpm2};

use crate::volume::genuine::Genuine;
use crate::{
    next_boot::{
        menu::Menu,
        predictions::{Entry, Source, select},
        verdict::fits,
    },
    reseal::sealer::{Sealer, Wanted},
    trust::known::Known,
    volume::{passphrase, records::usable, root_volume},
};

/// End every approval but those of the running launch and of the entries that are kept: they
/// are sealed anew, then the TPM's rollback counter is raised, for good. Old images, and old
/// copies of the LUKS header, open nothing any more.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "retire",
    note = "Refused unless the running launch was unlocked by the TPM and noted as booted well (taoboot booted).",
    note = "Approvals without a counter cannot be ended; enroll with --rollback-counter from the start."
)]
pub struct Retire {
    /// the LUKS2 volume (default: the one under the root file system)
    #[argh(option, arg_name = "device")]
    volume: Option<PathBuf>,
    /// keep this entry of GRUB's menu, too, by place, id or title; may be repeated
    #[argh(option, arg_name = "entry")]
    entry: Vec<String>,
    /// keep every entry of GRUB's menu that boots tboot
    #[argh(switch)]
    keep_menu: bool,
    /// what `tboot-policy predict --all --json` printed (default: run it, if entries are kept)
    #[argh(option, arg_name = "file")]
    predictions: Option<PathBuf>,
    /// where the root file system is mounted (default /)
    #[argh(option, arg_name = "directory", default = "PathBuf::from(\"/\")")]
    root: PathBuf,
    /// file with the password of the TPM's owner, if it has one
    #[argh(option, arg_name = "file")]
    owner_password_file: Option<PathBuf>,
    /// the resident agent's socket (default /run/tao/reseal.sock)
    #[argh(option, default = "agent::reseal::SOCKET.into()", arg_name = "path")]
    socket: PathBuf,
    /// the TPM (default device:/dev/tpmrm0)
    #[argh(option, default = "crate::exit::DEFAULT_TCTI.into()")]
    tcti: String,
    /// print the result as JSON
    #[argh(switch)]
    json: bool,
}

impl Retire {
    pub fn run(self) -> Result<ExitCode> {
        let device = root_volume::named_or_root(self.volume.as_deref())?;
        let header = CheckedHeader::read(&device)?;
        let mut tpm = Tpm2::open(&self.tcti)?;
        let value = tpm.rollback_counter_value(ROLLBACK_COUNTER)?.context(
            "there is no rollback counter: approve launches with `taoboot reseal --rollback-counter` first",
        )?;
        let running = booted::running(&self.tcti)?;
        ensure!(
            booted::is_noted(&self.root, &running)?,
            "the running launch is not noted as booted well: when you are satisfied with it, run `taoboot booted`"
        );
        let next = CounterLimit {
            index: ROLLBACK_COUNTER,
            limit: value.checked_add(1).context("the counter is at its end")?,
        };
        let entries = self.kept_entries(&running)?;
        // What stands in the header anybody may have written: who takes a forged record for that of the
        // running launch raises the counter over the only genuine one.
        let mut genuine = Genuine::default();
        ensure!(
            genuine
                .records(&header, &self.socket, None)
                .iter()
                .any(|(_, record)| fits(record, &running)),
            "the volume has no record of the running launch, so the TPM did not unlock it: run `taoboot reseal`, boot again"
        );
        let kept = seal_kept(
            &device,
            &self.socket,
            &self.root,
            &mut genuine,
            &entries,
            next,
        )?;
        let password = passphrase::owner(self.owner_password_file.as_deref())?;
        let raised = tpm.rollback_counter_raise(ROLLBACK_COUNTER, password.without_newline())?;
        let dead: Vec<TokenId> = usable(&CheckedHeader::read(&device)?)
            .into_iter()
            .filter(|(_, record)| record.counter().is_some_and(|limit| limit.limit < raised))
            .map(|(token, _)| token)
            .collect();
        if !dead.is_empty() {
            wipe(&device, WipeRequest::Records(dead.clone()), false)?;
        }
        let unlimited: Vec<TokenId> = usable(&CheckedHeader::read(&device)?)
            .into_iter()
            .filter(|(_, record)| record.counter().is_none())
            .map(|(token, _)| token)
            .collect();
        if self.json {
            let printed = json!({ "volume": device, "counter": raised, "kept": kept, "retired": dead, "without_limit": unlimited });
            println!("{printed:#}");
        } else {
            println!(
                "rollback counter raised to {raised}; kept: {}; retired: {}",
                list(&kept),
                list(&dead)
            );
        }
        if !unlimited.is_empty() {
            eprintln!(
                "taoboot: records without a limit cannot be retired and still open the volume: {}",
                list(&unlimited)
            );
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The entry of the running launch, and those that are asked for.
    fn kept_entries(&self, running: &LaunchPcrs) -> Result<Vec<Entry>> {
        if self.keep_menu && !self.entry.is_empty() {
            bail!("give only one of --entry and --keep-menu");
        }
        let menu = match self.predictions {
            Some(_) => None,
            None => Some(Menu::to_seal(&self.root, None)?),
        };
        let source = Source {
            root: Some(self.root.clone()),
            predictions: self.predictions.clone(),
            grub_config: menu.as_ref().map(|menu| menu.path.clone()),
            ..Source::default()
        };
        let entries = source.entries()?;
        drop(menu);
        let mut names: Vec<String> = Vec::new();
        if self.keep_menu || !self.entry.is_empty() {
            let wanted = select(&entries, &self.entry)?;
            names.extend(wanted.into_iter().map(|entry| entry.name.clone()));
        }
        let is_running = |entry: &Entry| entry.predicted.as_ref() == Ok(running);
        ensure!(
            entries.iter().any(is_running),
            "no entry of GRUB's menu is the running launch: boot the one that is to be kept, then retire the others"
        );
        Ok(entries
            .into_iter()
            .filter(|entry| is_running(entry) || names.contains(&entry.name))
            .collect())
    }
}

/// New records for what is kept, before the counter is raised: a machine whose power fails in
/// between still opens with each of them.
fn seal_kept(
    device: &Path,
    socket: &Path,
    root: &Path,
    genuine: &mut Genuine,
    entries: &[Entry],
    next: CounterLimit,
) -> Result<Vec<TokenId>> {
    let mut sealer = Sealer::resident(device, socket)?;
    let mut known = Known::read(root)?;
    let mut kept = Vec::new();
    for entry in entries {
        let values = match &entry.predicted {
            Ok(values) => values,
            Err(why) => bail!("{} cannot be kept: {why}", entry.name),
        };
        let header = CheckedHeader::read(device)?;
        let present = genuine.records(&header, socket, None);
        if let Some(token) = limited(&present, values, next) {
            kept.push(token);
            continue;
        }
        let objections = known.objections(entry);
        if !objections.is_empty() {
            bail!("{} cannot be kept: {}", entry.name, objections.join("; "));
        }
        // Before: the resident agent looks at what is kept.
        known.save()?;
        kept.push(sealer.seal(&header, Wanted::of(entry, values, Some(next)))?);
    }
    kept.sort_unstable();
    kept.dedup();
    Ok(kept)
}

/// A record for these values that outlives the raise.
fn limited(
    records: &[(TokenId, SealedRecord)],
    values: &PcrValues,
    next: CounterLimit,
) -> Option<TokenId> {
    let mut found = records.iter().filter(|(_, record)| {
        fits(record, values)
            && record
                .counter()
                .is_some_and(|limit| limit.limit >= next.limit)
    });
    found.next().map(|(token, _)| *token)
}

fn list(tokens: &[TokenId]) -> String {
    if tokens.is_empty() {
        return "none".to_owned();
    }
    let numbers: Vec<String> = tokens.iter().map(ToString::to_string).collect();
    numbers.join(", ")
}
