//! How a world is made, and what all worlds have alike.

use std::path::PathBuf;

use anyhow::Result;

use crate::assets::{Assets, Kernel};
use crate::debian::{Base, overlay::Overlay};
use crate::disk::{Bus, boot::Firmware};

/// UUID of the encrypted volume.
pub const VOLUME_UUID: &str = "7a0b0002-0002-4002-8002-000000000002";
/// The passphrase that the volume had before it was enrolled.
pub const PASSPHRASE: &str = "correct horse battery staple";
/// Its volume key: known, so that tests can look for it in memory dumps and on the bus.
pub const VOLUME_KEY: [u8; 64] =
    *b"taoboot tests: a volume key that is looked for in memory, 64 B!!";
/// Words that every scenario's kernel gets.
pub(crate) const BASE_CMDLINE: &str = "console=ttyS0 panic=-1 quiet loglevel=4 systemd.show_status=no \
     rd.luks.uuid=7a0b0002-0002-4002-8002-000000000002 root=/dev/mapper/root ro \
     taoboot.report=/dev/ttyS1 taoboot.failure_delay=1";

/// What is in the encrypted root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Userland {
    /// Debian with systemd; its probe reports.
    Debian,
    /// A busybox that says that it was reached and switches the machine off: for scenarios
    /// that should not get this far, or need no more.
    Small,
}

/// A disk beside the one with root.
#[derive(Clone, Debug)]
pub struct MoreDisk {
    /// Its image, which is copied.
    pub image: PathBuf,
    /// Its serial number.
    pub serial: String,
    /// Is it enrolled together with root's?
    pub enrolled: bool,
}

impl MoreDisk {
    /// The same disk, whose image is there.
    pub(super) fn at(&self, image: PathBuf) -> Self {
        Self {
            image,
            ..self.clone()
        }
    }
}

/// How a world is made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the root holds.
    pub userland: Userland,
    /// The packages of a Debian root.
    pub base: Base,
    /// The root disk, where it is not one volume with one file system.
    pub root_disk: Option<PathBuf>,
    /// What its disks with volumes are attached to.
    pub bus: Bus,
    /// Modules that its image has in addition.
    pub modules: Vec<&'static str>,
    /// Disks beside it that hold further volumes.
    pub more_disks: Vec<MoreDisk>,
    /// Which firmware boots it.
    pub firmware: Firmware,
    /// More words for the kernel.
    pub cmdline: String,
    /// More lines for taoboot.toml.
    pub config: String,
    /// Leave the root volume without a record.
    pub unenrolled: bool,
    /// More files for a Debian root.
    pub extra: Overlay,
    /// Its image, where the installer made it; then [`Self::config`] and [`Self::modules`] count for nothing.
    pub image: Option<PathBuf>,
    /// Another kernel than [`Assets::kernel`].
    pub kernel: Option<Kernel>,
}

impl Plan {
    /// BIOS, nothing special.
    pub fn new(userland: Userland) -> Self {
        Self {
            userland,
            base: Base::default(),
            root_disk: None,
            bus: Bus::default(),
            modules: Vec::new(),
            more_disks: Vec::new(),
            firmware: Firmware::Bios,
            cmdline: String::new(),
            config: String::new(),
            unenrolled: false,
            extra: Overlay::default(),
            image: None,
            kernel: None,
        }
    }

    /// What it is made from.
    pub(super) fn assets(&self) -> Result<Assets> {
        let mut assets = Assets::load()?;
        if let Some(kernel) = &self.kernel {
            assets.kernel = kernel.clone();
        }
        Ok(assets)
    }

    /// With more words on the kernel command line.
    #[must_use]
    pub fn cmdline(mut self, words: &str) -> Self {
        self.cmdline = format!("{} {words}", self.cmdline);
        self
    }
}
