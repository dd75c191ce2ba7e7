//! Disk images, made by an ordinary user: no loop device, no mount, no device-mapper.

pub mod boot;
pub mod cache;
pub mod ext4;
pub mod grub;
pub mod luks;
pub mod orders;
pub mod partition;
pub mod root;
pub mod small_root;
pub mod swap;

use std::path::PathBuf;

/// How a disk is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bus {
    /// virtio-blk: `/dev/vdX`.
    #[default]
    Virtio,
    /// NVMe, a controller for each: `/dev/nvmeXn1`.
    Nvme,
    /// USB mass storage ("bulk only") at an xHCI controller: `/dev/sdX`.
    Usb,
}

impl Bus {
    /// QEMU's device.
    pub const fn device(self) -> &'static str {
        match self {
            Self::Virtio => "virtio-blk-pci",
            Self::Nvme => "nvme",
            Self::Usb => "usb-storage",
        }
    }
}

/// A disk of a machine.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The raw image.
    pub image: PathBuf,
    /// Its serial number: the guest finds it as `/dev/disk/by-id/virtio-SERIAL` or in
    /// `/sys/block/vdX/serial`. At most 20 characters.
    pub serial: String,
    /// What it is attached to.
    pub bus: Bus,
    /// The guest cannot write to it.
    pub read_only: bool,
    /// Served by [`crate::write_log`] instead of read from the image: QEMU's words for it.
    pub served: Option<String>,
}

impl Disk {
    /// A disk that the guest may write to.
    pub fn new(image: impl Into<PathBuf>, serial: &str) -> Self {
        Self {
            image: image.into(),
            serial: serial.to_owned(),
            bus: Bus::default(),
            read_only: false,
            served: None,
        }
    }

    /// The same disk, its writes logged: the disk number `number` of `disks`.
    #[must_use]
    pub fn served_by(mut self, disks: &crate::write_log::LoggedDisks, number: usize) -> Self {
        self.served = Some(disks.address(number));
        self
    }

    /// The same disk on another bus.
    #[must_use]
    pub fn on(mut self, bus: Bus) -> Self {
        self.bus = bus;
        self
    }

    /// The same disk, but the guest cannot write to it.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }
}
