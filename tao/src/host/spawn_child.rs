//! What happens in the new process between fork and exec.
//!
//! Only system calls may be made there: the process has one thread of a host that has
//! many, and a lock held by another thread would never be released.
#![allow(unsafe_code)]

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::Command,
};

use nix::{
    errno::Errno,
    libc::{self, sock_filter},
    sys::{
        prctl,
        resource::{Resource, rlim_t, setrlimit},
    },
    unistd::setsid,
};

use super::{
    cgroup::Entrance,
    isolation::Measure,
    landlock::Domain,
    spawn_siblings::{self, Execution},
};

/// What the child needs from before the fork.
pub(super) struct Setup {
    /// What becomes 3, for reading, and 4, for writing.
    pub channel: Option<(OwnedFd, OwnedFd)>,
    /// Soft and hard limit of open files.
    pub open_files: (rlim_t, rlim_t),
    /// User and group to become, if this is root.
    pub become_user: Option<(libc::uid_t, libc::gid_t)>,
    /// The host is spared by the OOM killer; the program is not.
    pub spared: bool,
    /// What to take, and with what.
    pub measures: Measures,
    /// Mounts of measured files, and what they are put over.
    pub pinned: Vec<(OwnedFd, CString)>,
    /// The Landlock domain.
    pub domain: Domain,
    /// The way into the program's control group.
    pub group: Option<Entrance>,
    /// The first process of the program's own: see `program_init`.
    pub init: OwnedFd,
    /// Gets the numbers of that process and of the program's.
    pub report: OwnedFd,
    /// What to execute there.
    pub execution: Execution,
}

/// Measures that this machine can take, and what they need.
#[derive(Clone)]
pub(super) struct Measures {
    pub list: Vec<Measure>,
    /// The filter of system calls.
    pub filter: Vec<sock_filter>,
    /// Mounts with the kernel's settings, which programs may only read.
    pub settings: Vec<CString>,
}

/// Registers the set-up with the command. The descriptors are closed with the command.
pub(super) fn set_up(command: &mut Command, setup: Setup) {
    // SAFETY: `child` makes system calls only; it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(move || child(&setup));
    }
}

fn child(setup: &Setup) -> io::Result<()> {
    setrlimit(
        Resource::RLIMIT_NOFILE,
        setup.open_files.0,
        setup.open_files.1,
    )?;
    if setup.spared {
        write_once(c"/proc/self/oom_score_adj", b"0")?;
    }
    // exec resets handlers but keeps what is ignored.
    for signal in 1..=64 {
        // SAFETY: SIG_DFL installs no code. What can't be set is refused, harmlessly:
        // SIGKILL, SIGSTOP, and the two that the C library keeps to itself.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // What needs root's powers first, then the user, then what needs none.
    let wants = |measure| setup.measures.list.contains(&measure);
    for measure in [Measure::Namespaces, Measure::Network] {
        if wants(measure) {
            take(measure, &setup.measures)?;
        }
    }
    for (file, place) in &setup.pinned {
        put(file, place)?;
    }
    // Of what the program could get by exec; this process keeps its own for now.
    if wants(Measure::Capabilities) {
        drop_capabilities()?;
    }
    if wants(Measure::Processes) {
        return spawn_siblings::own_processes(setup);
    }
    if let Some(group) = &setup.group {
        join(group)?;
    }
    become_program(setup)
}

/// The rest, in the process that will be the program.
pub(super) fn become_program(setup: &Setup) -> io::Result<()> {
    let wants = |measure| setup.measures.list.contains(&measure);
    setsid()?;
    prctl::set_no_new_privs()?;
    if let Some((uid, gid)) = setup.become_user {
        become_user(uid, gid)?;
    }
    // 3 and 4 are placeholders of the host (see Spawner), so nothing that is needed before
    // exec is closed here; the host's ends lie above.
    let mut first = 3;
    if let Some((reads, writes)) = &setup.channel {
        for from in [reads, writes] {
            // SAFETY: integers only.
            Errno::result(unsafe { libc::dup2(from.as_raw_fd(), first) })?;
            first += 1;
        }
    }
    // They are needed until exec.
    close_range(first.cast_unsigned(), libc::CLOSE_RANGE_CLOEXEC)?;
    if wants(Measure::Landlock) {
        setup.domain.enter()?;
    }
    if wants(Measure::Seccomp) {
        seccomp(&setup.measures.filter)?;
    }
    Ok(())
}

pub(super) fn join(group: &Entrance) -> io::Result<()> {
    // SAFETY: writes one byte, which means this process.
    Errno::result(unsafe { libc::write(group.list.as_raw_fd(), c"0".as_ptr().cast(), 1) })?;
    Ok(())
}

pub(super) fn close_range(first: u32, flags: u32) -> io::Result<()> {
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
pub(super) fn become_user(uid: libc::uid_t, gid: libc::gid_t) -> io::Result<()> {
    // SAFETY: integers only, and no list of groups is read when its length is 0. System calls,
    // not the C library's functions: those would change all threads that they know of.
    unsafe {
        match Errno::result(libc::syscall(libc::SYS_setgroups, 0, 0)) {
            Err(Errno::EPERM) if libc::getuid() == uid && libc::getgid() == gid => return Ok(()),
            other => other?,
        };
        Errno::result(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
        Errno::result(libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
    }
    Ok(())
}

pub(super) fn take(measure: Measure, measures: &Measures) -> io::Result<()> {
    match measure {
        Measure::Capabilities => drop_capabilities(),
        Measure::Namespaces => namespaces(measures),
        Measure::Network => {
            // SAFETY: integers only.
            Errno::result(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
            Ok(())
        }
        Measure::Seccomp => seccomp(&measures.filter),
        // They need more than a call.
        Measure::Processes | Measure::Landlock | Measure::Scopes | Measure::Limits => Ok(()),
    }
}

/// Without anything in the bounding set, exec gives even root's programs nothing.
fn drop_capabilities() -> io::Result<()> {
    for capability in 0..64 {
        // SAFETY: integers only.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        match Errno::result(dropped) {
            Ok(_) => {}
            // Beyond the kernel's last one.
            Err(Errno::EINVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    // SAFETY: integers only. Ambient capabilities would survive exec.
    let cleared = unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        )
    };
    Errno::result(cleared)?;
    Ok(())
}

/// Mounts made by the machine still appear; what the program would mount stays its own.
/// The kernel's settings and the control groups are files of root: a program of root could
/// change them without any capability.
fn namespaces(measures: &Measures) -> io::Result<()> {
    let flags = libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    // SAFETY: integers and constant strings.
    unsafe {
        Errno::result(libc::unshare(flags))?;
        mount(None, c"/", None, libc::MS_REC | libc::MS_SLAVE)?;
    }
    let again = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
    let careful = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    for place in &measures.settings {
        mount(None, place, None, again | careful)?;
    }
    Ok(())
}

/// /proc with this set of processes only, and the kernel's settings in it read-only.
pub(super) fn own_proc() -> io::Result<()> {
    let careful = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let flags = careful | libc::MS_RDONLY;
    mount(Some(c"proc"), c"/proc", Some(c"proc"), flags)
}

/// Puts a mount that is at no place over a file.
fn put(mount: &OwnedFd, place: &std::ffi::CStr) -> io::Result<()> {
    const FROM_DESCRIPTOR: u32 = 4;
    // SAFETY: strings that end with a zero, and integers.
    let moved = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            place.as_ptr(),
            FROM_DESCRIPTOR,
        )
    };
    Errno::result(moved)?;
    Ok(())
}

fn mount(
    source: Option<&std::ffi::CStr>,
    target: &std::ffi::CStr,
    kind: Option<&std::ffi::CStr>,
    flags: libc::c_ulong,
) -> io::Result<()> {
    let pointer = |text: Option<&std::ffi::CStr>| text.map_or(std::ptr::null(), |t| t.as_ptr());
    // SAFETY: strings that end with a zero, or none.
    let mounted = unsafe {
        libc::mount(
            pointer(source),
            target.as_ptr(),
            pointer(kind),
            flags,
            std::ptr::null(),
        )
    };
    Errno::result(mounted)?;
    Ok(())
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
