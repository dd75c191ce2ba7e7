//! What happens in the new process between fork and exec.
//!
//! Only system calls may be made there: the process has one thread of a host that has
//! many, and a lock held by another thread would never be released.
#![allow(unsafe_code)]

use std::{
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::Command,
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        prctl,
        resource::{Resource, rlim_t, setrlimit},
    },
    unistd::setsid,
};

/// What the child needs from before the fork.
pub(super) struct Setup {
    /// Becomes 3.
    pub reads: OwnedFd,
    /// Becomes 4.
    pub writes: OwnedFd,
    /// Soft and hard limit of open files.
    pub open_files: (rlim_t, rlim_t),
}

/// Registers the set-up with the command. The descriptors are closed with the command.
pub(super) fn set_up(command: &mut Command, setup: Setup) {
    // SAFETY: `child` makes system calls only; it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(move || child(&setup));
    }
}

fn child(setup: &Setup) -> io::Result<()> {
    setsid()?;
    prctl::set_no_new_privs()?;
    setrlimit(
        Resource::RLIMIT_NOFILE,
        setup.open_files.0,
        setup.open_files.1,
    )?;
    // exec resets handlers but keeps what is ignored.
    for signal in 1..=64 {
        // SAFETY: SIG_DFL installs no code. What can't be set is refused, harmlessly:
        // SIGKILL, SIGSTOP, and the two that the C library keeps to itself.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    for (from, to) in [(&setup.reads, 3), (&setup.writes, 4)] {
        // SAFETY: 3 and 4 are placeholders of the host (see Spawner), so nothing that is
        // needed before exec is closed here; the host's ends lie above.
        Errno::result(unsafe { libc::dup2(from.as_raw_fd(), to) })?;
    }
    // SAFETY: marks descriptors, touches no memory. They are needed until exec.
    let marked = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            5_u32,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    Errno::result(marked)?;
    Ok(())
}
