//! `lcp` and its subcommands.

use std::process::ExitCode;

use argh::FromArgs;

mod acm;
mod build;
pub mod describe;
mod element;
mod links;
mod list;
mod mlehash;
mod number;
#[cfg(feature = "nv")]
pub mod nv;
mod policy;

/// Launch control policies of Intel TXT: make, show, sign and check them.
///
/// Called by the name of one of tboot's tools (see `lcp links`), it takes that tool's options.
#[derive(FromArgs)]
struct Lcp {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    MleHash(mlehash::MleHash),
    Element(element::ElementCommand),
    List(list::ListCommand),
    Policy(policy::PolicyCommand),
    Build(build::Build),
    Acm(acm::AcmCommand),
    #[cfg(feature = "nv")]
    Nv(nv::NvCommand),
    Links(links::Links),
}

/// Parses the command line and runs it: 0 done, 1 refused or failed, as argh says for wrong usage.
pub fn run() -> ExitCode {
    let lcp: Lcp = commands::from_env();
    let result = match lcp.command {
        Command::MleHash(command) => command.run(),
        Command::Element(command) => command.run(),
        Command::List(command) => command.run(),
        Command::Policy(command) => command.run(),
        Command::Build(command) => command.run(),
        Command::Acm(command) => command.run(),
        #[cfg(feature = "nv")]
        Command::Nv(command) => command.run(),
        Command::Links(command) => command.run(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lcp: {}", commands::sentence(error.chain()));
            ExitCode::FAILURE
        }
    }
}
