//! The `tboot-policy` command, and `tb_polgen`'s command line when called by that name.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

#[macro_use]
extern crate commands;

use std::{path::Path, process::ExitCode};

mod command;
mod original;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let called_as = arguments.next();
    let name = called_as
        .as_deref()
        .map(Path::new)
        .and_then(Path::file_name)
        .and_then(|name| name.to_str())
        .unwrap_or("tboot-policy");
    if name == original::NAME {
        return commands::output::finish(original::run(arguments.collect()));
    }
    commands::output::finish(command::run())
}
