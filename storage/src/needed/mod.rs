//! What the machine needs before its root file system can be mounted: the encrypted volumes, and the
//! arrays below them. From the stack of devices that it runs on, /etc/crypttab and /proc/swaps.
//!
//! All paths are below a directory that the caller names, so that tests bring a machine of their own.

mod error;
mod read;

pub use error::NeededError;

use std::path::Path;

use crate::{
    crypttab::{CryptLine, Key},
    device_name,
    device_number::Number,
    stack::{Device, Kind, Stack},
};
use read::Machine;

/// An encrypted volume that is opened before root is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// How it is found: `UUID=...`, or crypttab's words where it is not open now.
    pub device: String,
    /// The kernel's name of the device that holds it; `None` where it is not open now.
    pub below: Option<String>,
    /// Its name below /dev/mapper.
    pub name: String,
    /// Its line in crypttab, if it has one.
    pub line: Option<CryptLine>,
    /// Is the system not whole without it?
    pub required: bool,
    /// What needs it, in words.
    pub reason: String,
}

/// An array of the md driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// Its UUID: 32 hex digits with punctuation.
    pub uuid: String,
    /// The kernel's name: `md1`.
    pub name: String,
    /// `raid1`, ...
    pub level: String,
    /// How many members it has when it is whole, spares not counted.
    pub members: u32,
    /// What needs it, in words.
    pub reason: String,
}

/// What is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// The volumes below the root file system first, then those of /usr, of swap, and of crypttab.
    pub volumes: Vec<Volume>,
    /// How many of them are below the root file system.
    pub under_root: usize,
    /// Is it known which of those is the first, where there are several? Then they are in this order.
    pub ordered: bool,
    /// The arrays below them.
    pub arrays: Vec<Array>,
}

/// Finds out what the machine below `root` needs.
///
/// # Errors
/// A table or /sys cannot be read, or a volume lies on something that cannot be put together before
/// root is mounted. The error names the file and the line, or the device.
pub fn needed(root: &Path) -> Result<Needed, NeededError> {
    let machine = Machine::read(root)?;
    let mut needed = of_root(root, &machine)?;
    if machine.has_mount("/usr") {
        needed.add_stack(root, &machine, &Stack::of_mount(root, "/usr")?.1, "/usr")?;
    }
    for (swap, node) in &machine.swaps {
        let stack = Stack::of_device(root, *swap)?;
        needed.add_stack(root, &machine, &stack, &format!("the swap on {node}"))?;
    }
    for line in &machine.crypttab {
        // A new key at each boot is no secret's.
        if line.in_initramfs() && line.key() != Key::Random {
            needed.add_line(root, line)?;
        }
    }
    Ok(needed)
}

/// The same for the root file system alone: what else the machine has cannot keep it from being found.
///
/// # Errors
/// As for [`needed`].
pub fn below_root(root: &Path) -> Result<Needed, NeededError> {
    of_root(root, &Machine::default())
}

fn of_root(root: &Path, machine: &Machine) -> Result<Needed, NeededError> {
    let mut needed = Needed::default();
    needed.add_stack(root, machine, &Stack::of_mount(root, "/")?.1, "/")?;
    needed.under_root = needed.volumes.len();
    needed.ordered = needed.order(&machine.command_line);
    Ok(needed)
}

impl Needed {
    fn add_stack(
        &mut self,
        root: &Path,
        machine: &Machine,
        stack: &Stack,
        what: &str,
    ) -> Result<(), NeededError> {
        for device in stack.devices.values() {
            let Kind::Crypt { name, format, uuid } = &device.kind else {
                continue;
            };
            let (Some(uuid), "LUKS2") = (uuid, format.as_str()) else {
                // Plain swap has no header; LUKS1 is said by whoever enrols.
                continue;
            };
            let line = machine.line_of(name, uuid);
            let below = below(stack, device, name)?;
            let volume = Volume {
                device: format!("UUID={uuid}"),
                below: Some(below.name.clone()),
                name: name.clone(),
                line: line.cloned(),
                required: ["/", "/usr"].contains(&what),
                reason: format!("{what} is on it"),
            };
            self.add_arrays(root, stack, below, name)?;
            if !self
                .volumes
                .iter()
                .any(|known| known.device == volume.device)
            {
                self.volumes.push(volume);
            }
        }
        Ok(())
    }

    /// The volumes in the order in which the command line names them: /init takes the first for the one
    /// with the records. Nothing is known where it does not name all of them.
    fn order(&mut self, named: &[String]) -> bool {
        let place = |volume: &Volume| {
            let uuid = device_name::uuid(&volume.device)?;
            named.iter().position(|known| *known == uuid)
        };
        let known = self.volumes.len() < 2 || self.volumes.iter().all(|v| place(v).is_some());
        if known {
            self.volumes.sort_by_key(place);
        }
        known
    }

    fn add_line(&mut self, root: &Path, line: &CryptLine) -> Result<(), NeededError> {
        let by_uuid = device_name::uuid(&line.device).map(|uuid| format!("UUID={uuid}"));
        let device = by_uuid.unwrap_or_else(|| line.device.clone());
        let known = |volume: &Volume| volume.device == device || volume.name == line.name;
        if self.volumes.iter().any(known) {
            return Ok(());
        }
        let refused = |why: String| NeededError::Line {
            path: root.join("etc/crypttab"),
            line: line.number,
            why,
        };
        if device_name::node(&line.device).is_none() {
            return Err(refused(format!("{:?} does not name a device", line.device)));
        }
        self.volumes.push(Volume {
            device,
            below: None,
            name: line.name.clone(),
            line: Some(line.clone()),
            required: false,
            reason: format!(
                "line {} of /etc/crypttab wants it in the initramfs",
                line.number
            ),
        });
        Ok(())
    }

    fn add_arrays(
        &mut self,
        root: &Path,
        stack: &Stack,
        device: &Device,
        volume: &str,
    ) -> Result<(), NeededError> {
        for part in std::iter::once(device).chain(down(stack, &device.below)) {
            let Kind::Md {
                level,
                uuid,
                members,
                ..
            } = &part.kind
            else {
                continue;
            };
            let uuid = match uuid {
                Some(uuid) => uuid.clone(),
                None => read::uuid_of_array(root, stack, part)?,
            };
            if !self.arrays.iter().any(|array| array.uuid == uuid) {
                self.arrays.push(Array {
                    uuid,
                    name: part.name.clone(),
                    level: level.clone(),
                    members: *members,
                    reason: format!("the volume {volume} is on it"),
                });
            }
        }
        Ok(())
    }
}

/// The one device below a volume, which must be a disk, a partition or an array.
fn below<'s>(stack: &'s Stack, volume: &Device, name: &str) -> Result<&'s Device, NeededError> {
    let device = match volume.below.as_slice() {
        [one] => stack.devices.get(one),
        _ => None,
    };
    let device = device.ok_or_else(|| NeededError::Below(name.to_owned()))?;
    let mut parts = std::iter::once(device).chain(down(stack, &device.below));
    let strange = parts.find(|part| {
        !matches!(
            part.kind,
            Kind::Partition { .. } | Kind::Disk | Kind::Md { .. }
        )
    });
    match strange {
        None => Ok(device),
        Some(part) => Err(NeededError::Layer {
            volume: name.to_owned(),
            device: part.name.clone(),
        }),
    }
}

/// All devices below these.
fn down<'s>(stack: &'s Stack, numbers: &[Number]) -> Vec<&'s Device> {
    let mut found: Vec<&Device> = Vec::new();
    let mut next: Vec<Number> = numbers.to_vec();
    while let Some(number) = next.pop() {
        if let Some(device) = stack.devices.get(&number)
            && !found.iter().any(|known| known.name == device.name)
        {
            found.push(device);
            next.extend(device.below.iter().copied());
        }
    }
    found
}
