//! `taoboot pin`.

mod change;
mod set;

use std::process::ExitCode;

use anyhow::Result;
use argh::FromArgs;

/// The PIN that the TPM asks for beside the launch.
#[derive(FromArgs)]
#[argh(subcommand, name = "pin")]
pub struct PinVerb {
    #[argh(subcommand)]
    verb: Verb,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Verb {
    Change(change::Change),
    Set(set::Set),
}

impl PinVerb {
    pub fn run(self) -> Result<ExitCode> {
        match self.verb {
            Verb::Change(change) => change.run(),
            Verb::Set(set) => set.run(),
        }
    }
}
