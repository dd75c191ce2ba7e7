//! `tao list`, `tao name`, `tao stop`, `tao kill`, `tao host`.

use std::{path::Path, process::ExitCode};

use anyhow::Context as _;
use argh::FromArgs;
use serde_json::json;
use tao::{admin::Admin, client::Parent, logic::SubPrin};

/// List the programs that run under the host.
#[derive(FromArgs)]
#[argh(subcommand, name = "list")]
pub struct List {
    /// print JSON
    #[argh(switch)]
    json: bool,
}

pub fn list(socket: &Path, command: &List) -> anyhow::Result<ExitCode> {
    let programs = Admin::connect(socket)?.list()?;
    if command.json {
        let list: Vec<_> = programs
            .iter()
            .map(|program| json!({"pid": program.pid, "program": program.subprin.to_string()}))
            .collect();
        println!("{}", json!(list));
    } else {
        for program in programs {
            println!("{:>7}  {}", program.pid, program.subprin);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Print the name of this very program: for programs that run under a host.
#[derive(FromArgs)]
#[argh(subcommand, name = "name")]
pub struct Name {
    /// print JSON
    #[argh(switch)]
    json: bool,
}

pub fn name(command: &Name) -> anyhow::Result<ExitCode> {
    print_name(command.json, &Parent::from_env()?.tao_name()?.to_string());
    Ok(ExitCode::SUCCESS)
}

fn print_name(as_json: bool, name: &str) {
    if as_json {
        println!("{}", json!({ "name": name }));
    } else {
        println!("{name}");
    }
}

/// Ask all programs of a name to end (SIGTERM).
#[derive(FromArgs)]
#[argh(subcommand, name = "stop")]
pub struct Stop {
    /// the name below the host's, as `tao list` prints it
    #[argh(positional)]
    program: String,
}

pub fn stop(socket: &Path, command: &Stop) -> anyhow::Result<ExitCode> {
    let program = parse(&command.program)?;
    Admin::connect(socket)?.stop(&program)?;
    Ok(ExitCode::SUCCESS)
}

/// End all programs of a name (SIGKILL).
#[derive(FromArgs)]
#[argh(subcommand, name = "kill")]
pub struct Kill {
    /// the name below the host's, as `tao list` prints it
    #[argh(positional)]
    program: String,
}

pub fn kill(socket: &Path, command: &Kill) -> anyhow::Result<ExitCode> {
    let program = parse(&command.program)?;
    Admin::connect(socket)?.kill(&program)?;
    Ok(ExitCode::SUCCESS)
}

fn parse(program: &str) -> anyhow::Result<SubPrin> {
    program
        .parse()
        .with_context(|| format!("{program}: not a name as `tao list` prints it"))
}

/// Look at the host, or end it.
#[derive(FromArgs)]
#[argh(subcommand, name = "host")]
pub struct Host {
    #[argh(subcommand)]
    command: HostCommand,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum HostCommand {
    Show(Show),
    Shutdown(Shutdown),
}

/// Print the host's name.
#[derive(FromArgs)]
#[argh(subcommand, name = "show")]
struct Show {
    /// print JSON
    #[argh(switch)]
    json: bool,
}

/// End all programs, then the host.
#[derive(FromArgs)]
#[argh(subcommand, name = "shutdown")]
struct Shutdown {}

pub fn host(socket: &Path, command: &Host) -> anyhow::Result<ExitCode> {
    let mut admin = Admin::connect(socket)?;
    match &command.command {
        HostCommand::Show(show) => print_name(show.json, &admin.host_name()?.to_string()),
        HostCommand::Shutdown(_) => admin.shutdown()?,
    }
    Ok(ExitCode::SUCCESS)
}
