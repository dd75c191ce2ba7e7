//! Which devices there are: a walk through /sys, then the kernel's events. Never a sleep.

mod driverless;
pub mod partition;
pub mod superblock;
pub mod uevent;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::poll::PollTimeout;

use crate::{
    boot::modules::{Loader, ModulesError},
    config::device::DeviceSpec,
};
use superblock::Content;
use uevent::{Received, Uevent, UeventSocket};

/// A block device that is there.
#[derive(Clone, Debug)]
pub struct BlockDevice {
    /// The kernel's name: `vda1`, `dm-0`.
    pub name: String,
    /// What is on it, if it is known.
    pub content: Option<Content>,
    /// Its PARTUUID, if it is a partition.
    pub partuuid: Option<String>,
}

impl BlockDevice {
    /// Its node.
    pub fn node(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// Is this the device that `spec` names?
    pub fn is(&self, spec: &DeviceSpec) -> bool {
        match spec {
            DeviceSpec::Uuid(uuid) => self
                .content
                .as_ref()
                .is_some_and(|content| content.uuid == *uuid),
            DeviceSpec::Label(label) => self
                .content
                .as_ref()
                .is_some_and(|content| content.label == *label),
            DeviceSpec::PartUuid(uuid) => self.partuuid.as_ref() == Some(uuid),
            DeviceSpec::Path(path) => self.node() == *path,
        }
    }

    /// `vda1 (luks2)`, for messages.
    pub fn describe(&self) -> String {
        match &self.content {
            Some(content) => format!("{} ({})", self.name, content.kind),
            None => self.name.clone(),
        }
    }
}

/// Why a device could not be had.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// It did not come.
    #[error("{what} did not appear within {seconds} s; disks seen: {seen}")]
    Missing {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// What came instead.
        seen: String,
    },
    /// More than one device has the UUID or label.
    #[error("{spec} names more than one device: {devices}; unplug one or use PARTUUID=")]
    Ambiguous {
        /// What was looked for.
        spec: DeviceSpec,
        /// The devices that have it.
        devices: String,
    },
    /// The event socket failed.
    #[error("the kernel's device events cannot be read: {0}")]
    Events(nix::Error),
    /// A driver is missing.
    #[error(transparent)]
    Modules(#[from] ModulesError),
}

/// The devices seen so far.
pub struct Devices {
    socket: UeventSocket,
    blocks: BTreeMap<String, BlockDevice>,
    /// Members of arrays: what is on them is on the array.
    hidden: BTreeSet<String>,
}

impl Devices {
    /// Starts listening, then walks /sys, so that no device falls between the two.
    pub fn discover(loader: &mut Loader) -> Result<Self, DiscoverError> {
        let socket = UeventSocket::open().map_err(DiscoverError::Events)?;
        let mut devices = Self {
            socket,
            blocks: BTreeMap::new(),
            hidden: BTreeSet::new(),
        };
        devices.walk(loader)?;
        Ok(devices)
    }

    /// Waits until `ready` says yes; `what` names it when the time is over.
    pub fn wait(
        &mut self,
        loader: &mut Loader,
        timeout: Duration,
        what: &str,
        mut ready: impl FnMut(&Self) -> bool,
    ) -> Result<(), DiscoverError> {
        let begin = Instant::now();
        while !ready(self) {
            let left = timeout.saturating_sub(begin.elapsed());
            if left.is_zero() {
                return Err(self.missing(what, timeout));
            }
            let left = PollTimeout::try_from(left.as_millis().max(1)).unwrap_or(PollTimeout::MAX);
            match self.socket.receive(left).map_err(DiscoverError::Events)? {
                Received::Event(event) => self.take(&event, loader)?,
                Received::Lost => self.walk(loader)?,
                Received::Other | Received::Timeout => {}
            }
        }
        Ok(())
    }

    /// The one device that `spec` names, if it is there.
    pub fn find(&self, spec: &DeviceSpec) -> Result<Option<&BlockDevice>, DiscoverError> {
        let mut matching = self.blocks.values().filter(|device| device.is(spec));
        match (matching.next(), matching.next()) {
            (first, None) => Ok(first),
            (Some(first), Some(second)) => Err(DiscoverError::Ambiguous {
                spec: spec.clone(),
                devices: format!("{}, {}", first.describe(), second.describe()),
            }),
            (None, Some(_)) => Ok(None),
        }
    }

    /// Waits for the device that `spec` names.
    pub fn wait_for(
        &mut self,
        loader: &mut Loader,
        timeout: Duration,
        spec: &DeviceSpec,
    ) -> Result<BlockDevice, DiscoverError> {
        let what = spec.to_string();
        self.wait(loader, timeout, &what, |devices| {
            !matches!(devices.find(spec), Ok(None))
        })?;
        self.find(spec)?
            .cloned()
            .ok_or_else(|| self.missing(&what, timeout))
    }

    /// Takes devices out of all that is looked for from now on.
    pub fn hide(&mut self, names: &[impl AsRef<str>]) {
        for name in names {
            self.blocks.remove(name.as_ref());
            self.hidden.insert(name.as_ref().to_owned());
        }
    }

    /// All of them.
    pub fn blocks(&self) -> impl Iterator<Item = &BlockDevice> {
        self.blocks.values()
    }

    /// Their names and contents, for messages.
    pub fn describe(&self) -> String {
        let seen: Vec<String> = self.blocks.values().map(BlockDevice::describe).collect();
        if seen.is_empty() {
            "none (is the disk's driver in the image? see `cargo xtask image --module`)".into()
        } else {
            seen.join(", ")
        }
    }

    /// What came instead, and what did not because its driver is not in the image.
    fn missing(&self, what: &str, timeout: Duration) -> DiscoverError {
        let drivers = driverless::read_drivers(Path::new(driverless::DRIVERS));
        let driverless = driverless::driverless(Path::new("/sys/devices"), &drivers);
        let seen = match driverless.as_slice() {
            [] => self.describe(),
            some => format!(
                "{}; without a driver in this image: {} (taoboot-image --module NAME, or --generic)",
                if self.blocks.is_empty() {
                    "none".into()
                } else {
                    self.describe()
                },
                some.join(", ")
            ),
        };
        DiscoverError::Missing {
            what: what.into(),
            seconds: timeout.as_secs(),
            seen,
        }
    }

    /// Coldplug: drivers for what is there already, then the disks.
    fn walk(&mut self, loader: &mut Loader) -> Result<(), DiscoverError> {
        if loader.has_aliases() {
            walk_modaliases(Path::new("/sys/devices"), 0, loader)?;
        }
        if let Ok(entries) = fs::read_dir("/sys/class/block") {
            for entry in entries.flatten() {
                if let Ok(name) = entry.file_name().into_string() {
                    self.probe(&name);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, event: &Uevent, loader: &mut Loader) -> Result<(), DiscoverError> {
        if let Some(modalias) = event.modalias.as_ref().filter(|_| event.action == "add") {
            loader.load_for(modalias)?;
        }
        if event.subsystem == "block"
            && let Some(name) = &event.devname
        {
            if event.action == "remove" {
                self.blocks.remove(name);
            } else {
                self.probe(name);
            }
        }
        Ok(())
    }

    fn probe(&mut self, name: &str) {
        if self.hidden.contains(name) {
            return;
        }
        // Nobody roots on these, and there are many of them.
        if ["loop", "ram", "zram", "fd", "sr", "nbd"]
            .iter()
            .any(|kind| name.starts_with(kind))
        {
            return;
        }
        // An unreadable device (no medium) is listed without content.
        let content = superblock::read(&Path::new("/dev").join(name))
            .ok()
            .flatten();
        let device = BlockDevice {
            name: name.into(),
            content,
            partuuid: partition::partuuid(name),
        };
        self.blocks.insert(name.into(), device);
    }
}

/// Offers every modalias below `directory` to the loader. /sys/devices is a tree (links are not
/// followed); its depth is bounded all the same.
fn walk_modaliases(
    directory: &Path,
    depth: usize,
    loader: &mut Loader,
) -> Result<(), ModulesError> {
    if depth > 24 {
        return Ok(());
    }
    let Ok(entries) = fs::read_dir(directory) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            walk_modaliases(&entry.path(), depth.saturating_add(1), loader)?;
        } else if entry.file_name() == "modalias"
            && let Ok(modalias) = fs::read_to_string(entry.path())
        {
            loader.load_for(modalias.trim_end())?;
        }
    }
    Ok(())
}
