//! What every process that the host makes does first. Only system calls: see `clone`.
#![allow(unsafe_code)]

use std::io;

use nix::{errno::Errno, libc};

/// The host may be spared by the OOM killer; what it starts is not.
pub(crate) fn not_spared(spared: bool) -> io::Result<()> {
    match spared {
        true => write_once(c"/proc/self/oom_score_adj", b"0"),
        false => Ok(()),
    }
}

/// close_range(2) from that descriptor on.
pub(crate) fn close_range(first: u32, flags: u32) -> io::Result<()> {
    // SAFETY: closes or marks descriptors, touches no memory.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) };
    Errno::result(done)?;
    Ok(())
}

fn write_once(path: &std::ffi::CStr, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: a string that ends with a zero, and bytes whose number is given. The
    // descriptor is used and closed here only.
    unsafe {
        let file = Errno::result(libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC))?;
        let written = libc::write(file, bytes.as_ptr().cast(), bytes.len());
        libc::close(file);
        Errno::result(written)?;
    }
    Ok(())
}
