//! `tboot-policy from-grub`: the whole policy from a GRUB menu entry.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use argh::FromArgs;
use commands::file;
use commands::refuse_idle;
use tboot_policy::{
    acm::Role,
    extends::{Extpol, extend_policy},
    verify::verify,
    vlp::{ModuleNumber, Object, Policy, PolicyType, pcr_from_word},
};
use txt::hash::HashAlg;

use super::boot::EntryOptions;

/// Make a policy from a GRUB menu entry: its modules in tboot's order, with the command lines that
/// GRUB passes.
#[derive(FromArgs)]
#[argh(subcommand, name = "from-grub")]
pub struct FromGrub {
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
    /// list the entries instead
    #[argh(switch)]
    list: bool,
    /// what tboot does on a mismatch: nonfatal, continue or halt (default; with --measure-only:
    /// nonfatal)
    #[argh(option, long = "type")]
    policy_type: Option<PolicyType>,
    /// allow any content, so that only the PCRs tell the difference; such a policy stays the same
    /// when a kernel is updated
    #[argh(switch)]
    measure_only: bool,
    /// PCR for module 0, the kernel (default 18)
    #[argh(option, default = "String::from(\"18\")")]
    kernel_pcr: String,
    /// PCR for the other modules (default 19)
    #[argh(option, default = "String::from(\"19\")")]
    module_pcr: String,
    /// the policy file to write
    #[argh(option)]
    output: Option<PathBuf>,
    /// the entry: its title, its id, or its place as in GRUB_DEFAULT ("1>0")
    #[argh(positional)]
    entry: Option<String>,
}

impl FromGrub {
    pub fn run(self) -> Result<ExitCode> {
        let options = EntryOptions {
            config: self.config,
            root: self.root,
            boot: self.boot,
            set: self.set,
            replace: Vec::new(),
        };
        if self.list {
            refuse_idle(
                &[
                    ("--type", self.policy_type.is_some()),
                    ("--measure-only", self.measure_only),
                    ("--output", self.output.is_some()),
                    ("the entry", self.entry.is_some()),
                ],
                "with --list",
            )?;
            options.list()?;
            return Ok(ExitCode::SUCCESS);
        }
        let entry = self.entry.context("name an entry; --list shows them")?;
        let output = self
            .output
            .context("name the file to write with --output")?;
        let files = options.files(&entry)?;
        let alg = match extend_policy(&files.tboot_cmdline)? {
            Extpol::Fixed(bank) => tboot_policy::platform::bank_alg(bank),
            Extpol::Embedded if self.measure_only => HashAlg::Sha256,
            Extpol::Embedded => bail!(
                "tboot's command line has extpol=embedded, with which it compares no module with a policy: take it out, or make a policy with --measure-only"
            ),
        };
        let default = if self.measure_only {
            PolicyType::NonFatal
        } else {
            PolicyType::Halt
        };
        let kind = self.policy_type.unwrap_or(default);
        let mut policy = Policy::new(kind, alg, Policy::EXTEND_PCR17, Vec::new())?;
        let (kernel, others) = (
            pcr_from_word(&self.kernel_pcr)?,
            pcr_from_word(&self.module_pcr)?,
        );
        for (number, module) in files.modules.iter().enumerate() {
            let object = u8::try_from(number).ok().and_then(ModuleNumber::new);
            let object = object.context("more modules than a policy can name (128)")?;
            let hash = match self.measure_only {
                true => None,
                false => Some(module.hash(alg)?),
            };
            let pcr = if number == 0 { kernel } else { others };
            policy.allow(Object::Module(object), pcr, hash)?;
            eprintln!(
                "module {number}: {} {:?}",
                module.name,
                String::from_utf8_lossy(&module.cmdline)
            );
        }
        for left_out in &files.left_out {
            let what = match left_out.role {
                Role::Sinit => "a SINIT module",
                Role::LcpData => "data of the launch control policy",
                Role::Measured => "a module",
            };
            eprintln!("not counted: {} ({what})", left_out.path.display());
        }
        let report = verify(
            &policy,
            Some(&files.tboot),
            &files.tboot_cmdline,
            &files.modules,
        )?;
        // The policy names every module of this entry; there are no others.
        let missing = tboot_policy::vlp::Warning::NoEntryForOthers.to_string();
        for warning in report
            .warnings
            .iter()
            .filter(|warning| **warning != missing)
        {
            eprintln!("tboot-policy: warning: {warning}");
        }
        file::replace(&output, &policy.to_bytes())?;
        println!("{}: {} bytes", output.display(), policy.byte_len());
        Ok(ExitCode::SUCCESS)
    }
}
