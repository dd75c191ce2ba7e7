//! The other volumes of the machine: does the secret of the one with the records open them?

use std::{
    fmt,
    path::{Path, PathBuf},
};

use agent::{
    config::Config,
    unlock::{CheckedHeader, find_enrolled, find_further},
};
use serde::Serialize;
use storage::device_name;

use crate::volume::root_volume;

/// A volume that the machine or the images' configuration needs.
#[derive(Serialize)]
pub struct MachineVolume {
    device: PathBuf,
    uuid: Option<String>,
    #[serde(flatten)]
    state: State,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "enrolled", content = "detail")]
enum State {
    /// By this keyslot, as its token says.
    Further(u32),
    /// By itself.
    WithRecords,
    No,
    Unreadable(String),
}

/// All but `first`, whose records are of these secrets.
pub fn others(
    root: &Path,
    first: &Path,
    secrets: &[String],
    config: Option<&Config>,
) -> Vec<MachineVolume> {
    let mut devices = match root_volume::all_needed(root) {
        Ok(devices) => devices,
        Err(error) => {
            eprintln!("taoboot: which volumes this machine needs cannot be found out: {error:#}");
            Vec::new()
        }
    };
    for volume in config.iter().flat_map(|config| &config.volume) {
        if let Some(node) = device_name::node(&volume.device.to_string()) {
            let node = root.join(node.trim_start_matches('/'));
            // One that is not there is told by its own name.
            devices.push(std::fs::canonicalize(&node).unwrap_or(node));
        }
    }
    let first = std::fs::canonicalize(first).unwrap_or_else(|_| first.to_owned());
    let mut seen = vec![first];
    let mut others = Vec::new();
    for device in devices {
        let real = std::fs::canonicalize(&device).unwrap_or_else(|_| device.clone());
        if !seen.contains(&real) {
            seen.push(real);
            others.push(MachineVolume::of(device, secrets));
        }
    }
    others
}

impl MachineVolume {
    fn of(device: PathBuf, secrets: &[String]) -> Self {
        let header = match CheckedHeader::read(&device) {
            Ok(header) => header,
            Err(error) => {
                return Self {
                    device,
                    uuid: None,
                    state: State::Unreadable(error.to_string()),
                };
            }
        };
        let keyslot = find_further(&header).into_iter().find_map(|(_, token)| {
            let token = token.ok()?;
            secrets
                .iter()
                .any(|secret| secret == token.secret_id())
                .then_some(())?;
            token.keyslot().ok()
        });
        let state = match keyslot {
            Some(keyslot) => State::Further(keyslot),
            None if !find_enrolled(&header).is_empty() => State::WithRecords,
            None => State::No,
        };
        Self {
            device,
            uuid: Some(header.uuid().to_owned()),
            state,
        }
    }
}

impl fmt::Display for MachineVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = self.device.display();
        match &self.state {
            State::Further(keyslot) => {
                write!(
                    f,
                    "{device}: opened with the same secret (keyslot {keyslot})"
                )
            }
            State::WithRecords => write!(
                f,
                "{device}: has records of its own, and none for the secret of this machine's root: `taoboot status --volume {device}`"
            ),
            State::No => write!(
                f,
                "{device}: NOT ENROLLED: the boot does not open it; `taoboot add-volume {device}`"
            ),
            State::Unreadable(error) => write!(f, "{error}"),
        }
    }
}
