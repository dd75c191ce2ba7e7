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
    libc::{self, c_int, sock_filter},
    sys::{
        prctl,
        resource::{Resource, rlim_t, setrlimit},
    },
    unistd::setsid,
};

use super::{
    execution::Execution,
    isolation::Measure,
    landlock::Domain,
    sibling::{GroupFiles, clone_sibling, join},
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
    /// The group.
    pub group: Option<GroupFiles>,
    /// The first process of the program's own: see `program_init`.
    pub init: OwnedFd,
    /// Gets the numbers of that process and of the program's.
    pub report: OwnedFd,
    /// What to execute.
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

/// Becomes the program; returns only if that failed.
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
    let in_group = wants(Measure::Processes) && own_processes(setup)?;
    setsid()?;
    prctl::set_no_new_privs()?;
    join(setup.group.as_ref(), in_group)?;
    if wants(Measure::Capabilities) {
        drop_capabilities()?;
    }
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
    Err(setup.execution.execute())
}

/// Continues as the second process of a new set of processes, of which `init` is the first.
/// Both are children of the host, not of the process that was forked to make them. True if
/// the process is in its group already.
fn own_processes(setup: &Setup) -> io::Result<bool> {
    // SAFETY: integers only.
    Errno::result(unsafe { libc::unshare(libc::CLONE_NEWPID) })?;
    let (init, in_group) = clone_sibling(setup.group.as_ref())?;
    if init == 0 {
        let failed = become_init(setup, in_group).err();
        let code = failed.and_then(|error| error.raw_os_error());
        // SAFETY: ends the child at once; nothing of the host's runs in it.
        unsafe { libc::_exit(code.unwrap_or(1)) }
    }
    let (program, in_group) =
        clone_sibling(setup.group.as_ref()).inspect_err(|_| report(setup, init, 0))?;
    if program != 0 {
        report(setup, init, program);
        // SAFETY: as above.
        unsafe { libc::_exit(0) }
    }
    own_proc()?;
    Ok(in_group)
}

/// Tells the host which processes are its children. If it can't be told, it notices by the
/// pipe's end.
fn report(setup: &Setup, init: c_int, program: c_int) {
    let numbers = [init, program];
    // SAFETY: writes those 8 bytes.
    unsafe {
        libc::write(
            setup.report.as_raw_fd(),
            numbers.as_ptr().cast(),
            size_of_val(&numbers),
        );
    }
}

/// The first process: nothing of the host stays with it.
fn become_init(setup: &Setup, in_group: bool) -> io::Result<std::convert::Infallible> {
    setsid()?;
    prctl::set_no_new_privs()?;
    join(setup.group.as_ref(), in_group)?;
    drop_capabilities()?;
    if let Some((uid, gid)) = setup.become_user {
        become_user(uid, gid)?;
    }
    // SAFETY: integers and constant strings; the descriptor is open. Ended with the host's
    // thread that started it: with the host, that is.
    unsafe {
        Errno::result(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0))?;
        // The kernel then waits for the orphans itself.
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        Errno::result(libc::chdir(c"/".as_ptr()))?;
        Errno::result(libc::dup3(setup.init.as_raw_fd(), 0, libc::O_CLOEXEC))?;
        close_range(1, 0)?;
        let arguments = [c"tao-program-init".as_ptr(), std::ptr::null()];
        let no_environment = [std::ptr::null::<libc::c_char>()];
        let executed = libc::syscall(
            libc::SYS_execveat,
            0,
            c"".as_ptr(),
            arguments.as_ptr(),
            no_environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
        Errno::result(executed)?;
    }
    Err(io::ErrorKind::Other.into())
}

fn close_range(first: u32, flags: u32) -> io::Result<()> {
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
fn become_user(uid: libc::uid_t, gid: libc::gid_t) -> io::Result<()> {
    // SAFETY: integers only, and no list of groups is read when its length is 0.
    unsafe {
        match Errno::result(libc::setgroups(0, std::ptr::null())) {
            Err(Errno::EPERM) if libc::getuid() == uid && libc::getgid() == gid => return Ok(()),
            other => other?,
        };
        Errno::result(libc::setresgid(gid, gid, gid))?;
        Errno::result(libc::setresuid(uid, uid, uid))?;
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
            // EINVAL: beyond the kernel's last one.
            Ok(_) | Err(Errno::EINVAL) => {}
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
