//! `tao`: run programs under the machine's Tao host, look at the host, at attestations and
//! at statements.

mod attestation;
mod guard;
mod host;
mod logic;
mod run;

use std::{path::PathBuf, process::ExitCode};

use argh::FromArgs;

/// Run programs under this machine's Tao host, and look at attestations and statements.
#[derive(FromArgs)]
struct Arguments {
    /// the host's socket (default: /run/tao/admin.sock)
    #[argh(option, default = "PathBuf::from(tao::admin::ADMIN_SOCKET)")]
    socket: PathBuf,
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Run(run::Run),
    List(host::List),
    Name(host::Name),
    Stop(host::Stop),
    Kill(host::Kill),
    Host(host::Host),
    Guard(guard::Guard),
    Attestation(attestation::Attestation),
    Logic(logic::Logic),
}

/// What `tao run` exits with when it is not the program's own status, as container tools do.
const RUN_FAILED: u8 = 125;

fn main() -> ExitCode {
    let Arguments { socket, command } = argh::from_env();
    let failure = if matches!(command, Command::Run(_)) {
        RUN_FAILED
    } else {
        1
    };
    let result = match command {
        Command::Run(command) => run::run(&socket, &command),
        Command::List(command) => host::list(&socket, &command),
        Command::Name(command) => host::name(&command),
        Command::Stop(command) => host::stop(&socket, &command),
        Command::Kill(command) => host::kill(&socket, &command),
        Command::Host(command) => host::host(&socket, &command),
        Command::Guard(command) => guard::guard(&socket, &command),
        Command::Attestation(command) => attestation::attestation(&command),
        Command::Logic(command) => logic::logic(&command),
    };
    result.unwrap_or_else(|error| {
        eprintln!("tao: {error:#}");
        ExitCode::from(failure)
    })
}
