//! File descriptors that come from outside: inherited from the host that started this
//! process, or received over a socket. Rust cannot know who owns these numbers.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// A duplicate of a descriptor that the parent process left open under a known number.
/// The descriptor itself is marked so that programs started from here do not get it.
///
/// # Errors
/// When there is no such descriptor.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(nix::libc::EBADF));
    }
    // SAFETY: the borrow ends with this function. If nothing is open under the number,
    // the system calls say so (EBADF); nothing else is done with it.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    borrowed.try_clone_to_owned()
}

/// Takes ownership of descriptors that a system call just made: those that recvmsg(2)
/// delivered in SCM_RIGHTS, or the results of accept4(2) and of F_DUPFD_CLOEXEC.
pub fn received(numbers: Vec<RawFd>) -> Vec<OwnedFd> {
    // SAFETY: the kernel made these descriptors for this process in the call before;
    // nobody else knows their numbers yet.
    numbers
        .into_iter()
        .map(|number| unsafe { OwnedFd::from_raw_fd(number) })
        .collect()
}
