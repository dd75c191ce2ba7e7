//! `tao`: run programs under the machine's Tao host, look at the host, at attestations and
//! at statements.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

#[macro_use]
extern crate printable;

mod attestation;
mod calls;
mod domain;
mod guard;
mod host;
mod host_start;
mod key;
mod logic;
mod password;
mod places;
mod programs;
mod run;
mod stderr_log;
mod time;
mod users;

use std::{path::PathBuf, process::ExitCode};

use argh::FromArgs;

/// Run programs under this machine's Tao host, and look at attestations and statements.
#[derive(FromArgs)]
struct Arguments {
    /// the host's socket (default: /run/tao/admin.sock; for others than root
    /// $XDG_RUNTIME_DIR/tao/admin.sock if there is a host of theirs)
    #[argh(option)]
    socket: Option<PathBuf>,
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Run(run::Run),
    List(programs::List),
    Name(host::Name),
    Seal(calls::Seal),
    Unseal(calls::Unseal),
    Attest(calls::Attest),
    Random(calls::Random),
    Stop(programs::Stop),
    Kill(programs::Kill),
    Wait(programs::Wait),
    Logs(programs::Logs),
    Host(host::Host),
    Guard(guard::Guard),
    Domain(domain::Domain),
    Key(key::Key),
    Attestation(attestation::Attestation),
    Logic(logic::Logic),
}

/// What `tao run` exits with when it is not the program's own status, as container tools do.
const RUN_FAILED: u8 = 125;

fn main() -> ExitCode {
    let Arguments { socket, command } = commands::from_env();
    let failure = if matches!(command, Command::Run(_)) {
        RUN_FAILED
    } else {
        1
    };
    // A host goes on when a program closes its pipe; a command that prints does not.
    if !matches!(&command, Command::Host(host) if host.starts())
        && let Err(error) = tao::process::end_with_broken_pipe()
    {
        eprintln!("tao: {error}");
    }
    let starts = matches!(&command, Command::Host(host) if host.starts());
    let result = socket.map_or_else(|| places::socket(starts), Ok);
    let result = result.and_then(|socket| perform(socket, command));
    result.unwrap_or_else(|error| {
        eprintln!("tao: {}", commands::sentence(error.chain()));
        ExitCode::from(failure)
    })
}

fn perform(socket: PathBuf, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(command) => run::run(&socket, &command),
        Command::List(command) => programs::list(&socket, &command),
        Command::Name(command) => host::name(&command),
        Command::Seal(command) => calls::seal(&command),
        Command::Unseal(command) => calls::unseal(&command),
        Command::Attest(command) => calls::attest(&command),
        Command::Random(command) => calls::random(&command),
        Command::Stop(command) => programs::stop(&socket, &command),
        Command::Kill(command) => programs::kill(&socket, &command),
        Command::Wait(command) => programs::wait(&socket, &command),
        Command::Logs(command) => programs::logs(&socket, &command),
        Command::Host(command) => host::host(&socket, command),
        Command::Guard(command) => guard::guard(&socket, &command),
        Command::Domain(command) => domain::domain(&command),
        Command::Key(command) => key::key(&command),
        Command::Attestation(command) => attestation::attestation(&command),
        Command::Logic(command) => logic::logic(&command),
    }
}
