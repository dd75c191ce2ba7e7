//! A process beside the one that makes it, in a control group from its first instruction on.
//!
//! Called between fork and exec: only system calls may be made here.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use nix::{
    errno::Errno,
    libc::{self, c_int},
};

/// What of a control group is needed to get into it.
pub(super) struct GroupFiles {
    /// Its folder.
    pub folder: OwnedFd,
    /// Its list of processes.
    pub processes: OwnedFd,
}

/// struct clone_args as of Linux 5.7.
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// fork(2), but the new process has the same parent as this one; and it is in its group, if
/// that is said. To be made there costs nothing; to move there takes milliseconds, because
/// the kernel waits until no other process of the machine is being made.
pub(super) fn clone_sibling(group: Option<&GroupFiles>) -> io::Result<(c_int, bool)> {
    const INTO_CGROUP: u64 = 0x2_0000_0000;
    if let Some(group) = group {
        // The signal at its end is the one of this process: SIGCHLD.
        let arguments = CloneArguments {
            flags: u64::from(libc::CLONE_PARENT.cast_unsigned()) | INTO_CGROUP,
            cgroup: group.folder.as_raw_fd().cast_unsigned().into(),
            ..CloneArguments::default()
        };
        let size = size_of_val(&arguments);
        // SAFETY: as below; the kernel reads the arguments, whose size is given.
        let number = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size) };
        // Not every kernel and sandbox has it: then the process moves.
        if let Ok(number) = Errno::result(number) {
            return Ok((c_int::try_from(number).unwrap_or_default(), true));
        }
    }
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: without CLONE_VM this is a fork; the child goes on with a copy of everything.
    let number = unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), 0, 0, 0, 0) };
    let number = c_int::try_from(Errno::result(number)?).unwrap_or_default();
    Ok((number, false))
}

/// Moves into the group, if there is one and this process is not in it.
pub(super) fn join(group: Option<&GroupFiles>, in_group: bool) -> io::Result<()> {
    if let (Some(group), false) = (group, in_group) {
        // SAFETY: writes one byte, which means this process.
        Errno::result(unsafe {
            libc::write(group.processes.as_raw_fd(), c"0".as_ptr().cast(), 1)
        })?;
    }
    Ok(())
}
