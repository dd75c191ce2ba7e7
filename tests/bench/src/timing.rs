//! What a tool took: wall clock, and the processor time of it and its children.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Times of one call of a tool.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// On the clock on the wall: other work of the machine lengthens it.
    pub wall: Duration,
    /// On all processors together: other work hardly matters.
    pub cpu: Duration,
}

/// Runs `command`, which must succeed, and takes its times.
pub fn time(what: &str, command: &mut Command) -> Result<Times> {
    let before = children()?;
    let started = Instant::now();
    let output = command
        .output()
        .with_context(|| format!("cannot start {what}"))?;
    let wall = started.elapsed();
    let cpu = children()?.saturating_sub(before);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let end: Vec<&str> = said.lines().rev().take(5).collect();
        bail!(
            "{what} failed ({}): {}",
            output.status,
            end.into_iter().rev().collect::<Vec<_>>().join("; ")
        );
    }
    Ok(Times { wall, cpu })
}

/// The middle one of several values; the lower of two middles.
pub fn median(values: &[f64]) -> Result<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
        .get(sorted.len().saturating_sub(1) / 2)
        .copied()
        .context("nothing was measured")
}

fn children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot read processor times")?;
    let microseconds =
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(
        u64::try_from(microseconds).unwrap_or(0),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_not_moved_by_one_slow_run() {
        assert_eq!(median(&[3.0, 1.0, 99.0]).unwrap(), 3.0);
        assert_eq!(median(&[2.0, 1.0]).unwrap(), 1.0);
        assert!(median(&[]).is_err());
    }

    #[test]
    fn a_failing_tool_is_no_measurement() {
        let error = time(
            "sh",
            Command::new("sh").args(["-c", "echo why >&2; exit 1"]),
        )
        .unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }
}
