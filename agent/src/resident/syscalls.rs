//! fork, dup2, close_range and mlockall for the resident process.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::{
    errno::Errno,
    libc,
    unistd::{ForkResult, fork},
};

/// Forks. /init has one thread, so the child may do anything.
pub(super) fn fork_single_threaded() -> nix::Result<ForkResult> {
    // SAFETY: the boot never starts a thread, so no lock can be held by one that the child lacks.
    unsafe { fork() }
}

/// Moves a descriptor that the caller gave up to `number`, replacing what is open there.
pub(super) fn take_fd(from: RawFd, number: RawFd) -> nix::Result<OwnedFd> {
    if from != number {
        // SAFETY: dup2 and close take plain numbers; `from` was released by its owner.
        Errno::result(unsafe { libc::dup2(from, number) })?;
        // SAFETY: as above; nobody else closes `from`.
        Errno::result(unsafe { libc::close(from) })?;
    } else {
        // SAFETY: asks about a number, changes nothing.
        Errno::result(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    }
    // SAFETY: the number is open (checked above) and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Closes every descriptor from `first` on.
pub(super) fn close_from(first: RawFd) -> nix::Result<()> {
    let first = libc::c_uint::try_from(first).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the caller owns no descriptor from `first` on; std holds none.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) })
        .map(drop)
}

/// Keeps what is in memory there. Pages are locked when they are first used: locking every
/// page of every thread's stack in advance would cost megabytes.
pub(super) fn lock_memory() -> nix::Result<()> {
    let flags = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
    // SAFETY: takes flags only.
    Errno::result(unsafe { libc::mlockall(flags) }).map(drop)
}
