//! Where the kernel's settings are mounted.

use std::{ffi::CString, io, os::unix::ffi::OsStringExt as _};

use crate::confine::mounts;

/// Mounts through which root's programs could change the machine's settings.
pub(crate) fn settings() -> io::Result<Vec<CString>> {
    const KINDS: [&str; 11] = [
        "sysfs",
        "cgroup",
        "cgroup2",
        "debugfs",
        "tracefs",
        "securityfs",
        "configfs",
        "efivarfs",
        "pstore",
        "bpf",
        "binfmt_misc",
    ];
    let mounts = mounts::mounts()?.into_iter();
    // Those below /proc are hidden by the program's own.
    let mut points: Vec<_> = mounts
        .filter(|mount| KINDS.contains(&mount.kind.as_str()))
        .map(|mount| mount.point)
        .filter(|point| !point.starts_with("/proc"))
        .map(|point| CString::new(point.into_os_string().into_vec()))
        .collect::<Result<_, _>>()?;
    points.sort_unstable();
    points.dedup();
    Ok(points)
}
