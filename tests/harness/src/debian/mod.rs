//! A real Debian userland with systemd, as an ext4 image.
//!
//! [`base`] bootstraps Debian once, from the machine's own package sources. Everything that
//! changes from build to build ([`overlay`]) is put into a copy of that image.

mod base;
pub mod chroot;
pub mod overlay;
mod settings;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::disk::cache::{CacheKey, cached, copy};
use overlay::Overlay;

pub use base::{Base, ROOT_LABEL, ROOT_UUID, debian_base};

/// The image of a Debian root with the harness' settings, `probe` (the static guest_probe)
/// and what `extra` adds.
pub fn debian_root(base: Base, probe: &std::path::Path, extra: &Overlay) -> Result<PathBuf> {
    let mut overlay = settings::overlay();
    let program = std::fs::read(probe)
        .with_context(|| format!("cannot read the guest's probe {}", probe.display()))?;
    overlay.file("/usr/lib/taoboot/guest-probe", 0o755, program);
    overlay.add(extra);
    let base = debian_base(base)?;
    let mut key = CacheKey::new("debian-root", 1);
    key.bytes(base.as_os_str().as_encoded_bytes());
    overlay.describe(&mut key);
    cached("debian-root", &key, |image| {
        copy(&base, image)?;
        overlay.write_into(image)
    })
}
