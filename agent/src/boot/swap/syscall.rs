//! swapon(2) and swapoff(2), which nix does not wrap.
#![allow(unsafe_code)]

use std::{ffi::CString, os::unix::ffi::OsStrExt, path::Path};

use nix::errno::Errno;

/// Turns swap on for a device with a swap signature.
pub(super) fn swap_on(device: &Path) -> nix::Result<()> {
    let path = CString::new(device.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `path` is a zero-terminated string that outlives the call; 0 asks for no option.
    Errno::result(unsafe { nix::libc::swapon(path.as_ptr(), 0) }).map(drop)
}

/// Turns it off again: what is in use as swap cannot be closed.
pub(super) fn swap_off(device: &Path) -> nix::Result<()> {
    let path = CString::new(device.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `path` is a zero-terminated string that outlives the call.
    Errno::result(unsafe { nix::libc::swapoff(path.as_ptr()) }).map(drop)
}
