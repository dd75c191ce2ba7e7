//! `tboot-policy launch-log`: why was this a measured launch, or none?

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use argh::FromArgs;
use commands::file;
use commands::{Wanted, mismatch, refuse_idle};
use serde_json::{Value, json};
use tboot_policy::{
    diagnosis::{ErrorCode, LaunchLog, Registers},
    log::{self, EventLog, LogError, heap},
};

/// Say why a launch was measured, or was not: from the text of txt-stat, from a capture of tboot's
/// serial output, or from this machine's registers. Exit code 0: it was a measured launch, 2: it
/// was none, 1: that cannot be told.
#[derive(FromArgs)]
#[argh(subcommand, name = "launch-log")]
pub struct Command {
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// decode this value of TXT.ERRORCODE instead, e.g. 0xc0007051
    #[argh(option, arg_name = "hex")]
    error: Option<String>,
    /// the text (default: TXT's registers and event log of this machine, through /dev/mem)
    #[argh(positional)]
    file: Option<PathBuf>,
}

impl Command {
    pub fn run(self) -> Result<ExitCode> {
        if let Some(text) = &self.error {
            if self.file.is_some() {
                bail!("give either --error or a file");
            }
            refuse_idle(&[("--json", self.json)], "with --error")?;
            let digits = text.strip_prefix("0x").unwrap_or(text);
            let raw = u32::from_str_radix(digits, 16);
            let raw =
                raw.with_context(|| format!("{text:?} is not a value of 32 bits in hexadecimal"))?;
            println!("TXT.ERRORCODE {raw:#x}: {}", ErrorCode::from(raw));
            return Ok(ExitCode::SUCCESS);
        }
        let log = match &self.file {
            Some(path) => from_file(path)?,
            None => this_machine()?,
        };
        if self.json {
            println!("{:#}", as_json(&log));
        } else {
            print(&log, self.file.is_some());
        }
        Ok(match log.measured {
            Some(true) => ExitCode::SUCCESS,
            Some(false) => ExitCode::from(2),
            None => ExitCode::FAILURE,
        })
    }
}

fn from_file(path: &Path) -> Result<LaunchLog> {
    let bytes = file::read_at_most(path, log::MAX_LEN as u64)?;
    let log = LaunchLog::parse(&bytes).with_context(|| path.display().to_string())?;
    if !log.says_something() {
        match mismatch(path, &bytes, Wanted::LaunchLog) {
            Some(sentence) => bail!(sentence),
            None => bail!("{}: nothing of a launch is in it", path.display()),
        }
    }
    Ok(log)
}

fn this_machine() -> Result<LaunchLog> {
    let advice = "give a file: what txt-stat prints, or a capture of tboot's serial output";
    let memory = heap::DevMem::open(Path::new(super::log::MEMORY))
        .with_context(|| format!("cannot open {}; {advice}", super::log::MEMORY))?;
    let registers = Registers::read(&memory).with_context(|| {
        format!("cannot read TXT's registers, the kernel may forbid it (lockdown); {advice}")
    })?;
    // All ones: nothing answers there.
    if registers.iter().all(|register| register.value == u64::MAX) {
        bail!("nothing answers where TXT's registers should be: the machine has no Intel TXT");
    }
    Ok(LaunchLog::of_machine(registers, heap::read(&memory).ok()))
}

fn verdict(log: &LaunchLog) -> &'static str {
    match log.measured {
        Some(true) => "yes",
        Some(false) => "no",
        None => "that cannot be told from this text",
    }
}

fn print(log: &LaunchLog, from_text: bool) {
    println!("measured launch: {}", verdict(log));
    if let Some(version) = &log.version {
        println!("tboot {version}");
    }
    if log.earlier_boots > 0 {
        println!(
            "the last boot of the text is told of; before it: {}",
            log.earlier_boots
        );
    }
    for note in log.notes.iter().filter(|note| note.obstacle) {
        println!(
            "because: {} (line {}: {:?})",
            note.meaning, note.line, note.text
        );
    }
    if log.ends_in_senter() {
        println!(
            "because: SENTER was executed and nothing came after it: the machine was reset; TXT.ERRORCODE of its next boot says why"
        );
    }
    for register in log.registers.iter() {
        println!("{register}");
    }
    if log.registers_are_old {
        println!("  (read before the launch: the error registers speak of the launch before)");
    }
    for (place, candidate) in log.sinit.iter().enumerate() {
        let name = match candidate.name.as_str() {
            "" => String::new(),
            name => format!(" {name:?}"),
        };
        let outcome = match (candidate.chosen, candidate.rejected) {
            (true, _) => "chosen as SINIT".to_owned(),
            (false, Some(reason)) => format!("no SINIT for this platform: {reason}"),
            (false, None) => "not taken as SINIT".to_owned(),
        };
        println!("module {place}{name} (line {}): {outcome}", candidate.line);
    }
    for note in log.notes.iter().filter(|note| !note.obstacle) {
        println!("note: {} (line {})", note.meaning, note.line);
    }
    match &log.events {
        Some(Ok(events)) => print_events(events),
        Some(Err(error)) => println!("the events cannot be read: {error}"),
        None if from_text && !log.has_tboot_log => println!(
            "there is no log of tboot's in this text: the launch was made by another loader, or without \"memory\" in tboot's option logging=; look into a capture of the serial port, or read the TXT heap as root (`tboot-policy log show` without a file)"
        ),
        None => println!("no events are in it"),
    }
}

fn print_events(log: &EventLog) {
    for (place, event) in log.events.iter().enumerate() {
        println!("{}", super::log::line(place, event));
    }
}

fn as_json(log: &LaunchLog) -> Value {
    let (events, error) = match &log.events {
        Some(Ok(events)) => (Some(&events.events), None),
        Some(Err(error)) => (None, Some(LogError::to_string(error))),
        None => (None, None),
    };
    json!({
        "launch": log,
        "error": log.registers.error().map(|code| code.to_string()),
        "ends_in_senter": log.ends_in_senter(),
        "events": events,
        "events_error": error,
    })
}
