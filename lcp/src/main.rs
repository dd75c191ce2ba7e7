//! The `lcp` command, and the command lines of the original tools when called by their names.

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
        .unwrap_or("lcp");
    if let Some(tool) = original::Tool::named(name) {
        return commands::output::finish(original::run(tool, name, arguments.collect()));
    }
    commands::output::finish(command::run())
}
