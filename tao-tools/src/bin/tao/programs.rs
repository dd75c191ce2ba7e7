//! `tao list`, `tao stop`, `tao kill`, `tao wait`, `tao logs`: programs that run or have run. Each
//! takes a program by its process, by its name, or by the line that `tao list` prints.

use std::{
    io::{IsTerminal as _, Write as _},
    os::{fd::AsFd as _, unix::process::ExitStatusExt as _},
    path::Path,
    process::{ExitCode, ExitStatus},
};

use anyhow::{Context as _, anyhow, bail, ensure};
use argh::FromArgs;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::Signal,
};
use serde_json::json;
use tao::{
    admin::{Admin, HostedProgram, KnownProgram},
    logic::SubPrin,
};

use super::run::exit_code;

/// List the programs that run under the host.
#[derive(FromArgs)]
#[argh(subcommand, name = "list")]
pub struct List {
    /// those too that have ended lately, with how they did (the last 256)
    #[argh(switch)]
    all: bool,
    /// print JSON
    #[argh(switch)]
    json: bool,
}

/// How it goes with a program, in a word.
fn state(ended: Option<i32>) -> String {
    let Some(status) = ended.map(ExitStatus::from_raw) else {
        return "runs".to_owned();
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

pub fn list(socket: &Path, command: &List) -> anyhow::Result<ExitCode> {
    let mut admin = Admin::connect(socket)?;
    let running = |program| KnownProgram {
        program,
        ended: None,
    };
    let programs: Vec<KnownProgram> = match command.all {
        true => admin.list_all()?,
        false => admin.list()?.into_iter().map(running).collect(),
    };
    if command.json {
        let shown = |known: &KnownProgram| {
            let name = known.program.subprin.to_string();
            let mut shown = json!({"pid": known.program.pid, "program": name});
            if let (true, Some(fields)) = (command.all, shown.as_object_mut()) {
                let status = known.ended.map(ExitStatus::from_raw);
                fields.insert("runs".to_owned(), json!(status.is_none()));
                fields.insert("exit_code".to_owned(), json!(status.map(|s| s.code())));
                fields.insert("signal".to_owned(), json!(status.map(|s| s.signal())));
            }
            shown
        };
        println!("{}", json!(programs.iter().map(shown).collect::<Vec<_>>()));
        return Ok(ExitCode::SUCCESS);
    }
    for KnownProgram { program, ended } in programs {
        let HostedProgram { subprin, pid } = program;
        match command.all {
            true => println!("{pid:>7}  {:<10}  {subprin}", state(ended)),
            false => println!("{pid:>7}  {subprin}"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The program that is meant.
#[derive(Debug, PartialEq, Eq)]
enum Meant {
    Process(i32),
    Name(SubPrin),
    Both(HostedProgram),
}

/// Reads the words of a command line: a shell may have taken a line apart.
fn meant(words: &[String]) -> anyhow::Result<Meant> {
    let text = words.join(" ");
    let text = text.trim();
    ensure!(
        !text.is_empty(),
        "no program is named: give its process ID, its name, or its line of `tao list`"
    );
    let wrong = || anyhow!("{text}: not a process ID, a name, or a line of `tao list`");
    let digits = text.find(|letter: char| !letter.is_ascii_digit());
    let (pid, rest) = text.split_at(digits.unwrap_or(text.len()));
    if pid.is_empty() {
        return Ok(Meant::Name(text.parse().map_err(|_| wrong())?));
    }
    let pid = pid.parse().map_err(|_| wrong())?;
    if rest.is_empty() {
        return Ok(Meant::Process(pid));
    }
    ensure!(rest.starts_with(char::is_whitespace), "{}", wrong());
    // Between them may be how it ended; a name begins with a dot.
    let name = rest.find('.').and_then(|dot| rest.get(dot..));
    let subprin = name.ok_or_else(wrong)?.parse().map_err(|_| wrong())?;
    Ok(Meant::Both(HostedProgram { subprin, pid }))
}

fn signal(socket: &Path, words: &[String], signal: Signal) -> anyhow::Result<ExitCode> {
    let meant = meant(words)?;
    let mut admin = Admin::connect(socket)?;
    match meant {
        Meant::Process(pid) => admin.signal(pid, signal)?,
        Meant::Both(program) => admin.signal_program(&program, signal)?,
        Meant::Name(name) if signal == Signal::SIGKILL => admin.kill(&name)?,
        Meant::Name(name) => admin.stop(&name)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One program that runs or has ended lately; of one that a process number says only, nothing else
/// is known.
fn one(admin: &mut Admin, words: &[String]) -> anyhow::Result<(i32, Option<HostedProgram>)> {
    let name = match meant(words)? {
        Meant::Process(pid) => return Ok((pid, None)),
        Meant::Both(program) => return Ok((program.pid, Some(program))),
        Meant::Name(name) => name,
    };
    let mut called = admin.list_all()?;
    called.retain(|known| known.program.subprin == name);
    let mut running: Vec<_> = called
        .iter()
        .filter(|known| known.ended.is_none())
        .collect();
    if running.is_empty() {
        // The one that ended last.
        running.extend(called.last());
    }
    match running.as_slice() {
        [] => bail!("no such hosted program: {name}"),
        [one] => Ok((one.program.pid, Some(one.program.clone()))),
        several => {
            let pids: Vec<_> = several
                .iter()
                .map(|known| known.program.pid.to_string())
                .collect();
            bail!(
                "several programs have that name; say which process: {}",
                pids.join(", ")
            )
        }
    }
}

/// Ask programs to end (SIGTERM).
#[derive(FromArgs)]
#[argh(subcommand, name = "stop")]
pub struct Stop {
    /// its process ID; a name, for all programs that have it; or a line that `tao list` prints
    #[argh(positional)]
    program: Vec<String>,
}

pub fn stop(socket: &Path, command: &Stop) -> anyhow::Result<ExitCode> {
    signal(socket, &command.program, Signal::SIGTERM)
}

/// End programs (SIGKILL).
#[derive(FromArgs)]
#[argh(subcommand, name = "kill")]
pub struct Kill {
    /// its process ID; a name, for all programs that have it; or a line that `tao list` prints
    #[argh(positional)]
    program: Vec<String>,
}

pub fn kill(socket: &Path, command: &Kill) -> anyhow::Result<ExitCode> {
    signal(socket, &command.program, Signal::SIGKILL)
}

/// Wait for the end of a program; exit as it did.
#[derive(FromArgs)]
#[argh(subcommand, name = "wait")]
pub struct Wait {
    /// its process ID, its name, or its line of `tao list`
    #[argh(positional)]
    program: Vec<String>,
}

pub fn wait(socket: &Path, command: &Wait) -> anyhow::Result<ExitCode> {
    let mut admin = Admin::connect(socket)?;
    match one(&mut admin, &command.program)? {
        (_, Some(program)) => admin.begin_wait(&program)?,
        (pid, None) => admin.begin_wait_for(pid)?,
    }
    Ok(exit_code(ExitStatus::from_raw(admin.finish_wait()?)))
}

/// Print the last of what a program in the background has written (32 KiB at most).
#[derive(FromArgs)]
#[argh(subcommand, name = "logs")]
pub struct Logs {
    /// go on with what it writes, until it ends
    #[argh(switch, short = 'f')]
    follow: bool,
    /// its process ID, its name, or its line of `tao list`
    #[argh(positional)]
    program: Vec<String>,
}

/// How often it is looked whether a program has written more, in milliseconds.
const INTERVAL: u16 = 100;

pub fn logs(socket: &Path, command: &Logs) -> anyhow::Result<ExitCode> {
    let mut admin = Admin::connect(socket)?;
    let (pid, _) = one(&mut admin, &command.program)?;
    let mut seen = print_new(&mut admin, pid, 0)?;
    if !command.follow {
        return Ok(ExitCode::SUCCESS);
    }
    let mut end = Admin::connect(socket)?;
    end.begin_wait_for(pid)?;
    loop {
        let mut descriptors = [PollFd::new(end.as_fd(), PollFlags::POLLIN)];
        let ended = match poll(&mut descriptors, PollTimeout::from(INTERVAL)) {
            Ok(ready) => ready > 0,
            Err(nix::errno::Errno::EINTR) => false,
            Err(error) => return Err(error).context("waiting for the program"),
        };
        seen = print_new(&mut admin, pid, seen)?;
        if ended {
            end.finish_wait()?;
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Prints what was written after the first `seen` bytes, as far as it is kept; gives how many there
/// are now.
fn print_new(admin: &mut Admin, pid: i32, seen: u64) -> anyhow::Result<u64> {
    let written = admin.output(pid)?;
    let new = written.total.saturating_sub(seen);
    let kept = written.last.len();
    let lost = new.saturating_sub(kept as u64);
    if lost > 0 && seen > 0 {
        eprintln!("tao: {lost} bytes are no longer kept");
    }
    // What has been printed already is at the front. As many bytes as are kept, or more, fit.
    let printed = usize::try_from(new).map_or(0, |new| kept.saturating_sub(new));
    let (_, bytes) = written.last.split_at(printed);
    // A program's output is its own; a person's terminal is not the program's.
    let mut stdout = std::io::stdout();
    if stdout.is_terminal() {
        print!("{}", String::from_utf8_lossy(bytes));
    } else {
        stdout.write_all(bytes).context("standard output")?;
    }
    stdout.flush().context("standard output")?;
    Ok(written.total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_meant_by_process_by_name_or_by_a_line_that_is_printed() {
        let read = |text: &str| {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            meant(&words).map_err(|error| error.to_string())
        };
        let subprin: SubPrin = ".Program([0a]).Args(\"a b\")".parse().unwrap();
        assert_eq!(read("12"), Ok(Meant::Process(12)));
        assert_eq!(read(&subprin.to_string()), Ok(Meant::Name(subprin.clone())));
        let both = Meant::Both(HostedProgram {
            subprin: subprin.clone(),
            pid: 12,
        });
        for line in [
            format!("     12  {subprin}"),
            format!("     12  {:<10}  {subprin}", state(Some(15))),
            format!("12  {subprin}"),
        ] {
            assert_eq!(read(&line).as_ref(), Ok(&both), "{line}");
        }
        for wrong in [
            "",
            "  ",
            "12x",
            "12 x",
            "x",
            "99999999999",
            "-1",
            "12.Program([0a])",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
