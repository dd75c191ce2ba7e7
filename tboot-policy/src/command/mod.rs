//! `tboot-policy` and its subcommands.

use std::process::ExitCode;

use argh::FromArgs;

mod boot;
mod every_entry;
mod from_grub;
mod launch_log;
mod links;
mod log;
mod predict;
mod prediction;
mod record;
mod verify;
mod vlp;

/// tboot's verified launch policy, event logs of measured launches, and the prediction of PCR 17-19.
///
/// Called as tb_polgen, it takes that tool's options.
#[derive(FromArgs)]
struct TbootPolicy {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Create(vlp::Create),
    Add(vlp::Add),
    Del(vlp::Del),
    Show(vlp::Show),
    Unwrap(vlp::Unwrap),
    Wrap(vlp::Wrap),
    FromGrub(from_grub::FromGrub),
    Verify(verify::Verify),
    Log(log::Log),
    LaunchLog(launch_log::Command),
    Record(record::Record),
    Predict(predict::Predict),
    Links(links::Links),
}

/// Parses the command line and runs it: 0 done, 1 refused or failed, as argh says for wrong usage.
pub fn run() -> ExitCode {
    let parsed: TbootPolicy = commands::from_env();
    let result = match parsed.command {
        Command::Create(command) => command.run(),
        Command::Add(command) => command.run(),
        Command::Del(command) => command.run(),
        Command::Show(command) => command.run(),
        Command::Unwrap(command) => command.run(),
        Command::Wrap(command) => command.run(),
        Command::FromGrub(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Log(command) => command.run(),
        Command::LaunchLog(command) => command.run(),
        Command::Record(command) => command.run(),
        Command::Predict(command) => command.run(),
        Command::Links(command) => command.run(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tboot-policy: {}", commands::sentence(error.chain()));
            ExitCode::FAILURE
        }
    }
}
