//! The encrypted root disk, from the cache: encrypting a Debian anew for each machine would
//! cost a second, keeping it costs nothing.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::cache::{CacheKey, cached};
use super::luks::{self, LuksVolume};

/// A LUKS2 volume with the file system `content`. Equal input gives the same image, so
/// that each machine can have a copy; the header's salts are of course the same then too.
pub fn encrypted_root(volume: &LuksVolume<'_>, content: &Path) -> Result<PathBuf> {
    let mut key = CacheKey::new("root-luks", 1);
    key.bytes(volume.uuid.as_bytes());
    key.bytes(&volume.sector_size.to_be_bytes());
    key.bytes(&volume.volume_key);
    key.bytes(volume.passphrase);
    key.file(content)?;
    cached("root-luks", &key, |image| {
        luks::make(image, volume, content)
    })
}
