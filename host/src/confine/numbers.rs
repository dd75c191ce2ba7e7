//! Numbers of descriptors that a new program has: nothing that its start needs may be there.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{Mutex, PoisonError},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
};

use tao::descriptors::received;

/// Where a program that was measured with its script or libraries has the directory with their
/// copies.
pub(crate) const COPIES: i32 = 5;

/// Numbers below this may be given to the child: 0 to 2, the channel on 3 and 4, and [`COPIES`].
const FIRST_FREE: i32 = COPIES + 1;

/// Keeps 3 to 5 taken in this process for good, so that nothing that a start needs is there
/// when the new process puts its own there.
pub(crate) fn reserve() -> io::Result<()> {
    static RESERVED: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let file = File::open("/dev/null")?;
        if file.as_raw_fd() >= FIRST_FREE {
            return Ok(());
        }
        reserved.push(file);
    }
}

/// The same descriptor under a number that the child does not use for something else.
pub(crate) fn out_of_the_way(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= FIRST_FREE {
        return Ok(fd);
    }
    let number = fcntl(fd.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(FIRST_FREE))?;
    received(vec![number])
        .pop()
        .ok_or_else(|| Errno::EBADF.into())
}
