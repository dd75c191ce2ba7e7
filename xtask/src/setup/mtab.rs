//! /etc/mtab, which some mkfs of Debian insist on and a minimal Debian does not have.

use std::{os::unix::fs::symlink, path::Path};

use anyhow::{Context as _, Result};

const MTAB: &str = "/etc/mtab";
/// As systemd makes it (tmpfiles.d/etc.conf).
const MOUNTS: &str = "../proc/self/mounts";

/// Makes the link where there is nothing.
pub fn ensure() -> Result<()> {
    if Path::new(MTAB).symlink_metadata().is_ok() {
        return Ok(());
    }
    symlink(MOUNTS, MTAB).with_context(|| {
        format!("cannot link {MTAB} to {MOUNTS}, which mkfs.nilfs2 reads: do it as root")
    })
}
