//! Runs a program as a step that a person can follow: what it is for, how long it takes, and
//! on failure the end of what it said and where the rest is.

use std::{
    fs::{self, File},
    io::{IsTerminal, Write},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// How much of a failed program's output is shown.
const SHOWN_LINES: usize = 15;

/// Runs `command` with its output in `target/log/NAME.log`.
pub fn run(name: &str, command: &mut Command) -> Result<()> {
    let directory = workspace::logs()?;
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let file = format!(
        "{}.log",
        name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
    );
    let path = directory.join(file);
    let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("{name}: cannot start {}", command.get_program().display()))?;
    let mut line = ProgressLine::start(name);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        line.tick();
        std::thread::sleep(Duration::from_millis(50));
    };
    line.end();
    if status.success() {
        return Ok(());
    }
    // Shown here, and no part of the error: an error is one line, in which a line break is shown
    // as an escape.
    let said = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    eprintln!("{}", last_lines(&String::from_utf8_lossy(&said)));
    bail!(
        "{name} failed ({status}): see the lines above, all of them are in {}",
        path.display()
    )
}

/// The end of what a program said.
fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let passed_over = lines.len().saturating_sub(SHOWN_LINES);
    let shown: Vec<&str> = lines.into_iter().skip(passed_over).collect();
    shown.join("\n")
}

/// Runs `command` with this terminal as its output.
pub fn run_visibly(name: &str, command: &mut Command) -> Result<()> {
    eprintln!("• {name}");
    let status = command
        .status()
        .with_context(|| format!("{name}: cannot start {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(())
}

/// What a program prints on standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        bail!(
            "{program} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{program} printed something that is not UTF-8"))
}

/// A line that appears once something takes longer than a second.
struct ProgressLine<'a> {
    name: &'a str,
    started: Instant,
    shown: u64,
}

impl<'a> ProgressLine<'a> {
    fn start(name: &'a str) -> Self {
        ProgressLine {
            name,
            started: Instant::now(),
            shown: 0,
        }
    }

    fn tick(&mut self) {
        let seconds = self.started.elapsed().as_secs();
        if seconds == self.shown {
            return;
        }
        if std::io::stderr().is_terminal() {
            eprint!("\r• {} … {seconds} s", self.name);
            drop(std::io::stderr().flush()); // a terminal that is gone is no reason to stop
        } else if self.shown == 0 {
            eprintln!("• {} …", self.name);
        }
        self.shown = seconds;
    }

    fn end(&self) {
        if self.shown > 0 {
            let start = if std::io::stderr().is_terminal() {
                "\r"
            } else {
                ""
            };
            eprintln!(
                "{start}• {}: {:.0} s      ",
                self.name,
                self.started.elapsed().as_secs_f64()
            );
        }
    }
}
