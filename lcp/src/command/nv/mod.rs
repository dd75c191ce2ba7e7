//! `lcp nv`: policies in TPM NV.

use std::process::ExitCode;

use anyhow::Result;
use argh::FromArgs;

mod built;
mod change;
mod describe;
mod index;
mod open;
pub mod password;
mod plan;
mod show;

/// Policies in TPM NV: show, plan, write, release, lock (see lcp-nv(8)).
#[derive(FromArgs)]
#[argh(subcommand, name = "nv")]
pub struct NvCommand {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Plan(plan::Plan),
    Apply(plan::Apply),
    Read(show::Read),
    List(show::List),
    Release(change::Release),
    Lock(change::Lock),
}

impl NvCommand {
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Plan(command) => command.run(),
            Command::Apply(command) => command.run(),
            Command::Read(command) => command.run(),
            Command::List(command) => command.run(),
            Command::Release(command) => command.run(),
            Command::Lock(command) => command.run(),
        }
    }
}
