//! What the harness asks of the probe in the guest: JSON at the beginning of a small disk.
//!
//! The disk's serial number is
//! [`SERIAL`]; its last sector counts the boots, so that each boot has orders of its own.

use serde::{Deserialize, Serialize};

/// Serial number of the orders disk.
pub const SERIAL: &str = "orders";
/// Size of the disk in bytes.
pub const DISK_SIZE: u64 = 1 << 20;
/// Where the number of boots so far is kept: one byte.
pub const COUNTER_OFFSET: u64 = DISK_SIZE - 512;

/// What the guest does when it has reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// `systemctl poweroff`.
    #[default]
    Poweroff,
    /// `systemctl reboot`.
    Reboot,
    /// Nothing: the machine goes on until the harness ends it.
    Stay,
}

/// One command to run in the booted system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The name under which its result is reported.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// It is killed after so many seconds.
    pub seconds: u32,
}

/// The orders for one boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    /// Run one after the other, once the system is up.
    pub commands: Vec<Order>,
    /// What comes after the report.
    pub end: End,
}
