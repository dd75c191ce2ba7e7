//! `lcp nv`: policies in TPM NV.

use std::process::ExitCode;

use anyhow::{Context, Result};
use argh::FromArgs;
use lcp::nv::{IndexSet, Role};
use tpm::family::Family;

mod built;
mod change;
mod describe;
mod open;
mod password;
mod plan;
mod show;

use super::{file, number};

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

/// The bytes of a password file, for the original tools' command lines too.
pub fn password_from(path: &std::path::Path) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    password::from_file(path)
}

/// Prints a policy's fields.
pub fn print_policy(policy: &txt::policy::Policy) {
    super::describe::print(&super::describe::policy(policy), false);
}

/// The set of indices on the command line.
fn index_set(text: &str) -> Result<IndexSet, String> {
    match text {
        "0" => Ok(IndexSet::Set0),
        "1" => Ok(IndexSet::Set1),
        _ => Err(format!("there is no set {text:?}: 0 or 1")),
    }
}

/// An index by the name of its role, or by its number.
fn index_named(text: &str, family: Family, set: IndexSet) -> Result<u32> {
    if let Some(role) = Role::named(text) {
        return Ok(role.index(family, set));
    }
    let names: Vec<&str> = Role::ALL.into_iter().map(Role::name).collect();
    number::u32(text)
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("{text:?} is no index: a number, or {}", names.join(", ")))
}
