//! `lcp nv plan` and `lcp nv apply`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use argh::FromArgs;
use commands::file;
use lcp::nv::{self, Applied, IndexSet, NvStorage, Wish};
use serde_json::json;

use super::{
    built, describe,
    open::{self, Wanted},
    password::Source,
};

/// Say what is in the NV, what would change, and why it cannot. Exit 1 when it cannot.
#[derive(FromArgs)]
#[argh(subcommand, name = "plan")]
pub struct Plan {
    /// the owner's launch control policy
    #[argh(option)]
    policy: Option<PathBuf>,
    /// nv.json of `lcp build`, instead of --policy
    #[argh(option)]
    built: Option<PathBuf>,
    /// tboot's verified launch policy
    #[argh(option)]
    vlp: Option<PathBuf>,
    /// also an index for tboot's error code
    #[argh(switch)]
    error: bool,
    /// indices that the SINIT module uses on TPM 2.0: set 0 or 1 (default 1)
    #[argh(option, default = "IndexSet::Set1")]
    set: IndexSet,
    /// auto (default), 2.0 or 1.2
    #[argh(option, default = "Wanted::Auto")]
    tpm: Wanted,
    /// address of the TPM: device:PATH or swtpm:host=H,port=N
    #[argh(option)]
    tcti: Option<String>,
    /// print JSON
    #[argh(switch)]
    json: bool,
}

/// Do what `lcp nv plan` says, step by step, and read back. After a power cut run it again.
#[derive(FromArgs)]
#[argh(subcommand, name = "apply")]
pub struct Apply {
    /// the owner's launch control policy
    #[argh(option)]
    policy: Option<PathBuf>,
    /// nv.json of `lcp build`, instead of --policy
    #[argh(option)]
    built: Option<PathBuf>,
    /// tboot's verified launch policy
    #[argh(option)]
    vlp: Option<PathBuf>,
    /// also an index for tboot's error code
    #[argh(switch)]
    error: bool,
    /// indices that the SINIT module uses on TPM 2.0: set 0 or 1 (default 1)
    #[argh(option, default = "IndexSet::Set1")]
    set: IndexSet,
    /// auto (default), 2.0 or 1.2
    #[argh(option, default = "Wanted::Auto")]
    tpm: Wanted,
    /// address of the TPM: device:PATH or swtpm:host=H,port=N
    #[argh(option)]
    tcti: Option<String>,
    /// file with the owner's password, - for standard input (default: ask at the terminal)
    #[argh(option)]
    owner_password_file: Option<PathBuf>,
    /// the owner has the well-known secret: 20 zero bytes (TPM 1.2) or none (TPM 2.0)
    #[argh(switch)]
    owner_well_known: bool,
    /// print JSON
    #[argh(switch)]
    json: bool,
}

impl Plan {
    pub fn run(self) -> Result<ExitCode> {
        let mut storage = open::open(self.tpm, self.tcti.as_deref())?;
        let files = Files {
            policy: self.policy.as_deref(),
            built: self.built.as_deref(),
            vlp: self.vlp.as_deref(),
            error: self.error,
        };
        let wishes = files.wishes(storage.as_ref(), self.set)?;
        let plan = nv::Plan::make(storage.as_mut(), wishes)?;
        if self.json {
            println!("{:#}", describe::plan(&plan));
        } else {
            for line in describe::plan_lines(&plan) {
                println!("{line}");
            }
        }
        Ok(if plan.is_possible() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

impl Apply {
    pub fn run(self) -> Result<ExitCode> {
        let source = Source::of(self.owner_password_file.as_deref(), self.owner_well_known)?;
        let mut storage = open::open(self.tpm, self.tcti.as_deref())?;
        let files = Files {
            policy: self.policy.as_deref(),
            built: self.built.as_deref(),
            vlp: self.vlp.as_deref(),
            error: self.error,
        };
        let wishes = files.wishes(storage.as_ref(), self.set)?;
        let plan = nv::Plan::make(storage.as_mut(), wishes)?;
        let indices = plan.indices.iter();
        for warning in indices
            .flat_map(|index| &index.warnings)
            .chain(&plan.warnings)
        {
            eprintln!("lcp: warning: {warning}");
        }
        let owner = if plan.is_possible() && plan.steps() > 0 {
            source.owner(&plan.state.owner)?
        } else {
            nv::Owner::well_known()
        };
        let mut done = Vec::new();
        nv::apply(storage.as_mut(), &plan, &owner, &mut |applied| {
            let line = words(applied);
            if !self.json {
                // A line a step, at once: whoever cuts the power knows how far it went.
                println!("{line}");
                commands::output::flush();
            }
            done.push(line);
            Ok(())
        })?;
        if self.json {
            println!(
                "{:#}",
                json!({ "plan": describe::plan(&plan), "done": done })
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn words(applied: Applied) -> String {
    match applied {
        Applied::Step { number, step, .. } => {
            let done = match step {
                nv::Step::Release => "released",
                nv::Step::Define => "defined",
                nv::Step::Write => "written",
            };
            format!("{number:#010x} {done}")
        }
        Applied::Verified { role, number } => {
            format!("{number:#010x} read back: it is {}", role.describe())
        }
    }
}

/// The files of a command line.
struct Files<'a> {
    policy: Option<&'a Path>,
    built: Option<&'a Path>,
    vlp: Option<&'a Path>,
    error: bool,
}

impl Files<'_> {
    fn wishes(&self, storage: &dyn NvStorage, set: IndexSet) -> Result<Vec<Wish>> {
        let family = storage.family();
        let mut wishes = Vec::new();
        match (self.policy, self.built) {
            (None, None) => {}
            (Some(path), None) => {
                let wish = Wish::owner_policy(family, set, &file::read(path)?);
                wishes.push(wish.with_context(|| path.display().to_string())?);
            }
            (None, Some(path)) => wishes.push(built::wish(path, family, set)?),
            (Some(_), Some(_)) => bail!("--policy or --built, not both"),
        }
        if let Some(path) = self.vlp {
            let wish = Wish::launch_policy(family, set, &file::read(path)?);
            wishes.push(wish.with_context(|| path.display().to_string())?);
        }
        if self.error {
            wishes.push(Wish::launch_error(family, set));
        }
        if wishes.is_empty() {
            bail!("nothing to write: give --policy, --built, --vlp or --error");
        }
        Ok(wishes)
    }
}
