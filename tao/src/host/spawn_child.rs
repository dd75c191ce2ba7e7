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
    libc::{self, sock_filter},
    sys::{
        prctl,
        resource::{Resource, rlim_t, setrlimit},
    },
    unistd::setsid,
};

use super::isolation::Measure;

/// What the child needs from before the fork.
pub(super) struct Setup {
    /// Becomes 3.
    pub reads: OwnedFd,
    /// Becomes 4.
    pub writes: OwnedFd,
    /// Soft and hard limit of open files.
    pub open_files: (rlim_t, rlim_t),
    /// User and group to become, if this is root.
    pub become_user: Option<(libc::uid_t, libc::gid_t)>,
    /// What to take, and with what.
    pub measures: Measures,
}

/// Measures that this machine can take, and what they need.
#[derive(Clone)]
pub(super) struct Measures {
    pub list: Vec<Measure>,
    /// The filter of system calls.
    pub filter: Vec<sock_filter>,
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
    // What needs root's powers first, then the user, then what needs none.
    let wants = |measure| setup.measures.list.contains(&measure);
    for measure in [Measure::Namespaces, Measure::Network, Measure::Capabilities] {
        if wants(measure) {
            take(measure, &setup.measures)?;
        }
    }
    if let Some((uid, gid)) = setup.become_user {
        become_user(uid, gid)?;
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
    for measure in [Measure::Landlock, Measure::Seccomp] {
        if wants(measure) {
            take(measure, &setup.measures)?;
        }
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

fn take(measure: Measure, measures: &Measures) -> io::Result<()> {
    match measure {
        Measure::Capabilities => drop_capabilities(),
        Measure::Namespaces => namespaces(),
        Measure::Network => {
            // SAFETY: integers only.
            Errno::result(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
            Ok(())
        }
        Measure::Landlock => landlock(),
        Measure::Seccomp => seccomp(&measures.filter),
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
fn namespaces() -> io::Result<()> {
    let flags = libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    // SAFETY: integers and constant strings.
    unsafe {
        Errno::result(libc::unshare(flags))?;
        Errno::result(libc::mount(
            std::ptr::null(),
            c"/".as_ptr(),
            std::ptr::null(),
            libc::MS_REC | libc::MS_SLAVE,
            std::ptr::null(),
        ))?;
    }
    Ok(())
}

/// struct landlock_ruleset_attr as of ABI 6.
#[repr(C)]
struct Ruleset {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

const MAKE_CHAR: u64 = 1 << 6;
const MAKE_BLOCK: u64 = 1 << 11;
const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;
const SCOPE_SIGNAL: u64 = 1 << 1;

/// A domain of its own: without any rule, what is handled is denied everywhere. ABI 6 (Linux
/// 6.12) is needed for the scopes.
fn landlock() -> io::Result<()> {
    let ruleset = Ruleset {
        handled_access_fs: MAKE_CHAR | MAKE_BLOCK,
        handled_access_net: 0,
        scoped: SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL,
    };
    // SAFETY: the kernel reads `ruleset`, whose size is given, and gives a descriptor that
    // is used and closed here only.
    unsafe {
        let made = libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const ruleset,
            size_of::<Ruleset>(),
            0,
        );
        let made = Errno::result(made)?;
        let restricted = Errno::result(libc::syscall(libc::SYS_landlock_restrict_self, made, 0));
        libc::syscall(libc::SYS_close, made);
        restricted?;
    }
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

/// Can this machine, for this user, take the measure? Tried in a process of its own.
pub(super) fn possible(measure: Measure, measures: &Measures) -> bool {
    // SAFETY: the child makes system calls only and ends by one.
    match unsafe { libc::fork() } {
        -1 => false,
        0 => {
            let taken = prctl::set_no_new_privs().is_ok() && take(measure, measures).is_ok();
            // SAFETY: ends the child at once; nothing of the host's runs in it.
            unsafe { libc::_exit(i32::from(!taken)) }
        }
        child => {
            let mut status = 0;
            loop {
                // SAFETY: `status` is ours to be written.
                match Errno::result(unsafe { libc::waitpid(child, &raw mut status, 0) }) {
                    Ok(_) => return status == 0,
                    Err(Errno::EINTR) => {}
                    Err(_) => return false,
                }
            }
        }
    }
}
