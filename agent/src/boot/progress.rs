//! The boot as a progress report: one line a phase in the kernel log, with its time.
//!
//! Lines go to /dev/kmsg only: the kernel shows them on every console it has, unless
//! `quiet` lowered the console's log level; failures are logged at a level that `quiet`
//! still shows. Writing to the console as well would print everything twice.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    time::{Duration, Instant},
};

use super::phase::Phase;

/// Times of the phases so far, and the way to tell a person about them.
pub struct Progress {
    started: Instant,
    phase_started: Instant,
    phases: Vec<(Phase, Duration)>,
    kmsg: Option<File>,
}

impl Progress {
    /// The clock starts now.
    pub fn start() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            phase_started: now,
            phases: Vec::new(),
            kmsg: None,
        }
    }

    /// Connects to the kernel log. Without one the boot is mute, not stopped.
    pub fn open_kernel_log(&mut self) {
        // By default the kernel drops all but 10 lines in 5 seconds of a program's messages.
        // It takes the word only with its line break.
        if let Err(error) = std::fs::write("/proc/sys/kernel/printk_devkmsg", "on\n") {
            self.warn(&format!("kernel log stays rate-limited: {error}"));
        }
        self.kmsg = OpenOptions::new().write(true).open("/dev/kmsg").ok();
    }

    /// Ends a phase: keeps its time and says what it reached.
    pub fn done(&mut self, phase: Phase, reached: &str) {
        let now = Instant::now();
        self.phases
            .push((phase, now.duration_since(self.phase_started)));
        self.phase_started = now;
        let total = now.duration_since(self.started).as_secs_f64();
        self.log(6, &format!("{reached} +{total:.3}s"));
    }

    /// Something that happened within a phase.
    pub fn note(&mut self, text: &str) {
        self.log(6, text);
    }

    /// Something that a person should know and that stops nothing.
    pub fn warn(&mut self, text: &str) {
        self.log(4, text);
    }

    /// Something that stops the boot. Shown even with `quiet`.
    pub fn error(&mut self, text: &str) {
        self.log(3, text);
    }

    /// Phases and their times, in order.
    pub fn phases(&self) -> &[(Phase, Duration)] {
        &self.phases
    }

    /// Time since the clock started.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn log(&mut self, level: u8, text: &str) {
        let line = record(level, text);
        match &mut self.kmsg {
            // Nobody is left to tell when the log itself fails.
            Some(kmsg) => drop(kmsg.write_all(line.as_bytes())),
            None => eprint!("{}", line.get(3..).unwrap_or(&line)),
        }
    }
}

/// One record of the kernel log. A line break in it would start another, and the consoles show
/// whatever is in it.
fn record(level: u8, text: &str) -> String {
    format!("<{level}>taoboot: {}\n", printable::line(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_without_controls() {
        let text: String = ('\0'..='\u{a0}').collect();
        let record = record(4, &text);
        let (line, rest) = record.split_once('\n').unwrap();
        assert_eq!(rest, "");
        assert!(line.starts_with("<4>taoboot: \\u0000"));
        assert!(line.chars().all(printable::is_printable), "{line:?}");
    }
}
