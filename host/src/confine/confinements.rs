//! The confinements as a new process takes them on, before it executes a program.
//!
//! Only system calls may be made there, and not through those functions of the C library
//! that do more than the call: see `clone`.
#![allow(unsafe_code)]

use std::{ffi::CString, io};

use nix::{
    errno::Errno,
    libc::{self, c_int, sock_filter},
};

use crate::{
    confine::{
        capabilities,
        hiding::{self, Hidden},
        loopback,
        mount_calls::mount,
        places::Places,
        settings::settings,
        users,
    },
    policy::programs::Confinement,
};

/// Namespaces besides those of processes and network.
pub(crate) const SPACES: c_int = libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

/// Confinements that this machine can provide, and what they need.
#[derive(Clone)]
pub(crate) struct Confinements {
    pub list: Vec<Confinement>,
    /// The filter of system calls.
    pub filter: Vec<sock_filter>,
    /// Mounts with the kernel's settings, which programs may only read.
    pub settings: Vec<CString>,
    /// What is hidden from programs.
    pub hidden: Hidden,
}

impl Confinements {
    /// The same with the mounts, and what is to be hidden, that there are now.
    pub(crate) fn with_present_mounts(&self, places: &Places) -> io::Result<Self> {
        Ok(Self {
            settings: settings()?,
            hidden: places.hidden()?,
            ..self.clone()
        })
    }

    pub(crate) fn wants(&self, confinement: Confinement) -> bool {
        self.list.contains(&confinement)
    }
}

/// Takes on the confinements that are namespaces, except the PID namespace.
pub(crate) fn own_spaces(confinements: &Confinements) -> io::Result<()> {
    for confinement in [Confinement::Namespaces, Confinement::Network] {
        if confinements.wants(confinement) {
            take(confinement, confinements)?;
        }
    }
    // The machine's, which is seen where programs have no processes of their own.
    match confinements.wants(Confinement::Namespaces) {
        true => hiding::hide_in_proc(),
        false => Ok(()),
    }
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

/// Takes on one confinement, for good.
pub(crate) fn take(confinement: Confinement, confinements: &Confinements) -> io::Result<()> {
    match confinement {
        Confinement::Capabilities => capabilities::drop_all(),
        Confinement::Namespaces => namespaces(confinements),
        Confinement::Network => {
            // SAFETY: integers only.
            Errno::result(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
            loopback::up()
        }
        Confinement::Users => become_user(users::FIRST, users::FIRST),
        Confinement::Seccomp => seccomp(&confinements.filter),
        // They need more than a call.
        Confinement::Processes
        | Confinement::Landlock
        | Confinement::Scopes
        | Confinement::Limits => Ok(()),
    }
}

/// What the machine mounts later does not appear: it might be a file system with what is hidden
/// from programs. What the program would mount stays its own.
/// The kernel's settings and the control groups are files of root: a program of root could
/// change them without any capability.
fn namespaces(confinements: &Confinements) -> io::Result<()> {
    // SAFETY: integers only.
    Errno::result(unsafe { libc::unshare(SPACES) })?;
    mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE, None)?;
    let again = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
    let careful = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    for place in &confinements.settings {
        mount(None, place, None, again | careful, None)?;
    }
    hiding::hide(&confinements.hidden)
}

/// /proc with this set of processes only, and the kernel's settings in it read-only.
pub(crate) fn own_proc() -> io::Result<()> {
    let careful = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let flags = careful | libc::MS_RDONLY;
    mount(Some(c"proc"), c"/proc", Some(c"proc"), flags, None)?;
    hiding::hide_in_proc()
}

/// Lets only the calls of the filter through from now on.
pub(crate) fn seccomp(filter: &[sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| Errno::EINVAL)?,
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
