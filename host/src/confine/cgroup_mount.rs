//! Where the cgroup v2 hierarchy is mounted.
#![allow(unsafe_code)]

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    path::PathBuf,
    ptr,
};

use nix::{errno::Errno, libc};

use crate::confine::mounts;

const CREATE: u32 = 6;
/// No set-user-ID programs, no devices, no programs.
const NOTHING_BUT_FILES: u32 = 2 | 4 | 8;
const CLOSE_ON_EXEC: u32 = 1;

/// The places where processes of this mount namespace see cgroup v2.
pub(crate) fn mount_points() -> io::Result<Vec<PathBuf>> {
    let mounts = mounts::mounts()?.into_iter();
    let found = mounts.filter(|mount| mount.kind == "cgroup2");
    Ok(found.map(|mount| mount.point).collect())
}

/// Mounts the hierarchy for this process alone, at no path: for a machine whose init does not
/// use it. (Where it is mounted already this would reset its options.)
pub(crate) fn mount_detached() -> io::Result<(PathBuf, OwnedFd)> {
    let flags = CLOSE_ON_EXEC;
    let opened = |result: i64| -> io::Result<OwnedFd> {
        let fd = RawFd::try_from(Errno::result(result)?).map_err(io::Error::other)?;
        // SAFETY: the kernel just made this descriptor.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    };
    let kind: &CStr = c"cgroup2";
    // SAFETY: integers, and strings that end with a zero.
    let context = opened(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), flags) })?;
    let no_text = ptr::null::<libc::c_char>();
    let number = context.as_raw_fd();
    // SAFETY: this command reads no memory.
    let created = unsafe { libc::syscall(libc::SYS_fsconfig, number, CREATE, no_text, no_text, 0) };
    Errno::result(created)?;
    // SAFETY: integers only.
    let mounted = unsafe { libc::syscall(libc::SYS_fsmount, number, flags, NOTHING_BUT_FILES) };
    let mounted = opened(mounted)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", mounted.as_raw_fd()));
    Ok((path, mounted))
}
