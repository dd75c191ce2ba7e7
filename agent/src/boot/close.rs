//! Lets go of everything that a boot has opened, so that no key survives its failure.

use nix::mount::{MntFlags, umount2};
use std::path::Path;

use super::{mounts, swap};
use crate::unlock::close_mapping;

/// Unmounts root, turns swap off and closes both mappings, as far as they are there. Gives what did
/// not work, in words; each is tried whatever became of the others.
pub(super) fn close(volume: Option<&str>) -> Vec<String> {
    let mut warnings = Vec::new();
    match umount2(mounts::SYSROOT, MntFlags::MNT_DETACH) {
        // Not mounted, or not even made.
        Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => {}
        Err(error) => warnings.push(format!("cannot unmount the root file system: {error}")),
    }
    if swap::mapping().exists()
        && let Err(error) = swap::close()
    {
        warnings.push(format!("cannot close swap: {error}"));
    }
    if let Some(volume) = volume
        && Path::new("/dev/mapper").join(volume).exists()
        && let Err(error) = close_mapping(volume)
    {
        warnings.push(format!("cannot close the volume: {error}"));
    }
    warnings
}
