//! `taoboot`: enrols measured launches with a LUKS2 volume, and shows what is enrolled.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

#[macro_use]
extern crate commands;

mod enroll;
mod exit;
mod next_boot;
mod pin;
mod pins;
mod policy_key;
mod reseal;
mod retire;
mod setup;
mod srk;
mod status;
mod time;
mod trust;
mod volume;

use std::process::ExitCode;

use argh::FromArgs;

use exit::{EXIT_FAILURE, sentence};

/// Enrol measured launches with a LUKS2 volume: the TPM then gives the disk key to the
/// approved tboot, kernel, command line and initramfs, and to nothing else.
#[derive(FromArgs)]
#[argh(
    note = "VOLUME is a block device or an image file; device-mapper is not needed.",
    note = "Manual page: taoboot(8).",
    example = "Approve the launch that runs now:\n  {command_name} enroll --volume /dev/sda3 --current",
    example = "Approve a predicted launch, with swap under a random key:\n  {command_name} enroll --volume /dev/sda3 --expect pcrs.json --swap PARTUUID=0f3b-02",
    error_code(1, "status: the present launch would not open the volume"),
    error_code(2, "something failed; nothing was changed unless the message says so")
)]
struct Taoboot {
    #[argh(subcommand)]
    verb: Verb,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Verb {
    Enroll(enroll::Enroll),
    AddVolume(volume::add::AddVolume),
    Status(status::Status),
    List(volume::list::List),
    Wipe(volume::wipe::Wipe),
    Srk(srk::Srk),
    Reseal(reseal::Reseal),
    Pin(pin::PinVerb),
    PolicyKey(policy_key::PolicyKey),
    Approve(policy_key::approve::Approve),
    Retire(retire::Retire),
    Booted(retire::booted::Booted),
    CheckNextBoot(next_boot::CheckNextBoot),
    Trust(trust::Trust),
    Why(next_boot::why::Why),
    Setup(setup::Setup),
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    // A program that is started without its name has no arguments either.
    let rest = args.split_first().map_or(&[][..], |(_, rest)| rest);
    if commands::arguments::say_version("taoboot", rest) {
        return ExitCode::SUCCESS;
    }
    let taoboot = match Taoboot::from_args(&["taoboot"], rest) {
        Ok(taoboot) => taoboot,
        Err(argh::EarlyExit {
            output,
            status: Ok(()),
        }) => {
            println!("{}", output.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(argh::EarlyExit {
            output,
            status: Err(()),
        }) => {
            eprintln!("taoboot: {}\nSee taoboot --help.", output.trim_end());
            return ExitCode::from(EXIT_FAILURE);
        }
    };
    let result = match taoboot.verb {
        Verb::Enroll(enroll) => enroll.run(),
        Verb::AddVolume(add) => add.run(),
        Verb::Status(status) => status.run(),
        Verb::List(list) => list.run(),
        Verb::Wipe(wipe) => wipe.run(),
        Verb::Srk(srk) => srk.run(),
        Verb::Reseal(reseal) => reseal.run(),
        Verb::Pin(pin) => pin.run(),
        Verb::PolicyKey(verb) => verb.run(),
        Verb::Approve(approve) => approve.run(),
        Verb::Retire(retire) => retire.run(),
        Verb::Booted(booted) => booted.run(),
        Verb::CheckNextBoot(check) => check.run(),
        Verb::Trust(trust) => trust.run(),
        Verb::Why(why) => why.run(),
        Verb::Setup(setup) => setup.run(),
    };
    commands::output::finish(result.unwrap_or_else(|error| {
        eprintln!("taoboot: {}", printable::line(sentence(&error)));
        ExitCode::from(EXIT_FAILURE)
    }))
}
