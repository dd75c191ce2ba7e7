//! Disk images, made by an ordinary user: no loop device, no mount, no device-mapper.

pub mod boot;
pub mod cache;
pub mod ext4;
pub mod luks;
pub mod orders;
pub mod partition;
pub mod root;
pub mod small_root;
pub mod swap;

use std::path::PathBuf;

/// A virtio disk of a machine.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The raw image.
    pub image: PathBuf,
    /// Its serial number: the guest finds it as `/dev/disk/by-id/virtio-SERIAL` or in
    /// `/sys/block/vdX/serial`. At most 20 characters.
    pub serial: String,
    /// The guest cannot write to it.
    pub read_only: bool,
}

impl Disk {
    /// A disk that the guest may write to.
    pub fn new(image: impl Into<PathBuf>, serial: &str) -> Self {
        Self {
            image: image.into(),
            serial: serial.to_owned(),
            read_only: false,
        }
    }

    /// The same disk, but the guest cannot write to it.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }
}
