//! What the one static program is this time: /init, the resident host, or a checker of configurations.

use std::{ffi::OsString, path::Path, process::ExitCode};

use crate::{
    boot,
    config::{Config, ConfigError},
    resident,
};

/// Decides by process number and arguments.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    match words.as_slice() {
        [resident::handover::NAME, "host"] => match resident::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        [_, after_panic @ ..] if std::process::id() == 1 => match boot::panic::run(after_panic) {
            Some(never) => match never {},
            None => boot::run(arguments),
        },
        [_, "--check-config", file] => match check_config(Path::new(file)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        _ => fail(
            &"this is taoboot's /init: it runs as process 1 of an initramfs, or with --check-config FILE",
        ),
    }
}

fn fail(sentence: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("taoboot: {}", printable::line(sentence));
    ExitCode::FAILURE
}

/// The image builder calls this, so that a bad configuration is refused by the program that will read it.
fn check_config(file: &Path) -> Result<(), ConfigError> {
    let origin = file.display().to_string();
    match std::fs::read_to_string(file) {
        Ok(text) => Config::parse(&text, &origin).map(drop),
        Err(error) => Err(ConfigError::Invalid {
            origin,
            reason: error.to_string(),
        }),
    }
}
