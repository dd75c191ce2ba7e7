//! What txt-stat's text or tboot's output says about a launch.
//!
//! tboot reads TXT's error registers before it launches: there they speak of the launch before. The
//! text is untrusted, like every log: nothing is sealed by it.

use serde::Serialize;

use super::{
    registers::Registers,
    remarks::{Weight, rejection, remark},
};
use crate::log::{EventLog, LogError, MAX_LEN, text};

/// Most modules, and most remarks, that are kept.
const MAX_KEPT: usize = 256;
/// Longest line that is quoted, in characters.
const MAX_QUOTED: usize = 120;

/// A module that tboot looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SinitCandidate {
    /// Its name as tboot prints it; often empty.
    pub name: String,
    /// The line, from 1.
    pub line: usize,
    /// tboot chose it.
    pub chosen: bool,
    /// Why not, where it says so.
    pub rejected: Option<&'static str>,
}

/// A line that means something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Noted {
    /// The line, from 1.
    pub line: usize,
    /// The line's text.
    pub text: String,
    /// What it means.
    pub meaning: &'static str,
    /// Is it why there was no launch?
    pub obstacle: bool,
}

/// All of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LaunchLog {
    /// tboot's version, where its banner is there.
    pub version: Option<String>,
    /// Was it a measured launch? `None`: the text does not say.
    pub measured: Option<bool>,
    /// TXT's registers as they were printed last.
    pub registers: Registers,
    /// Were they read before the launch, so that they speak of the launch before?
    pub registers_are_old: bool,
    /// The modules that tboot tried.
    pub sinit: Vec<SinitCandidate>,
    /// SENTER was executed.
    pub senter: bool,
    /// Lines that mean something.
    pub notes: Vec<Noted>,
    /// The events that were measured, if the text has them.
    #[serde(skip)]
    pub events: Option<Result<EventLog, LogError>>,
    /// Is there output of tboot at all?
    pub has_tboot_log: bool,
    /// Boots that the text has before the one that is told of, the last.
    pub earlier_boots: usize,
    /// The registers are txt-stat's own, and later than all that tboot printed.
    #[serde(skip)]
    from_stat: bool,
}

/// A line without what could drive a terminal.
fn quoted(line: &str) -> String {
    let clean = line.chars().map(|c| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    });
    clean.take(MAX_QUOTED).collect()
}

impl LaunchLog {
    /// What a running machine shows: its registers, and its events if it has them.
    pub fn of_machine(registers: Registers, events: Option<EventLog>) -> Self {
        Self {
            measured: registers.launched(),
            registers,
            events: events.map(Ok),
            from_stat: true,
            ..Self::default()
        }
    }

    /// Reads a text.
    ///
    /// # Errors
    /// It is longer than any log.
    pub fn parse(bytes: &[u8]) -> Result<Self, LogError> {
        if bytes.len() > MAX_LEN {
            return Err(LogError::TooLong);
        }
        let mut log = Self::default();
        let text = String::from_utf8_lossy(bytes);
        for (number, line) in text.lines().enumerate() {
            let (tboots, line) = match line.rsplit_once("TBOOT:") {
                Some((_, rest)) => (true, rest),
                None => (false, line),
            };
            log.has_tboot_log |= tboots;
            let line = line.trim();
            let registers = tboots || line.starts_with("TXT.");
            if registers && log.from_stat && log.registers.clone().line(line) {
                continue;
            }
            log.from_stat |= !registers && log.registers.line(line);
            log.line(number.saturating_add(1), line);
        }
        if text::looks_like(bytes) {
            log.events = Some(EventLog::parse(bytes));
        }
        log.decide();
        Ok(log)
    }

    fn line(&mut self, number: usize, line: &str) {
        if self.registers.line(line) {
            self.registers_are_old = !self.from_stat && !self.senter;
            return;
        }
        if let Some(name) = line.strip_prefix("checking if module") {
            self.candidate(number, name);
            return;
        }
        if let Some(version) = banner(line) {
            // Behind SENTER the launched tboot prints it again.
            if self.version.is_some() && (!self.senter || self.measured == Some(true)) {
                self.next_boot();
            }
            self.version = Some(version);
        }
        if line.contains("executing GETSEC[SENTER]") {
            self.senter = true;
        }
        match line.strip_prefix("TXT measured launch:").map(str::trim) {
            Some("TRUE") => self.measured = Some(true),
            Some("FALSE") => self.measured = Some(false),
            _ => {}
        }
        if let Some(candidate) = self.sinit.last_mut().filter(|last| !last.chosen) {
            if line.contains("SINIT matches platform") {
                candidate.chosen = true;
                candidate.rejected = None;
            } else if let Some(reason) = rejection(line) {
                candidate.rejected = Some(reason);
            }
        }
        let (Some((weight, meaning)), true) = (remark(line), self.notes.len() < MAX_KEPT) else {
            return;
        };
        // tboot starts a second time after the launch and says some of it again.
        if self.notes.iter().any(|note| note.meaning == meaning) {
            return;
        }
        if weight == Weight::Success {
            self.measured = Some(true);
        }
        self.notes.push(Noted {
            line: number,
            text: quoted(line),
            meaning,
            obstacle: weight == Weight::Obstacle,
        });
    }

    fn candidate(&mut self, line: usize, rest: &str) {
        let Some((name, _)) = rest.split_once(" is an SINIT") else {
            return;
        };
        // The launched tboot looks for no SINIT any more: the machine was reset.
        if self.senter {
            self.next_boot();
        }
        if self.sinit.len() < MAX_KEPT {
            self.sinit.push(SinitCandidate {
                name: quoted(name.trim()),
                line,
                ..SinitCandidate::default()
            });
        }
    }

    /// A capture of a serial port may have several boots: the last one counts.
    fn next_boot(&mut self) {
        let before = std::mem::take(self);
        self.has_tboot_log = before.has_tboot_log;
        self.earlier_boots = before.earlier_boots.saturating_add(1);
        self.version = before.version;
        // What was read before the launch is this boot's already, txt-stat's stands above all boots.
        self.registers = before.registers;
        self.from_stat = before.from_stat;
        self.registers_are_old = !before.from_stat;
    }

    /// What follows from all lines.
    fn decide(&mut self) {
        if self.measured.is_none() {
            let failed = self.notes.iter().any(|note| note.obstacle);
            let error = self.registers.error().is_some_and(|code| code.is_error());
            let stopped = self.has_tboot_log && (failed || error);
            self.measured = match self.registers.launched() {
                Some(launched) => Some(launched),
                None => stopped.then_some(false),
            };
        }
        if self.measured == Some(true) {
            // What stood in the way of the launch before did not stand in the way of this one.
            for note in &mut self.notes {
                note.obstacle = false;
            }
        }
    }

    /// Is there anything of a launch in the text?
    pub fn says_something(&self) -> bool {
        self.has_tboot_log || self.measured.is_some() || self.registers.iter().next().is_some()
    }

    /// The text ends where SENTER was executed: the machine was reset, and only its next boot tells
    /// why.
    pub fn ends_in_senter(&self) -> bool {
        self.senter && self.measured != Some(true)
    }
}

/// tboot's banner: date, time and version between lines of stars.
fn banner(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [date, time, zone, version] = words.as_slice() else {
        return None;
    };
    let digits =
        |text: &str, more: &str| text.chars().all(|c| c.is_ascii_digit() || more.contains(c));
    let fits = digits(date, "-") && date.len() == 10 && digits(time, ":") && digits(zone, "+-");
    (fits && version.starts_with(|c: char| c.is_ascii_digit())).then(|| quoted(version))
}
