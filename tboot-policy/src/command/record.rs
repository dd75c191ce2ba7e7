//! `tboot-policy record`: the record of a launch, which predictions begin with.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use argh::FromArgs;
use commands::file;
use commands::{Wanted, refuse_idle};
use tboot_policy::{
    acm::Role,
    module::MAX_MODULE_LEN,
    platform::PlatformRecord,
    predict::{Baseline, Family, FileHash},
};

use super::{boot::EntryOptions, log};

/// Check an event log against the PCRs, and keep what predictions need of it.
#[derive(FromArgs)]
#[argh(subcommand, name = "record")]
pub struct Record {
    /// the log's file; repeatable (default: this machine's TXT heap, through /dev/mem)
    #[argh(option)]
    log: Vec<PathBuf>,
    /// file with the PCR values of that launch (default: this machine's PCRs)
    #[argh(option)]
    pcrs: Option<PathBuf>,
    /// which TPM the log is of, 1.2 or 2.0, where it does not show
    #[argh(option)]
    tpm: Option<Family>,
    /// the GRUB entry that was booted, whose SINIT modules and policy data are remembered
    #[argh(option)]
    entry: Option<String>,
    /// grub.cfg (default: BOOT/grub/grub.cfg)
    #[argh(option)]
    config: Option<PathBuf>,
    /// where the root file system is mounted (default: /)
    #[argh(option)]
    root: Option<PathBuf>,
    /// where the kernels are (default: ROOT/boot)
    #[argh(option)]
    boot: Option<PathBuf>,
    /// value of a variable that the firmware or grubenv sets, NAME=VALUE; repeatable
    #[argh(option)]
    set: Vec<String>,
    /// a SINIT module that was loaded; repeatable
    #[argh(option)]
    sinit: Vec<PathBuf>,
    /// the policy data that were loaded
    #[argh(option)]
    lcp_data: Option<PathBuf>,
    /// the record to write
    #[argh(option)]
    output: PathBuf,
}

/// Hashes of SINIT modules and policy data named one by one.
pub fn named_files(sinit: &[PathBuf], lcp_data: Option<&PathBuf>) -> Result<Vec<FileHash>> {
    let sinit = sinit.iter().map(|path| (Role::Sinit, path));
    let data = lcp_data.map(|path| (Role::LcpData, path));
    let mut hashes = Vec::new();
    for (role, path) in sinit.chain(data) {
        let bytes = file::read_at_most(path, MAX_MODULE_LEN as u64)?;
        hashes.push(FileHash::of(role, &path.display().to_string(), &bytes));
    }
    Ok(hashes)
}

/// Reads a record; that of a simulated platform as well.
pub fn read(path: &Path) -> Result<Baseline> {
    let text = file::read_text(path, Wanted::Record)?;
    if let Ok(platform) = serde_json::from_str::<PlatformRecord>(&text) {
        return Ok(Baseline::from_platform(&platform));
    }
    let record = serde_json::from_str(&text);
    file::parsed(path, text.as_bytes(), Wanted::Record, record)
}

/// A log checked against PCRs, this machine's where none are given.
pub fn from_log(
    files: &[PathBuf],
    pcrs: Option<&PathBuf>,
    family: Option<Family>,
) -> Result<Baseline> {
    let events = log::load(files)?;
    let pcrs = log::pcrs(pcrs, pcrs.is_none())?;
    Ok(Baseline::from_log(&events, &pcrs, family)?)
}

impl Record {
    pub fn run(self) -> Result<ExitCode> {
        if self.entry.is_none() {
            refuse_idle(
                &[
                    ("--config", self.config.is_some()),
                    ("--root", self.root.is_some()),
                    ("--boot", self.boot.is_some()),
                    ("--set", !self.set.is_empty()),
                ],
                "without --entry",
            )?;
        }
        let mut baseline = from_log(&self.log, self.pcrs.as_ref(), self.tpm)?;
        baseline.left_out = named_files(&self.sinit, self.lcp_data.as_ref())?;
        if let Some(entry) = &self.entry {
            let options = EntryOptions {
                config: self.config,
                root: self.root,
                boot: self.boot,
                set: self.set,
                replace: Vec::new(),
            };
            baseline.left_out.extend(options.files(entry)?.hashes());
        }
        let text = serde_json::to_string_pretty(&baseline)?;
        file::replace(&self.output, format!("{text}\n").as_bytes())?;
        let banks: Vec<String> = baseline.banks().iter().map(ToString::to_string).collect();
        println!(
            "{}: {} events, banks {}",
            self.output.display(),
            baseline.events.len(),
            banks.join(", ")
        );
        Ok(ExitCode::SUCCESS)
    }
}
