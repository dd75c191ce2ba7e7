//! `tboot-policy predict`: PCR 17, 18 and 19 of a launch that has not happened yet.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, bail};
use argh::FromArgs;
use commands::{Wanted, file, refuse_idle};
use tboot_policy::{
    predict::{Family, Launching, predict},
    tboot::Tboot,
    vlp::Policy,
};
use tpm::Bank;

use super::{
    boot::{self, EntryOptions},
    every_entry,
    prediction::{print, printed, refuse_unmeasured},
    record, vlp,
};

/// Predict PCR 17, 18 and 19 of a launch, from the record or log of the last one and the new files.
/// Exit code 0: predicted, 2: predicted, but tboot would halt, 1: refused.
#[derive(FromArgs)]
#[argh(subcommand, name = "predict")]
pub struct Predict {
    /// record that `tboot-policy record` made
    #[argh(option)]
    platform: Option<PathBuf>,
    /// instead of a record: the last launch's log; repeatable (default: this machine's)
    #[argh(option)]
    log: Vec<PathBuf>,
    /// with a log: file with the PCR values of that launch (default: this machine's PCRs)
    #[argh(option)]
    pcrs: Option<PathBuf>,
    /// which TPM the log is of, 1.2 or 2.0, where it does not show
    #[argh(option)]
    tpm: Option<Family>,
    /// the GRUB entry to be booted: title, id, or place as in GRUB_DEFAULT
    #[argh(option)]
    entry: Option<String>,
    /// instead: every entry that boots tboot; with --json a list of all with files and predictions
    #[argh(switch)]
    all: bool,
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
    /// the file that will stand at PATH is now at FILE, PATH=FILE; repeatable
    #[argh(option)]
    replace: Vec<String>,
    /// instead of --entry: tboot.gz
    #[argh(option)]
    tboot: Option<PathBuf>,
    /// with --tboot: its command line
    #[argh(option, default = "String::new()")]
    tboot_cmdline: String,
    /// with --tboot: a module, "FILE" or "FILE COMMAND LINE"; repeatable, in order
    #[argh(option)]
    module: Vec<String>,
    /// with --tboot: a SINIT module; repeatable
    #[argh(option)]
    sinit: Vec<PathBuf>,
    /// with --tboot: the policy data
    #[argh(option)]
    lcp_data: Option<PathBuf>,
    /// the verified launch policy in the TPM's NV index (default: tboot's built-in one)
    #[argh(option)]
    policy: Option<PathBuf>,
    /// the launch control policy, where it is another than at the recorded launch
    #[argh(option)]
    lcp_policy: Option<PathBuf>,
    /// print JSON; `taoboot enroll --expect` reads it
    #[argh(switch)]
    json: bool,
    /// bank that is to be sealed to, and for --pcr-file (default sha256): refused when tboot does
    /// not extend it
    #[argh(option, default = "Bank::Sha256")]
    bank: Bank,
    /// write the values of PCR 17, 18 and 19 one behind the other, as tpm2_policypcr --pcr reads
    #[argh(option)]
    pcr_file: Option<PathBuf>,
}

impl Predict {
    pub fn run(self) -> Result<ExitCode> {
        self.refuse_idle()?;
        let baseline = match (&self.platform, self.log.is_empty() && self.pcrs.is_none()) {
            (Some(path), true) => record::read(path)?,
            (Some(_), false) => bail!("give either --platform or --log with --pcrs"),
            (None, _) => record::from_log(&self.log, self.pcrs.as_ref(), self.tpm)?,
        };
        if self.all {
            if self.entry.is_some() || self.tboot.is_some() || self.pcr_file.is_some() {
                bail!("--all takes no --entry, --tboot or --pcr-file");
            }
            let vlp = self.vlp()?;
            let (options, vlp) = (self.options(), vlp.as_ref());
            return every_entry::run(&options, &baseline, vlp, self.bank, self.json);
        }
        let launching = self.launching()?;
        let prediction = predict(&baseline, &launching)?;
        refuse_unmeasured(&prediction, self.bank)?;
        if let Some(path) = &self.pcr_file {
            let values = prediction.sealable(self.bank)?;
            let bytes: Vec<u8> = values
                .new
                .iter()
                .flat_map(|(_, value)| value.to_vec())
                .collect();
            file::replace(path, &bytes)?;
        }
        for warning in &prediction.warnings {
            eprintln!("tboot-policy: warning: {warning}");
        }
        if self.json {
            println!("{:#}", serde_json::to_value(printed(&prediction))?);
        } else {
            print(&prediction);
        }
        Ok(if prediction.halts {
            ExitCode::from(2)
        } else {
            ExitCode::SUCCESS
        })
    }

    fn refuse_idle(&self) -> Result<()> {
        if self.platform.is_some() {
            refuse_idle(&[("--tpm", self.tpm.is_some())], "with --platform")?;
        }
        // What is booted is in the menu, or is named.
        let named = [
            ("--tboot-cmdline", !self.tboot_cmdline.is_empty()),
            ("--module", !self.module.is_empty()),
        ];
        let menu = [
            ("--config", self.config.is_some()),
            ("--root", self.root.is_some()),
            ("--boot", self.boot.is_some()),
            ("--set", !self.set.is_empty()),
            ("--replace", !self.replace.is_empty()),
        ];
        let of_one = [
            ("--sinit", !self.sinit.is_empty()),
            ("--lcp-data", self.lcp_data.is_some()),
            ("--lcp-policy", self.lcp_policy.is_some()),
        ];
        if self.all {
            refuse_idle(&named, "with --all")?;
            refuse_idle(&of_one, "with --all")?;
        } else if self.entry.is_some() {
            refuse_idle(&named, "with --entry")?;
        } else {
            refuse_idle(&menu, "without --entry or --all")?;
        }
        Ok(())
    }

    fn options(&self) -> EntryOptions {
        EntryOptions {
            config: self.config.clone(),
            root: self.root.clone(),
            boot: self.boot.clone(),
            set: self.set.clone(),
            replace: self.replace.clone(),
        }
    }

    fn vlp(&self) -> Result<Option<Policy>> {
        self.policy.as_deref().map(vlp::read_policy).transpose()
    }

    fn launching(&self) -> Result<Launching> {
        let vlp = self.vlp()?;
        let lcp = match &self.lcp_policy {
            Some(path) => {
                let bytes = file::read(path)?;
                let policy = txt::policy::Policy::parse(&bytes);
                Some(file::parsed(path, &bytes, Wanted::LaunchPolicy, policy)?)
            }
            None => None,
        };
        match (&self.entry, &self.tboot) {
            (Some(entry), None) => {
                let files = self.options().files(entry)?;
                let named = record::named_files(&self.sinit, self.lcp_data.as_ref())?;
                let mut launching = Launching::of(files, vlp);
                launching.left_out.extend(named);
                launching.lcp = lcp;
                Ok(launching)
            }
            (None, Some(tboot)) => {
                let modules = self.module.iter().map(|text| boot::module(text));
                Ok(Launching {
                    tboot_name: tboot.display().to_string(),
                    tboot: read_tboot(tboot)?,
                    tboot_cmdline: self.tboot_cmdline.clone().into_bytes(),
                    modules: modules.collect::<Result<Vec<_>>>()?,
                    vlp,
                    lcp,
                    left_out: record::named_files(&self.sinit, self.lcp_data.as_ref())?,
                })
            }
            _ => bail!("give either --entry, or --tboot with --module"),
        }
    }
}

fn read_tboot(path: &Path) -> Result<Tboot> {
    let bytes = file::read_at_most(path, txt::mlehash::MAX_IMAGE_LEN as u64)?;
    file::parsed(path, &bytes, Wanted::Tboot, Tboot::parse(&bytes))
}
