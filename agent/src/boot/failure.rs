//! The one place that decides what a failed boot does.

use std::{thread::sleep, time::Duration};

use nix::sys::reboot::{RebootMode, reboot};

use crate::{
    boot::{phase::Phase, progress::Progress},
    config::OnFailure,
};

/// A boot that cannot go on.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// The phase it happened in.
    pub phase: Phase,
    /// One sentence for a person.
    pub reason: String,
}

impl Failure {
    /// Makes a phase's error into a failure of the boot.
    pub fn of<E: std::fmt::Display>(phase: Phase) -> impl FnOnce(E) -> Self {
        move |error| Self {
            phase,
            reason: error.to_string(),
        }
    }
}

/// Restarts the machine or switches it off, after a person had time to read why.
pub fn carry_out(policy: OnFailure, delay: Duration, progress: &mut Progress) -> ! {
    let (mode, words) = match policy {
        OnFailure::Poweroff => (RebootMode::RB_POWER_OFF, "power-off"),
        // A prompt that came to nothing ends as a reboot.
        OnFailure::Reboot | OnFailure::Prompt => (RebootMode::RB_AUTOBOOT, "reboot"),
    };
    progress.error(&format!("{words} in {} s", delay.as_secs()));
    sleep(delay);
    match reboot(mode) {
        Ok(never) => match never {},
        Err(error) => {
            progress.error(&format!("{words} failed: {error}; the machine stops here"));
            loop {
                sleep(Duration::from_secs(3600));
            }
        }
    }
}
