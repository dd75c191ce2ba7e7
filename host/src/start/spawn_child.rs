//! What happens in the new process before it executes the program.
//!
//! Only system calls may be made there, and not through those functions of the C library
//! that do more than the call: see `clone`.
#![allow(unsafe_code)]

use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use nix::{
    errno::Errno,
    libc::{self, c_int},
    sys::{
        prctl,
        resource::{Resource, rlim_t, setrlimit},
    },
    unistd::setsid,
};

use crate::{
    confine::{
        capabilities,
        cgroup::GroupFiles,
        confinements::{Confinements, become_user, own_spaces, seccomp},
        landlock::Domain,
        mount_calls::put,
        numbers::COPIES,
    },
    measure::credentials::Credentials,
    policy::programs::Confinement,
    start::{
        clone::{self, InGroup},
        execution::Execution,
        new_process::{close_range, not_spared},
        process_set::ProcessSet,
    },
};

/// What the new process needs from before it was made.
pub(crate) struct Setup<'a> {
    /// What becomes 0, 1 and 2.
    pub stdio: [OwnedFd; 3],
    /// What becomes 3, for reading, and 4, for writing.
    pub channel: Option<(OwnedFd, OwnedFd)>,
    /// Soft and hard limit of open files.
    pub open_files: (rlim_t, rlim_t),
    /// User and group to become, if this is root.
    pub become_user: Option<(libc::uid_t, libc::gid_t)>,
    /// The host is spared by the OOM killer; the program is not.
    pub spared: bool,
    /// What to take, and with what.
    pub confinements: &'a Confinements,
    /// Its set of processes, if it has one of its own.
    pub set: Option<&'a ProcessSet>,
    /// A mount of its own directory, and where it finds that.
    pub own_directory: Option<(OwnedFd, CString)>,
    /// What becomes [`COPIES`]: the directory with measured copies.
    pub directory: Option<OwnedFd>,
    /// Whose working directory it is to be, if that is another's than the host's.
    pub caller: Option<&'a Credentials>,
    /// The Landlock domain.
    pub domain: Domain,
    /// The group.
    pub group: Option<GroupFiles>,
    /// The working directory.
    pub dir: CString,
    /// What to execute.
    pub execution: Execution<'a>,
}

/// Starts the program, in its set if it has one: the number of its process.
pub(crate) fn start(setup: &Setup<'_>) -> io::Result<c_int> {
    if setup.confinements.wants(Confinement::Capabilities) {
        capabilities::nothing_to_give()?;
    }
    let start = || {
        clone::start(
            0,
            setup.group.as_ref(),
            &|in_group| match become_program(setup, in_group) {
                Ok(never) => match never {},
                Err(error) => error,
            },
        )
    };
    match setup.set {
        Some(set) => set.inside(start),
        None => start(),
    }
}

/// Becomes the program; returns only if that failed.
fn become_program(setup: &Setup<'_>, in_group: InGroup) -> io::Result<std::convert::Infallible> {
    setrlimit(
        Resource::RLIMIT_NOFILE,
        setup.open_files.0,
        setup.open_files.1,
    )?;
    not_spared(setup.spared)?;
    // What needs root's powers first, then the user, then what needs none.
    match setup.set {
        Some(set) => set.enter()?,
        None => own_spaces(setup.confinements)?,
    }
    if let Some((directory, place)) = &setup.own_directory {
        put(directory.as_raw_fd(), place)?;
    }
    change_directory(&setup.dir, setup.caller)?;
    setsid()?;
    prctl::set_no_new_privs()?;
    in_group.join(setup.group.as_ref())?;
    if setup.confinements.wants(Confinement::Capabilities) {
        capabilities::inherit_nothing()?;
    }
    if let Some((uid, gid)) = setup.become_user {
        become_user(uid, gid)?;
    }
    // 3 and 4 are placeholders of the host (see Spawner), so nothing that is needed before
    // exec is closed here; the host's ends lie above.
    let channel = setup
        .channel
        .iter()
        .flat_map(|(reads, writes)| [reads, writes]);
    let mut first: libc::c_int = 0;
    for from in setup.stdio.iter().chain(channel) {
        // SAFETY: integers only.
        Errno::result(unsafe { libc::dup2(from.as_raw_fd(), first) })?;
        first = first.saturating_add(1);
    }
    // They are needed until exec.
    close_range(first.cast_unsigned(), libc::CLOSE_RANGE_CLOEXEC)?;
    if let Some(directory) = &setup.directory {
        // SAFETY: integers only. This one stays open.
        Errno::result(unsafe { libc::dup2(directory.as_raw_fd(), COPIES) })?;
    }
    clone::default_signals()?;
    if setup.confinements.wants(Confinement::Landlock) {
        setup.domain.enter()?;
    }
    if setup.confinements.wants(Confinement::Seccomp) {
        seccomp(&setup.confinements.filter)?;
    }
    Err(setup.execution.execute())
}

/// Into the working directory, if the caller may go there.
fn change_directory(dir: &std::ffi::CStr, caller: Option<&Credentials>) -> io::Result<()> {
    if let Some(caller) = caller {
        caller.enter()?;
    }
    // SAFETY: a string that ends with a zero.
    let changed = Errno::result(unsafe { libc::chdir(dir.as_ptr()) });
    if caller.is_some() {
        Credentials::leave()?;
    }
    changed?;
    Ok(())
}
