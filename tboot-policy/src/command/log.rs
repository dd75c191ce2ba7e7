//! `tboot-policy log`: show an event log, or replay it against PCRs.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use argh::FromArgs;
use commands::Wanted;
use commands::file;
use serde_json::{Value, json};
use tboot_policy::{
    log::{
        self, EventLog, LogEvent, heap,
        replay::{Agreement, Reading, Register, compare},
    },
    pcr_text,
    predict::disagreement,
};
use tpm::PcrValues;

/// The kernel's directory of the TPM.
const KERNEL_TPM: &str = "/sys/class/tpm/tpm0";
/// Physical memory.
pub const MEMORY: &str = "/dev/mem";

/// Show an event log, or replay it against PCRs.
#[derive(FromArgs)]
#[argh(subcommand, name = "log")]
pub struct Log {
    #[argh(subcommand)]
    command: LogCommand,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum LogCommand {
    Show(Show),
    Replay(Replay),
}

/// Show the events of a log.
#[derive(FromArgs)]
#[argh(subcommand, name = "show")]
struct Show {
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// the log's files: several for TXT's legacy logs, one a bank (default: this machine's TXT heap,
    /// through /dev/mem)
    #[argh(positional)]
    files: Vec<PathBuf>,
}

/// Replay a log, with both meanings of HASH_START. Exit code 0: every compared PCR agrees, 2: one
/// does not, 1: it cannot be said.
#[derive(FromArgs)]
#[argh(subcommand, name = "replay")]
struct Replay {
    /// file with PCR values: tpm2_pcrread's output, JSON, or lines "17: <hex>" (default with a file
    /// of a log: none; without one: this machine's)
    #[argh(option)]
    pcrs: Option<PathBuf>,
    /// compare with this machine's PCRs
    #[argh(switch)]
    live: bool,
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// the log's files (default: this machine's TXT heap, through /dev/mem)
    #[argh(positional)]
    files: Vec<PathBuf>,
}

/// Reads a log: files in any form, or this machine's heap where none is named.
pub fn load(files: &[PathBuf]) -> Result<EventLog> {
    if files.is_empty() {
        let memory = heap::DevMem::open(Path::new(MEMORY)).with_context(|| {
            format!("cannot open {MEMORY}: name a file with the log, or run as root")
        })?;
        return Ok(heap::read(&memory)?);
    }
    let mut logs = Vec::new();
    for path in files {
        let bytes = file::read_at_most(path, log::MAX_LEN as u64)?;
        let shown = || path.display().to_string();
        let parsed = if bytes.first() == Some(&b'{') {
            from_json(&bytes).with_context(shown)?
        } else {
            file::parsed(path, &bytes, Wanted::EventLog, EventLog::parse(&bytes))?
        };
        logs.push(parsed);
    }
    Ok(EventLog::merge(logs)?)
}

/// What `log show --json` prints.
fn from_json(bytes: &[u8]) -> Result<EventLog> {
    let mut tree: Value = serde_json::from_slice(bytes).context("not JSON")?;
    let format = tree.get("format").cloned().context("no \"format\"")?;
    let events = tree
        .get_mut("events")
        .map(Value::take)
        .context("no \"events\"")?;
    Ok(EventLog {
        format: serde_json::from_value(format).context("format")?,
        events: serde_json::from_value(events).context("events")?,
    })
}

/// PCR values: of a file, or of this machine.
pub fn pcrs(file: Option<&PathBuf>, live: bool) -> Result<Vec<PcrValues>> {
    match (file, live) {
        (Some(_), true) => bail!("give either --pcrs or --live"),
        (Some(path), false) => {
            let text = file::read_text(path, Wanted::Pcrs)?;
            file::parsed(path, text.as_bytes(), Wanted::Pcrs, pcr_text::parse(&text))
        }
        (None, true) => Ok(pcr_text::from_kernel(Path::new(KERNEL_TPM))?),
        (None, false) => Ok(Vec::new()),
    }
}

impl Log {
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            LogCommand::Show(command) => command.run(),
            LogCommand::Replay(command) => command.run(),
        }
    }
}

impl Show {
    fn run(self) -> Result<ExitCode> {
        let log = load(&self.files)?;
        if self.json {
            println!(
                "{:#}",
                json!({ "format": log.format, "events": log.events })
            );
            return Ok(ExitCode::SUCCESS);
        }
        println!("{}", log.format);
        for (place, event) in log.events.iter().enumerate() {
            println!("{}", line(place, event));
            for (bank, digest) in &event.digests {
                println!("       {bank:6} {}", hex::encode(digest));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// An event as one line.
pub fn line(place: usize, event: &LogEvent) -> String {
    let pcr = match event.is_extended() {
        true => format!("PCR {}", event.pcr),
        false => "not extended".to_owned(),
    };
    let data = match event.data.len() {
        0 => String::new(),
        len => format!(", {len} bytes of data"),
    };
    format!("{place:4}   {pcr} {}{data}", event.name())
}

impl Replay {
    fn run(self) -> Result<ExitCode> {
        let log = load(&self.files)?;
        // The running machine's log is compared with its PCRs.
        let live = self.live || (self.files.is_empty() && self.pcrs.is_none());
        let registers = compare(&log, &pcrs(self.pcrs.as_ref(), live)?);
        if self.json {
            let list: Vec<Value> = registers.iter().map(|r| as_json(&log, r)).collect();
            println!("{:#}", json!({ "format": log.format, "registers": list }));
        } else {
            for register in &registers {
                print(&log, register);
            }
        }
        let disagrees = registers.iter().any(|r| disagreement(&log, r).is_some());
        Ok(if disagrees {
            ExitCode::from(2)
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// The readings that give different values.
fn readings(register: &Register) -> Vec<(&'static str, String)> {
    let value = |reading: Reading| register.replayed.get(&reading).map(hex::encode);
    let [extended, as_value] = Reading::BOTH.map(|reading| (reading.name(), value(reading)));
    if extended.1 == as_value.1 {
        return extended.1.into_iter().map(|value| ("", value)).collect();
    }
    [extended, as_value]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn print(log: &EventLog, register: &Register) {
    for (name, value) in readings(register) {
        let note = if name.is_empty() {
            String::new()
        } else {
            format!(" ({name})")
        };
        println!("{} PCR {:2}: {value}{note}", register.bank, register.pcr);
    }
    match (&register.agreement, disagreement(log, register)) {
        (Agreement::Agrees(reading), _) => println!("  agrees, {}", reading.name()),
        (_, Some(sentence)) => println!("  DIFFERS: {sentence}"),
        _ => {}
    }
}

fn as_json(log: &EventLog, register: &Register) -> Value {
    let replayed: serde_json::Map<String, Value> = register
        .replayed
        .iter()
        .filter_map(|(reading, value)| {
            let name = serde_json::to_value(reading).ok()?;
            Some((name.as_str()?.to_owned(), json!(hex::encode(value))))
        })
        .collect();
    let agrees = match register.agreement {
        Agreement::Agrees(reading) => json!(reading),
        Agreement::NotCompared => Value::Null,
        _ => json!(false),
    };
    json!({
        "bank": register.bank,
        "pcr": register.pcr,
        "replayed": replayed,
        "expected": register.expected.as_ref().map(hex::encode),
        "agrees": agrees,
        "difference": disagreement(log, register),
    })
}
