//! The command line of tboot's own `tb_polgen` (tboot 1.10), called by its name.
//!
//! Options, files, standard output and exit codes are its own; what it gets wrong is done right
//! here, with a note on standard error, unless `--compat` asks for its bytes. The differences are
//! listed in docs/man/tb_polgen-compat.7.

use std::{ffi::OsString, process::ExitCode};

// The same parsing as the other original tools', which crate lcp re-creates.
#[path = "../../../lcp/src/original/getopt.rs"]
mod getopt;
#[path = "../../../lcp/src/original/strtoul.rs"]
#[allow(dead_code)] // its checked numbers: tb_polgen checks otherwise
mod strtoul;

mod options;
mod polgen;
mod show;

/// The original's name.
pub const NAME: &str = "tb_polgen";

/// The exact word that asks for the original's bytes where it is wrong.
const COMPAT: &str = "--compat";

/// What the tool ends with: nothing, or a sentence for standard error (exit code 1).
type Outcome = Result<(), String>;

/// Runs the tool.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let mut words = Vec::new();
    let mut compat = false;
    for argument in arguments {
        match argument.into_string() {
            Ok(word) if word == COMPAT => compat = true,
            Ok(word) => words.push(word),
            Err(word) => {
                eprintln!("{NAME}: {} is no UTF-8 text", word.display());
                return ExitCode::FAILURE;
            }
        }
    }
    match polgen::run(&words, compat) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("Error: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// A note about a difference to the original.
fn note(text: &str) {
    eprintln!("{NAME}: note: {text}");
}
