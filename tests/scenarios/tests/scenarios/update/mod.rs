//! One boot after the other of an installed machine.

pub mod past;

use agent::boot::report;
use guest::orders::{End, Order, Orders};
use harness::disk::orders::orders_disk;
use harness::installed::{Installed, MenuEntry};
use harness::machine::{Ending, Outcome};
use serde_json::Value;
use tao::attestation::Opened;

/// A boot that reached its userland, or should have.
#[derive(Debug)]
pub struct Boot {
    pub outcome: Outcome,
}

/// A shell's command, its output and errors together.
pub fn shell(name: &str, script: &str, seconds: u32) -> Order {
    Order {
        name: name.to_owned(),
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        seconds,
    }
}

/// Boots the machine with what is on its boot partition, and carries out the commands.
pub fn run(machine: &Installed, entry: &MenuEntry, mut commands: Vec<Order>) -> Boot {
    commands.push(shell("cmdline", "cat /proc/cmdline", 10));
    let orders = [Orders {
        commands,
        end: End::Poweroff,
    }];
    let disk = orders_disk(&machine.world.directory.join("orders.img"), &orders).unwrap();
    let mut outcome = machine.machine(entry).unwrap().disk(disk).run().unwrap();
    // The machine's directory lives on for the next boot.
    outcome.directory = std::path::PathBuf::new();
    Boot { outcome }
}

/// The boot is refused: no secret leaves the TPM, no userland runs.
pub fn refused(machine: &Installed, entry: &MenuEntry, words: &str) {
    let mut outcome = machine.machine(entry).unwrap().run().unwrap();
    outcome.directory = std::path::PathBuf::new();
    let report = outcome.boot_report().unwrap();
    assert_eq!(report.outcome, report::Outcome::Failed, "{report:#?}");
    assert_eq!(report.unlocked_by, None, "{report:#?}");
    assert_eq!(outcome.secrets_released().unwrap(), 0);
    assert!(outcome.reports_of("probe").is_empty());
    assert_eq!(outcome.ending, Ending::Reset);
    let reason = report.reason.unwrap();
    assert!(reason.contains(words), "{reason}");
}

/// The machine unlocked itself and came up.
pub fn unlocked(boot: &Boot) {
    let report = boot.outcome.boot_report().unwrap();
    assert_eq!(report.outcome, report::Outcome::Booted, "{report:#?}");
    assert_eq!(report.unlocked_by, Some(Opened::Tpm), "{report:#?}");
    let probe = boot.outcome.report_of("probe").unwrap();
    assert_eq!(
        probe["systemd"]["failed"],
        Value::Array(vec![]),
        "{probe:#}"
    );
    assert_eq!(boot.outcome.ending, Ending::PowerOff);
}

fn result<'a>(boot: &'a Boot, command: &str) -> &'a Value {
    &boot.outcome.report_of("probe").unwrap()["commands"][command]
}

/// What a command printed; it must have succeeded.
pub fn stdout<'a>(boot: &'a Boot, command: &str) -> &'a str {
    let result = result(boot, command);
    assert_eq!(result["code"], 0, "{command}: {result:#}");
    result["stdout"].as_str().unwrap().trim()
}

pub fn stdout_json<T: serde::de::DeserializeOwned>(boot: &Boot, command: &str) -> T {
    serde_json::from_str(stdout(boot, command)).unwrap_or_else(|e| panic!("{command}: {e}"))
}

/// The kernel's command line, as it got it.
pub fn cmdline(boot: &Boot) -> &str {
    stdout(boot, "cmdline")
}
