//! `cargo xtask`: everything around the code, one module per verb.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

#[macro_use]
extern crate commands;

mod agent;
mod bench;
mod check;
mod counts;
mod demo;
mod deny;
mod dist_verb;
mod named_tests;
mod packages;
mod programs;
mod rules;
mod setup;
mod static_libs;
mod step;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use argh::FromArgs;
use mkinitramfs::image::ImageCommand;

/// Sets up, builds, tests and shows taoboot.
#[derive(FromArgs)]
struct Xtask {
    #[argh(subcommand)]
    verb: Verb,
}

// One value, made once from the command line.
#[allow(clippy::large_enum_variant)]
#[derive(FromArgs)]
#[argh(subcommand)]
enum Verb {
    Setup(setup::Setup),
    StaticLibs(static_libs::StaticLibs),
    Agent(agent::Agent),
    Image(ImageCommand),
    Tools(tools::Tools),
    Dist(dist_verb::Dist),
    Demo(demo::Demo),
    Check(check::Check),
    Test(test::Test),
    Bench(bench::Bench),
    Counts(counts::Counts),
    Deny(deny::Deny),
}

fn main() -> ExitCode {
    let xtask: Xtask = commands::from_env();
    let done = match xtask.verb {
        Verb::Setup(verb) => verb.run(),
        Verb::StaticLibs(verb) => verb.run(),
        Verb::Agent(verb) => verb.run(),
        Verb::Image(verb) => image(verb),
        Verb::Tools(verb) => verb.run(),
        Verb::Dist(verb) => verb.run(),
        Verb::Demo(verb) => verb.run(),
        Verb::Check(verb) => verb.run(),
        Verb::Test(verb) => verb.run(),
        Verb::Bench(verb) => verb.run(),
        Verb::Counts(verb) => verb.run(),
        Verb::Deny(verb) => verb.run(),
    };
    commands::output::finish(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {}", commands::sentence(error.chain()));
            ExitCode::FAILURE
        }
    })
}

/// The builder takes the agent as a file; where none is named it is built first.
fn image(mut verb: ImageCommand) -> anyhow::Result<()> {
    if verb.needs_agent() {
        verb.set_agent(agent::default_path()?);
    }
    verb.run()
}
