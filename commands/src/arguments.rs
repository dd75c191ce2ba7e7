//! The command line, as `argh::from_env` reads it; its help may go to a reader that has gone.

use std::{env, path::Path, process::exit};

use argh::{EarlyExit, TopLevelCommand};

/// All commands have the version of the project, and say it alike.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Answers `--version`, where it is the whole command line of the command `name`.
pub fn say_version<W: AsRef<str>>(name: &str, rest: &[W]) -> bool {
    let [word] = rest else {
        return false;
    };
    let asked = word.as_ref() == "--version";
    if asked {
        println!("{name} {VERSION}");
    }
    asked
}

/// Reads the command line. Ends the process after `--help` and `--version` (0) and a wrong command
/// line (1).
pub fn from_env<T: TopLevelCommand>() -> T {
    let words: Result<Vec<String>, _> = env::args_os().map(|word| word.into_string()).collect();
    let words = words.unwrap_or_else(|word| {
        eprintln!("{} is not UTF-8 text", word.display());
        exit(1)
    });
    let (command, rest) = match words.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("", words.as_slice()),
    };
    let name = Path::new(command)
        .file_name()
        .and_then(|name| name.to_str());
    let name = name.unwrap_or(command);
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    if say_version(name, &rest) {
        exit(0)
    }
    T::from_args(&[name], &rest).unwrap_or_else(|early: EarlyExit| match early.status {
        Ok(()) => {
            println!("{}", early.output);
            exit(0)
        }
        Err(()) => {
            eprintln!("{}\nRun {name} --help for more information.", early.output);
            exit(1)
        }
    })
}
