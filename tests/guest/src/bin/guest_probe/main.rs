//! Runs in the booted guest: looks at the system, runs the harness' orders, and writes one
//! line of JSON to the second serial port.

mod commands;
mod order_disk;
mod processes;
mod swap;
mod system;

use std::io::Write;
use std::process::{Command, ExitCode};

use guest::orders::{End, Orders};
use serde_json::{Value, json};

/// The harness' end of this port is a parser of JSON lines.
const REPORT_PORT: &str = "/dev/ttyS1";

fn main() -> ExitCode {
    let state = system::wait_until_up();
    let (boot, orders, problem) = match order_disk::read() {
        Ok((boot, orders)) => (boot, orders, Value::Null),
        Err(error) => (0, Orders::default(), Value::String(error.to_string())),
    };
    let mut report = json!({
        "probe": 1,
        "boot": boot,
        "orders_problem": problem,
        "systemd": state,
        "pcrs": system::pcrs(),
        "swaps": system::swaps(),
        "swap_partitions": swap::partitions(),
        "root": system::root_mount(),
        "device_mapper": system::device_mapper(),
        "boot_json": system::boot_json(),
        "tao_hosts": processes::tao_hosts(),
    });
    if let Some(object) = report.as_object_mut() {
        object.insert("commands".to_owned(), commands::run(&orders.commands));
    }
    let sent = std::fs::OpenOptions::new()
        .write(true)
        .open(REPORT_PORT)
        .and_then(|mut port| {
            port.write_all(format!("{report}\n").as_bytes())?;
            port.flush()
        });
    let end = end(orders.end);
    match sent.and(end) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest-probe: cannot report on {REPORT_PORT}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn end(end: End) -> std::io::Result<()> {
    let verb = match end {
        End::Poweroff => "poweroff",
        End::Reboot => "reboot",
        End::Stay => return Ok(()),
    };
    Command::new("systemctl").arg(verb).status().map(|_| ())
}
