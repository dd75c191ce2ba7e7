//! `tboot-policy verify`: would tboot boot this?

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use argh::FromArgs;
use commands::file;
use commands::{Wanted, refuse_idle};
use serde_json::{Value, json};
use tboot_policy::{
    tboot::Tboot,
    verify::{Report, verify},
};

use super::{
    boot::{self, EntryOptions},
    vlp,
};

/// Say for each module whether tboot would boot it under a policy. Exit code 0: tboot boots, 2: it
/// does not, 1: that cannot be said.
#[derive(FromArgs)]
#[argh(subcommand, name = "verify")]
pub struct Verify {
    /// a GRUB menu entry: title, id, or place as in GRUB_DEFAULT
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
    /// instead of --entry: a module, "FILE" or "FILE COMMAND LINE"; repeatable, in order
    #[argh(option)]
    module: Vec<String>,
    /// with --module: tboot.gz
    #[argh(option)]
    tboot: Option<PathBuf>,
    /// with --module: tboot's command line
    #[argh(option, default = "String::new()")]
    tboot_cmdline: String,
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// the policy file, or the content of its NV index
    #[argh(positional)]
    policy: PathBuf,
}

impl Verify {
    fn refuse_idle(&self) -> Result<()> {
        let tboot = ("--tboot", self.tboot.is_some());
        let cmdline = ("--tboot-cmdline", !self.tboot_cmdline.is_empty());
        let menu = [
            ("--config", self.config.is_some()),
            ("--root", self.root.is_some()),
            ("--boot", self.boot.is_some()),
            ("--set", !self.set.is_empty()),
        ];
        match self.entry {
            Some(_) => refuse_idle(&[tboot, cmdline], "with --entry, which names both")?,
            None => refuse_idle(&menu, "without --entry")?,
        }
        Ok(())
    }

    pub fn run(self) -> Result<ExitCode> {
        self.refuse_idle()?;
        let policy = vlp::read_policy(&self.policy)?;
        let report = match (&self.entry, self.module.is_empty()) {
            (Some(entry), true) => {
                let options = EntryOptions {
                    config: self.config,
                    root: self.root,
                    boot: self.boot,
                    set: self.set,
                    replace: Vec::new(),
                };
                let files = options.files(entry)?;
                verify(
                    &policy,
                    Some(&files.tboot),
                    &files.tboot_cmdline,
                    &files.modules,
                )?
            }
            (None, false) => {
                let modules = self.module.iter().map(|text| boot::module(text));
                let modules = modules.collect::<Result<Vec<_>>>()?;
                let limit = txt::mlehash::MAX_IMAGE_LEN as u64;
                let tboot = match &self.tboot {
                    Some(path) => {
                        let bytes = file::read_at_most(path, limit).context("--tboot")?;
                        let tboot = Tboot::parse(&bytes);
                        Some(file::parsed(path, &bytes, Wanted::Tboot, tboot)?)
                    }
                    None => None,
                };
                verify(
                    &policy,
                    tboot.as_ref(),
                    self.tboot_cmdline.as_bytes(),
                    &modules,
                )?
            }
            _ => bail!("give either --entry or --module"),
        };
        if self.json {
            println!("{:#}", as_json(&report));
        } else {
            print(&report);
        }
        Ok(if report.boots {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(2)
        })
    }
}

fn print(report: &Report) {
    for module in &report.modules {
        let pcr = module
            .pcr
            .map_or("no PCR".to_owned(), |pcr| format!("PCR {pcr}"));
        println!(
            "module {}: {}, {pcr}: {}",
            module.number,
            module.verdict.name(),
            module.name
        );
        println!("  {}", module.hash);
    }
    for finding in &report.findings {
        println!("{finding}");
    }
    for warning in &report.warnings {
        eprintln!("tboot-policy: warning: {warning}");
    }
    println!(
        "{}",
        if report.boots {
            "tboot boots this"
        } else {
            "tboot does not boot this"
        }
    );
}

fn as_json(report: &Report) -> Value {
    let modules: Vec<Value> = report
        .modules
        .iter()
        .map(|module| {
            json!({
                "number": module.number,
                "name": module.name,
                "hash": module.hash.to_string(),
                "pcr": module.pcr,
                "verdict": module.verdict.name(),
            })
        })
        .collect();
    json!({
        "boots": report.boots,
        "modules": modules,
        "findings": report.findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "warnings": report.warnings,
    })
}
