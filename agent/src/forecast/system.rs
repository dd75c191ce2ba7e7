//! The system that an entry boots, as it is found here.

use std::{fmt::Display, fs::File};

use storage::{crypttab::CryptLine, device_name, fstab::MountLine};

use crate::config::{Config, ConfigError, device::DeviceSpec};

/// Why /init stops, with what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Stop(pub String);

impl Stop {
    /// For this reason.
    pub(super) fn at(reason: impl Display) -> Self {
        Self(format!("/init stops: {reason}"))
    }
}

/// How an administrator makes a change count.
pub(super) const APPLY: &str = "then run /usr/lib/taoboot/kernel refresh";

/// The system that an entry boots.
pub struct System<'s> {
    /// UUID of the enrolled volume.
    pub uuid: &'s str,
    /// The measured configuration; `None` where it is not known.
    pub config: Option<&'s Result<Config, ConfigError>>,
    /// /etc/crypttab.
    pub crypttab: &'s [CryptLine],
    /// /etc/fstab.
    pub fstab: &'s [MountLine],
    /// /init opens the swap device of the configuration or of the record.
    pub swap: bool,
    /// Is the node the device of the enrolled volume? `None` where that cannot be told.
    pub is_volume: &'s dyn Fn(&str) -> Option<bool>,
    /// What is in the enrolled volume.
    pub opened: &'s Opened,
    /// What is in a further volume.
    pub further_opened: &'s dyn Fn(&DeviceSpec) -> Opened,
    /// Is a further volume enrolled with this one?
    pub is_further: &'s dyn Fn(&DeviceSpec) -> IsFurther,
}

/// What is known of a further volume, before anything is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsFurther {
    /// It has a token for this volume.
    Enrolled,
    /// It has none.
    NotEnrolled,
    /// It cannot be looked at.
    Unknown,
}

/// The decrypted content of the enrolled volume.
#[derive(Debug)]
pub enum Opened {
    /// The volume is not open on this machine.
    Closed,
    /// It is open and cannot be read, for this reason.
    Unreadable(String),
    /// Its mapping. It is only read.
    Readable(File),
}

/// Does the specification name the enrolled volume? `None` where that cannot be told.
pub(super) fn names_volume(spec: &DeviceSpec, system: &System<'_>) -> Option<bool> {
    match spec {
        DeviceSpec::Uuid(uuid) => Some(same_uuid(uuid, system.uuid)),
        other => (system.is_volume)(&device_name::node(&other.to_string())?),
    }
}

/// Is a line of a table about the enrolled volume?
pub(super) fn is_enrolled(device: &str, system: &System<'_>) -> bool {
    match device_name::uuid(device) {
        Some(uuid) => same_uuid(&uuid, system.uuid),
        None => device_name::node(device).and_then(|node| (system.is_volume)(&node)) == Some(true),
    }
}

pub(super) fn same_uuid(named: &str, uuid: &str) -> bool {
    let named = named.strip_prefix("luks-").unwrap_or(named);
    named.eq_ignore_ascii_case(uuid)
}

/// A word from outside in a sentence: short, and on its line.
pub(super) fn quoted(word: &str) -> String {
    let short: String = word.chars().take(100).collect();
    printable::line(short).to_string()
}
