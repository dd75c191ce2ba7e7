//! What became of a machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::boot::report::Report;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::proxy::ProxySummary;
use crate::tpm_log::{self, TPM2_UNSEAL, TpmCommand};

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The guest switched it off.
    PowerOff,
    /// The guest reset it, after its last allowed boot.
    Reset,
    /// It was still running when its time was over.
    TimedOut,
    /// The harness ended it.
    Ended,
    /// QEMU ended for a reason of its own, in its words.
    Failed(String),
}

/// Everything that a test can ask about a machine that has ended.
///
/// Its directory is removed when this is dropped, unless the test is failing, or
/// `TAOBOOT_KEEP=1` is set.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// The lines of JSON that the guest wrote to its second serial port.
    pub reports: Vec<Value>,
    /// What the guest wrote to its first serial port.
    pub console: String,
    /// How long it ran, QEMU's start and end included.
    pub elapsed: Duration,
    /// Times that the guest reset the machine.
    pub resets: u32,
    /// What passed between the machine and its TPM, if it has one.
    pub tpm: Option<ProxySummary>,
    /// A line for each TPM command.
    pub tpm_log: PathBuf,
    /// Every byte between the machine and its TPM, where the test asked for it.
    pub tpm_recording: PathBuf,
    /// The machine's directory.
    pub directory: PathBuf,
}

impl Outcome {
    /// The reports that have the member `kind`: `probe` for the userland's, `taoboot` for the
    /// agent's, see [`Self::boot_reports`].
    pub fn reports_of(&self, kind: &str) -> Vec<&Value> {
        self.reports
            .iter()
            .filter(|report| report.get(kind).is_some())
            .collect()
    }

    /// What /init reported, in order: of each boot, and of each question before it went on.
    ///
    /// # Errors
    /// A report is not what the agent writes.
    pub fn boot_reports(&self) -> Result<Vec<Report>> {
        let reports = self.reports_of("taoboot").into_iter();
        reports.map(as_report).collect()
    }

    /// The only one.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn boot_report(&self) -> Result<Report> {
        as_report(self.report_of("taoboot")?)
    }

    /// The only report that has the member `kind`.
    ///
    /// # Errors
    /// There is none, or there are several; the end of the console is part of the message.
    pub fn report_of(&self, kind: &str) -> Result<&Value> {
        match self.reports_of(kind).as_slice() {
            [report] => Ok(report),
            reports => bail!(
                "expected one report of {kind}, found {}; the machine's end was {:?} after {:.1} s\n{}",
                reports.len(),
                self.ending,
                self.elapsed.as_secs_f32(),
                self.console_end()
            ),
        }
    }

    /// How many times the TPM released a sealed secret to this machine.
    pub fn secrets_released(&self) -> Result<usize> {
        let commands = tpm_log::read(&self.tpm_log)?;
        let released = |command: &&TpmCommand| command.code == TPM2_UNSEAL && command.result == 0;
        Ok(commands.iter().filter(released).count())
    }

    /// The last lines of the console, for messages.
    pub fn console_end(&self) -> String {
        let lines: Vec<&str> = self.console.lines().collect();
        lines
            .get(lines.len().saturating_sub(30)..)
            .unwrap_or_default()
            .join("\n")
    }

    /// Leaves the directory where it is.
    pub fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.directory)
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if self.directory.as_os_str().is_empty() {
            return;
        }
        if std::thread::panicking() || keep_asked() || matches!(self.ending, Ending::Failed(_)) {
            eprintln!("logs and disks are kept in {}", self.directory.display());
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            eprintln!("cannot remove {}: {error}", self.directory.display());
        }
    }
}

fn as_report(report: &Value) -> Result<Report> {
    Report::deserialize(report).with_context(|| format!("not a report of /init: {report}"))
}

fn keep_asked() -> bool {
    std::env::var_os("TAOBOOT_KEEP").is_some_and(|value| value != "0" && !value.is_empty())
}

/// The lines of JSON in what the guest wrote to the report port. OVMF takes that port for a
/// console and writes to it before the guest does: what is before a `{"` is not ours.
///
/// # Errors
/// A line begins like JSON but is none: two writers got into each other's way, or the guest
/// died within a line.
pub fn parse_reports(text: &str, log: &Path) -> Result<Vec<Value>> {
    text.lines()
        .filter_map(|line| line.find("{\"").and_then(|start| line.get(start..)))
        .map(|line| {
            serde_json::from_str(line.trim_end())
                .with_context(|| format!("{} holds a line that is not JSON: {line}", log.display()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_report_is_an_error_not_a_missing_one() {
        let path = Path::new("report");
        assert_eq!(
            parse_reports("{\"a\":1}\n\n{\"b\":2}\n", path)
                .unwrap()
                .len(),
            2
        );
        assert!(parse_reports("{\"a\":1", path).is_err());
    }

    #[test]
    fn what_the_firmware_writes_is_passed_over() {
        let text = "\u{1b}[2J\u{1b}[01;01HBdsDxe: loading\n\u{1b}[0m{\"a\":1}\n";
        assert_eq!(parse_reports(text, Path::new("report")).unwrap().len(), 1);
    }
}
