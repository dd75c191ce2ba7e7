//! /dev, /proc, /sys and /run of the initramfs.

use std::{fs, path::Path};

use nix::mount::{MsFlags, mount};

/// Where the real root is mounted before the pivot.
pub const SYSROOT: &str = "/sysroot";

/// A file system that could not be mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountsError {
    /// The directory could not be made.
    #[error("cannot make {target}: {source}")]
    Directory {
        /// The directory.
        target: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The kernel refused.
    #[error("cannot mount {kind} on {target}: {source}")]
    Mount {
        /// The file system type.
        kind: &'static str,
        /// Where.
        target: &'static str,
        /// The system's reason.
        source: nix::Error,
    },
}

/// Mounts the kernel's file systems, and a tmpfs on /run that moves on with the real root.
pub fn mount_kernel_file_systems() -> Result<(), MountsError> {
    let nosuid = MsFlags::MS_NOSUID;
    let noexec = nosuid | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV;
    mount_one("proc", "/proc", noexec, None)?;
    mount_one("sysfs", "/sys", noexec, None)?;
    mount_one(
        "devtmpfs",
        "/dev",
        nosuid | MsFlags::MS_NOEXEC,
        Some("mode=0755"),
    )?;
    mount_one(
        "tmpfs",
        "/run",
        nosuid | MsFlags::MS_NODEV,
        Some("mode=0755"),
    )?;
    // libcryptsetup's locks; libdevmapper needs none.
    make_directory("/run/cryptsetup")?;
    make_directory("/run/tao")?;
    make_directory(SYSROOT)
}

fn mount_one(
    kind: &'static str,
    target: &'static str,
    flags: MsFlags,
    options: Option<&str>,
) -> Result<(), MountsError> {
    make_directory(target)?;
    match mount(Some(kind), target, Some(kind), flags, options) {
        // CONFIG_DEVTMPFS_MOUNT may have been faster.
        Ok(()) | Err(nix::Error::EBUSY) => Ok(()),
        Err(source) => Err(MountsError::Mount {
            kind,
            target,
            source,
        }),
    }
}

fn make_directory(target: &'static str) -> Result<(), MountsError> {
    if Path::new(target).is_dir() {
        return Ok(());
    }
    fs::create_dir_all(target).map_err(|source| MountsError::Directory { target, source })
}
