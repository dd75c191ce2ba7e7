//! What the booted system says about itself: systemd, PCRs, swap, root, dm tables.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

/// The PCRs that the scenarios look at: the latch and those of the launch.
const PCRS: [u32; 9] = [7, 11, 15, 17, 18, 19, 20, 22, 23];

/// Waits until systemd has finished booting, and says how that ended.
pub fn wait_until_up() -> Value {
    let state = output("systemctl", &["is-system-running", "--wait"]);
    let failed = output("systemctl", &["--failed", "--plain", "--no-legend"]);
    let failed: Vec<&str> = failed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    json!({
        "state": state.trim(),
        "failed": failed,
        "multi_user": output("systemctl", &["is-active", "multi-user.target"]).trim(),
        "uptime_seconds": first_number("/proc/uptime"),
    })
}

/// The SHA-256 bank, in hex.
pub fn pcrs() -> Value {
    let values = PCRS.iter().filter_map(|pcr| {
        let path = format!("/sys/class/tpm/tpm0/pcr-sha256/{pcr}");
        let value = fs::read_to_string(path).ok()?;
        Some((pcr.to_string(), Value::String(value.trim().to_owned())))
    });
    Value::Object(values.collect())
}

/// The lines of /proc/swaps, without their heading.
pub fn swaps() -> Vec<String> {
    let text = fs::read_to_string("/proc/swaps").unwrap_or_default();
    text.lines().skip(1).map(str::to_owned).collect()
}

/// What is mounted on `/`, uppermost.
pub fn root_mount() -> Value {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mut root = Value::Null;
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        if let [source, "/", kind, options, ..] = fields.as_slice() {
            root = json!({ "source": source, "type": kind, "options": options });
        }
    }
    root
}

/// The device-mapper tables. dmsetup prints zeros where the keys are.
pub fn device_mapper() -> Vec<String> {
    let table = output("dmsetup", &["table"]);
    table.lines().map(str::to_owned).collect()
}

/// What the agent left in /run about its boot.
pub fn boot_json() -> Value {
    match fs::read_to_string("/run/tao/boot.json") {
        Err(_) => Value::Null,
        Ok(text) => serde_json::from_str(&text)
            .unwrap_or_else(|error| json!({ "invalid": error.to_string() })),
    }
}

fn output(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => format!("{program}: {error}"),
    }
}

fn first_number(path: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    text.split_whitespace().next()?.parse().ok()
}
