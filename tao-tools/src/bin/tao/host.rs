//! `tao name`, `tao host`.

use std::{path::Path, process::ExitCode};

use anyhow::Context as _;
use argh::FromArgs;
use serde_json::json;
use tao::{admin::Admin, client::Parent, logic::Prin};

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

fn show(socket: &Path, as_json: bool) -> anyhow::Result<()> {
    let host = Admin::connect(socket)?.describe()?;
    let name = Prin::decode(&host.prin)?.to_string();
    let anchor = host.anchor.as_deref();
    if as_json {
        let shown = json!({
            "name": name,
            "anchor": anchor,
            "boot_event": host.boot_event,
            "programs": host.programs,
            "isolation": host.isolation,
            "lacking": host.lacking,
            "policy": host.policy,
        });
        println!("{shown}");
        return Ok(());
    }
    println!("{name}");
    if let Some(programs) = host.programs {
        println!("programs: {programs}");
    }
    match anchor {
        Some(anchor) => println!("counters: anchored in {anchor}"),
        None => println!("counters: no anchor; a restored disk is not noticed"),
    }
    if let Some(event) = &host.boot_event {
        println!("boot event: {event}");
    }
    for (title, list) in [
        ("isolation", host.isolation),
        ("lacking", host.lacking),
        ("policy", host.policy),
    ] {
        if !list.is_empty() {
            println!("{title}: {}", list.join(", "));
        }
    }
    Ok(())
}

/// List or delete the counters that protect what programs seal from rollback.
#[derive(FromArgs)]
#[argh(subcommand, name = "counters")]
struct Counters {
    #[argh(subcommand)]
    command: CountersCommand,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum CountersCommand {
    List(CountersList),
    Delete(CountersDelete),
}

/// Print how many counters each program has, under all its names.
#[derive(FromArgs)]
#[argh(subcommand, name = "list")]
struct CountersList {
    /// print JSON
    #[argh(switch)]
    json: bool,
}

/// Delete all counters of a program: what it has sealed against rollback can no longer be opened.
#[derive(FromArgs)]
#[argh(subcommand, name = "delete")]
struct CountersDelete {
    /// the program's hash, as tao host counters list prints it
    #[argh(positional)]
    program: String,
}

fn counters(socket: &Path, command: &Counters) -> anyhow::Result<()> {
    match &command.command {
        CountersCommand::List(command) => list_counters(socket, command.json),
        CountersCommand::Delete(CountersDelete { program }) => {
            let id = hex::decode(program).with_context(|| {
                format!("{program}: not a hash as `tao host counters list` prints it")
            })?;
            let deleted = Admin::connect(socket)?.delete_counters(&id)?;
            println!("counters deleted: {deleted}");
            Ok(())
        }
    }
}

fn list_counters(socket: &Path, as_json: bool) -> anyhow::Result<()> {
    let all = Admin::connect(socket)?.counters()?;
    if as_json {
        let list: Vec<_> = all
            .iter()
            .map(|of| {
                json!({
                    "program": hex::encode(&of.program),
                    "name": of.name,
                    "counters": of.counters,
                    "bytes": of.bytes,
                })
            })
            .collect();
        println!("{}", json!(list));
        return Ok(());
    }
    for of in all {
        let hash = hex::encode(&of.program);
        println!(
            "{hash} {:>5} {:>7} bytes  {}",
            of.counters, of.bytes, of.name
        );
    }
    Ok(())
}

/// Start a host, look at it, or end it.
#[derive(FromArgs)]
#[argh(subcommand, name = "host")]
pub struct Host {
    #[argh(subcommand)]
    command: HostCommand,
}

impl Host {
    /// Does this process become a host?
    pub fn starts(&self) -> bool {
        matches!(self.command, HostCommand::Start(_))
    }
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum HostCommand {
    Start(Box<super::host_start::Start>),
    Show(Show),
    Counters(Counters),
    Users(super::users::Users),
    Shutdown(Shutdown),
}

/// Print the host's name, and what it says about itself.
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

pub fn host(socket: &Path, command: Host) -> anyhow::Result<ExitCode> {
    match command.command {
        HostCommand::Start(mut command) => return super::host_start::start(socket, &mut command),
        HostCommand::Show(command) => show(socket, command.json)?,
        HostCommand::Counters(command) => counters(socket, &command)?,
        HostCommand::Users(command) => super::users::users(socket, &command)?,
        HostCommand::Shutdown(_) => Admin::connect(socket)?.shutdown()?,
    }
    Ok(ExitCode::SUCCESS)
}
