//! The block device that holds root's file system.

use std::path::{Path, PathBuf};

/// The block device that holds root's file system.
#[derive(Debug)]
pub struct Place {
    device: PathBuf,
    /// `/dev/GROUP/VOLUME`, which udev will make: another name for a logical volume.
    alias: Option<PathBuf>,
}

impl Place {
    /// All of the opened volume.
    pub fn whole(mapping: &Path) -> Self {
        Self {
            device: mapping.to_owned(),
            alias: None,
        }
    }

    /// A logical volume on it.
    pub const fn logical(device: PathBuf, alias: PathBuf) -> Self {
        Self {
            device,
            alias: Some(alias),
        }
    }

    /// Its node.
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// Is it one of the volumes of a group?
    pub const fn is_logical(&self) -> bool {
        self.alias.is_some()
    }

    /// Is this path one of its names?
    pub fn is_named(&self, path: &Path) -> bool {
        path == self.device || self.alias.as_deref() == Some(path)
    }
}
