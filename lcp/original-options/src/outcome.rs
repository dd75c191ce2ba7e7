//! What these tools say and end with.

use std::process::ExitCode;

use anyhow::Result;

/// A note about a difference to the original.
pub fn note(name: &str, text: &str) {
    commands::eprintln!("{name}: note: {text}");
}

/// Exit code 0; or 1, and a sentence on standard error.
pub fn exit_code(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            commands::eprintln!("Error: {}", commands::sentence(error.chain()));
            ExitCode::FAILURE
        }
    }
}
