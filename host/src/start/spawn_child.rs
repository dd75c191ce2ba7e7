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
    libc::{self, c_int, sock_filter},
    sys::{
        prctl,
        resource::{Resource, rlim_t, setrlimit},
    },
    unistd::setsid,
};

use crate::{
    confine::capabilities,
    confine::hiding::{self, Hidden},
    confine::landlock::Domain,
    confine::loopback,
    confine::mount_calls::{mount, put},
    confine::numbers::COPIES,
    confine::places::Places,
    confine::users,
    measure::credentials::Credentials,
    policy::programs::Measure,
    start::abilities::settings,
    start::clone::{self, GroupFiles, InGroup},
    start::execution::Execution,
    start::process_set::ProcessSet,
};

/// Name spaces besides those of processes and network.
pub(crate) const SPACES: c_int = libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

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
    pub measures: &'a Measures,
    /// Its set of processes, if it has one of its own.
    pub set: Option<&'a ProcessSet>,
    /// A mount of its own folder, and where it finds that.
    pub own_folder: Option<(OwnedFd, CString)>,
    /// What becomes [`COPIES`]: the folder with measured copies.
    pub folder: Option<OwnedFd>,
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

/// Measures that this machine can take, and what they need.
#[derive(Clone)]
pub(crate) struct Measures {
    pub list: Vec<Measure>,
    /// The filter of system calls.
    pub filter: Vec<sock_filter>,
    /// Mounts with the kernel's settings, which programs may only read.
    pub settings: Vec<CString>,
    /// What is hidden from programs.
    pub hidden: Hidden,
}

impl Measures {
    /// The same with the mounts, and what is to be hidden, that there are now.
    pub(crate) fn with_present_mounts(&self, places: &Places) -> io::Result<Self> {
        Ok(Measures {
            settings: settings()?,
            hidden: places.hidden()?,
            ..self.clone()
        })
    }

    fn wants(&self, measure: Measure) -> bool {
        self.list.contains(&measure)
    }
}

/// Starts the program, in its set if it has one: the number of its process.
pub(crate) fn start(setup: &Setup<'_>) -> io::Result<c_int> {
    if setup.measures.wants(Measure::Capabilities) {
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
        None => own_spaces(setup.measures)?,
    }
    if let Some((folder, place)) = &setup.own_folder {
        put(folder.as_raw_fd(), place)?;
    }
    change_folder(&setup.dir, setup.caller)?;
    setsid()?;
    prctl::set_no_new_privs()?;
    in_group.join(setup.group.as_ref())?;
    if setup.measures.wants(Measure::Capabilities) {
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
    if let Some(folder) = &setup.folder {
        // SAFETY: integers only. This one stays open.
        Errno::result(unsafe { libc::dup2(folder.as_raw_fd(), COPIES) })?;
    }
    clone::default_signals()?;
    if setup.measures.wants(Measure::Landlock) {
        setup.domain.enter()?;
    }
    if setup.measures.wants(Measure::Seccomp) {
        seccomp(&setup.measures.filter)?;
    }
    Err(setup.execution.execute())
}

/// Into the working directory, if the caller may go there.
fn change_folder(dir: &std::ffi::CStr, caller: Option<&Credentials>) -> io::Result<()> {
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

/// The host may be spared by the OOM killer; what it starts is not.
pub(crate) fn not_spared(spared: bool) -> io::Result<()> {
    match spared {
        true => write_once(c"/proc/self/oom_score_adj", b"0"),
        false => Ok(()),
    }
}

/// Takes the measures that are name spaces, except that of processes.
pub(crate) fn own_spaces(measures: &Measures) -> io::Result<()> {
    for measure in [Measure::Namespaces, Measure::Network] {
        if measures.wants(measure) {
            take(measure, measures)?;
        }
    }
    // The machine's, which is seen where programs have no processes of their own.
    match measures.wants(Measure::Namespaces) {
        true => hiding::hide_in_proc(),
        false => Ok(()),
    }
}

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

/// A host without root's powers stays who it is, if that is who the program is to be.
pub(crate) fn become_user(uid: libc::uid_t, gid: libc::gid_t) -> io::Result<()> {
    // The C library's functions of these names would have the host's threads do the same.
    // SAFETY: integers only, and no list of groups is read when its length is 0.
    unsafe {
        let no_groups = std::ptr::null::<libc::gid_t>();
        match Errno::result(libc::syscall(libc::SYS_setgroups, 0, no_groups)) {
            Err(Errno::EPERM) if libc::getuid() == uid && libc::getgid() == gid => return Ok(()),
            other => other?,
        };
        Errno::result(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
        Errno::result(libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
    }
    Ok(())
}

pub(crate) fn take(measure: Measure, measures: &Measures) -> io::Result<()> {
    match measure {
        Measure::Capabilities => capabilities::drop_all(),
        Measure::Namespaces => namespaces(measures),
        Measure::Network => {
            // SAFETY: integers only.
            Errno::result(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
            loopback::up()
        }
        Measure::Users => become_user(users::FIRST, users::FIRST),
        Measure::Seccomp => seccomp(&measures.filter),
        // They need more than a call.
        Measure::Processes | Measure::Landlock | Measure::Scopes | Measure::Limits => Ok(()),
    }
}

/// Mounts made by the machine still appear; what the program would mount stays its own.
/// The kernel's settings and the control groups are files of root: a program of root could
/// change them without any capability.
fn namespaces(measures: &Measures) -> io::Result<()> {
    // SAFETY: integers only.
    Errno::result(unsafe { libc::unshare(SPACES) })?;
    mount(None, c"/", None, libc::MS_REC | libc::MS_SLAVE, None)?;
    let again = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
    let careful = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    for place in &measures.settings {
        mount(None, place, None, again | careful, None)?;
    }
    hiding::hide(&measures.hidden)
}

/// /proc with this set of processes only, and the kernel's settings in it read-only.
pub(crate) fn own_proc() -> io::Result<()> {
    let careful = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let flags = careful | libc::MS_RDONLY;
    mount(Some(c"proc"), c"/proc", Some(c"proc"), flags, None)?;
    hiding::hide_in_proc()
}

fn seccomp(filter: &[sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap_or(u16::MAX),
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the filter, whose length is given.
    let set = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    Errno::result(set)?;
    Ok(())
}
