//! The command line of tboot's own `tb_polgen` (tboot 1.10), called by its name.
//!
//! Options, files, standard output and exit codes are its own; what it gets wrong is done right
//! here, with a note on standard error, unless `--compat` asks for its bytes. The differences are
//! listed in docs/man/tb_polgen-compat.7.

use std::{ffi::OsString, process::ExitCode};

use original_options::{outcome, words::Words};

mod options;
mod polgen;
mod show;

pub use options::NAME;

/// Runs the tool.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    match Words::of(arguments) {
        Ok(Words { words, compat }) => outcome::exit_code(polgen::run(&words, compat)),
        Err(error) => {
            eprintln!("{NAME}: {error}");
            ExitCode::FAILURE
        }
    }
}
