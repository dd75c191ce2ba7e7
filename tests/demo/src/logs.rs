//! Reads along in the logs of a running machine, to say how far it is and when it got there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::facts::Timed;

/// What tboot writes before its every line.
const TBOOT: &str = "TBOOT:";
/// What it writes last. The spelling is tboot's.
const KERNEL: &str = "transfering control to kernel";

/// When the machine came to its stages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reached {
    machine: Option<Instant>,
    tboot: Option<Instant>,
    kernel: Option<Instant>,
    agent_done: Option<Instant>,
    userland: Option<Instant>,
}

/// Looks into the logs of one boot.
#[derive(Clone, Debug)]
pub struct Logs {
    directory: PathBuf,
    reached: Arc<Mutex<Reached>>,
}

impl Logs {
    /// Of the machine that logs to `directory`.
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            reached: Arc::default(),
        }
    }

    /// Looks now, and says in which stage the machine is.
    pub fn look(&self) -> String {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let console = fs::read(self.directory.join("console.log"));
        let report = fs::read(self.directory.join("report.jsonl")).unwrap_or_default();
        let (console, exists) = (console.as_deref().unwrap_or_default(), console.is_ok());
        note(&mut reached.machine, exists);
        note(&mut reached.tboot, contains(console, TBOOT));
        note(&mut reached.kernel, contains(console, KERNEL));
        note(&mut reached.agent_done, contains(&report, "{\"taoboot\":"));
        note(&mut reached.userland, contains(&report, "\"probe\":1"));
        reached.stage().to_owned()
    }

    /// The times that were seen.
    pub fn reached(&self) -> Reached {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Was tboot there, and did it start the kernel?
pub fn through_tboot(console: &str) -> bool {
    console.contains(TBOOT) && console.contains(KERNEL)
}

impl Reached {
    fn stage(&self) -> &'static str {
        match self {
            Self {
                userland: Some(_), ..
            } => "switching off",
            Self {
                agent_done: Some(_),
                ..
            } => "Debian starts",
            Self {
                kernel: Some(_), ..
            } => "the kernel, then taoboot as /init",
            Self { tboot: Some(_), .. } => "tboot",
            Self {
                machine: Some(_), ..
            } => "firmware and GRUB",
            Self { machine: None, .. } => "waiting for a free processor",
        }
    }

    /// How long each stage took. `agent` and `orders` are the seconds that /init and the
    /// commands of the harness took by their own clocks.
    pub fn stages(&self, agent: f64, orders: f64) -> Vec<Timed> {
        let between = |from: Option<Instant>, to: Option<Instant>| {
            Some(to?.saturating_duration_since(from?).as_secs_f64())
        };
        let mut stages = Vec::new();
        let mut add = |name: &str, seconds: Option<f64>| {
            stages.extend(seconds.map(|seconds| Timed::new(name, seconds.max(0.0))));
        };
        add("firmware, GRUB", between(self.machine, self.tboot));
        add("tboot", between(self.tboot, self.kernel));
        add(
            "kernel",
            between(self.kernel, self.agent_done).map(|both| both - agent),
        );
        add("taoboot as /init", self.agent_done.map(|_| agent));
        add(
            "Debian to multi-user",
            between(self.agent_done, self.userland).map(|both| both - orders),
        );
        add("looking around", self.userland.map(|_| orders));
        stages
    }
}

fn note(when: &mut Option<Instant>, now: bool) {
    if now && when.is_none() {
        *when = Some(Instant::now());
    }
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack
        .windows(needle.len())
        .any(|part| part == needle.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_follows_the_logs() {
        let directory = tempfile::tempdir().unwrap();
        let logs = Logs::new(directory.path());
        let console = directory.path().join("console.log");
        assert_eq!(logs.look(), "waiting for a free processor");
        fs::write(&console, "SeaBIOS").unwrap();
        assert_eq!(logs.look(), "firmware and GRUB");
        fs::write(
            &console,
            "TBOOT: here\nTBOOT: transfering control to kernel @0x2c00000",
        )
        .unwrap();
        assert_eq!(logs.look(), "the kernel, then taoboot as /init");
        fs::write(directory.path().join("report.jsonl"), "{\"taoboot\":1}\n").unwrap();
        assert_eq!(logs.look(), "Debian starts");
        let names: Vec<_> = logs
            .reached()
            .stages(0.0, 0.0)
            .into_iter()
            .map(|stage| stage.name)
            .collect();
        assert_eq!(
            names,
            ["firmware, GRUB", "tboot", "kernel", "taoboot as /init"]
        );
    }
}
