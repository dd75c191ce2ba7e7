//! Processes by descriptor: a number can be given to another process, a descriptor cannot.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use nix::{
    errno::Errno,
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{SigHandler, Signal, signal},
    unistd::Pid,
};

/// Lets this process end quietly when nobody reads its output any more, as commands do.
/// Rust programs ignore that signal and get an error at each write instead.
///
/// # Errors
/// When the kernel refuses.
pub fn end_with_broken_pipe() -> io::Result<()> {
    // SAFETY: SIG_DFL installs no code.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    Ok(())
}

/// A descriptor of a process (pidfd_open(2)); readable when the process has ended.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Opens the process that has this number now.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn open(pid: i32) -> io::Result<Self> {
        // SAFETY: pidfd_open takes two integers and touches no memory.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = RawFd::try_from(Errno::result(result)?).map_err(io::Error::other)?;
        // SAFETY: the kernel just made this descriptor for the call above.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The process that connected `stream`, whatever has its number by now (Linux 6.5). Before
    /// that the process with `pid`, which the kernel gave as the other end's.
    ///
    /// # Errors
    /// When the process has ended, or the kernel cannot name it.
    pub fn of_peer(stream: BorrowedFd<'_>, pid: i32) -> io::Result<Self> {
        const PEER_PIDFD: i32 = 77;
        let mut fd: RawFd = -1;
        let mut length = size_of::<RawFd>() as libc::socklen_t;
        // SAFETY: the kernel writes one integer, whose size is given.
        let got = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                PEER_PIDFD,
                (&raw mut fd).cast(),
                &raw mut length,
            )
        };
        match Errno::result(got) {
            // SAFETY: the kernel just made this descriptor for the call above.
            Ok(_) => Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) })),
            Err(Errno::ENOPROTOOPT) => Self::open(pid),
            Err(error) => Err(error.into()),
        }
    }

    /// Has the process ended?
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn has_ended(&self) -> io::Result<bool> {
        let mut ended = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut ended, PollTimeout::ZERO)? > 0)
    }

    /// Sends a signal; an error if the process has ended and been waited for.
    ///
    /// # Errors
    /// When the process has ended and been waited for, or may not be signalled.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: without siginfo the call reads no memory of ours.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal as i32,
                no_info,
                0,
            )
        };
        Errno::result(result)?;
        Ok(())
    }
}

/// How a child of this process ended, as wait(2) gives it; `None` if it has not.
///
/// # Errors
/// When there is no such child.
pub fn try_wait(child: i32) -> io::Result<Option<i32>> {
    Ok(match wait_with(child, libc::WNOHANG)? {
        (0, _) => None,
        (_, status) => Some(status),
    })
}

/// Waits for the end of a child of this process.
///
/// # Errors
/// When there is no such child.
pub fn wait(child: i32) -> io::Result<i32> {
    let (_, status) = wait_with(child, 0)?;
    Ok(status)
}

/// What waitpid(2) gave, and the status. The first is 0 only with WNOHANG.
fn wait_with(child: i32, flags: i32) -> io::Result<(i32, i32)> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is ours to be written.
        let result = unsafe { libc::waitpid(child, &raw mut status, flags) };
        match Errno::result(result) {
            Ok(waited) => return Ok((waited, status)),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends a signal to a child of this process that has not been waited for: its number cannot
/// be another's meanwhile.
///
/// # Errors
/// When there is no such process, or it may not be signalled.
pub fn kill(child: i32, signal: Signal) -> io::Result<()> {
    Ok(nix::sys::signal::kill(Pid::from_raw(child), signal)?)
}

impl From<OwnedFd> for PidFd {
    fn from(process: OwnedFd) -> Self {
        Self(process)
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_signal_reaches_the_process_and_none_after_it_has_gone() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = PidFd::open(child.id() as i32).unwrap();
        assert!(!process.has_ended().unwrap());
        process.signal(Signal::SIGKILL).unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(process.signal(Signal::SIGKILL).is_err());
        assert!(process.has_ended().unwrap());
    }
}
