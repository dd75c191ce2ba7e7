//! A child of the host that is watched.

use std::io;

use nix::sys::signal::Signal;
use tao::process::{PidFd, wait};

/// A child of the host.
pub struct ChildProcess {
    /// Its number.
    pub pid: i32,
    /// Tells of its end.
    pub pidfd: PidFd,
}

impl ChildProcess {
    /// Opens a child of this process. One that cannot be watched must not run.
    pub(crate) fn open(pid: i32) -> io::Result<Self> {
        match PidFd::open(pid) {
            Ok(pidfd) => Ok(Self { pid, pidfd }),
            Err(error) => {
                tao::process::kill(pid, Signal::SIGKILL)?;
                wait(pid)?;
                Err(error)
            }
        }
    }
}
