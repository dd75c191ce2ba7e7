//! A program's own set of processes (a PID namespace) with its first process, and the mounts,
//! host name and System V IPC that go with it: what a program moves into when it starts.
//!
//! It is made before the program is known, and has nothing of it: see `spare`.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use nix::{
    errno::Errno,
    libc::{self, c_int},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{prctl, signal::Signal},
    unistd::{geteuid, setsid},
};

use crate::{
    confine::{
        capabilities,
        confinements::{self, Confinements, become_user, own_proc},
        places::Places,
    },
    policy::programs::Confinement,
    start::{
        child_process::ChildProcess,
        clone,
        new_process::{close_range, not_spared},
    },
};
use tao::process::{self, PidFd};

/// Whose the first process is: nobody's. It is not a program's, and needs nothing.
const NOBODY: libc::uid_t = 65_534;

/// The set. Ended when it is dropped.
pub(crate) struct ProcessSet {
    /// `None` when it has been given away.
    init: Option<ChildProcess>,
    /// The namespaces that the program moves into.
    spaces: c_int,
    /// Tells of changes of the machine's mounts since before this was made.
    mounts: File,
}

impl ProcessSet {
    /// Makes one. `program` is what its first process executes: see `program_init`.
    pub(crate) fn new(
        confinements: &Confinements,
        places: &Places,
        program: &OwnedFd,
        spared: bool,
    ) -> io::Result<Self> {
        // First: what changes later is noticed.
        let mounts = File::open("/proc/self/mountinfo")?;
        let confinements = confinements.with_present_mounts(places)?;
        let mut spaces = 0;
        if confinements.list.contains(&Confinement::Namespaces) {
            spaces |= confinements::SPACES;
        }
        if confinements.list.contains(&Confinement::Network) {
            spaces |= libc::CLONE_NEWNET;
        }
        let host = this_process()?;
        capabilities::nothing_to_give()?;
        let init = || match become_init(&confinements, program, &host, spared) {
            Ok(never) => match never {},
            Err(error) => error,
        };
        let pid = clone::start(libc::CLONE_NEWPID, None, &|_| init())?;
        Ok(Self {
            init: Some(ChildProcess::open(pid)?),
            spaces,
            mounts,
        })
    }

    /// Can it be used? Not if its first process has ended, and not if the machine's mounts are
    /// others than when it was made: new ones would appear in it too, but with the kernel's
    /// settings in them to be changed.
    pub(crate) fn is_good(&self) -> io::Result<bool> {
        // proc_pid_mounts(5): the file is ready for this when something was mounted or
        // unmounted after it was opened.
        let mut changed = [
            PollFd::new(self.mounts.as_fd(), PollFlags::POLLPRI),
            PollFd::new(self.pidfd()?.as_fd(), PollFlags::POLLIN),
        ];
        Ok(poll(&mut changed, PollTimeout::ZERO)? == 0)
    }

    /// Has its first process ended? Then there is nothing in it any more.
    pub(crate) fn has_ended(&self) -> io::Result<bool> {
        let mut ended = [PollFd::new(self.pidfd()?.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut ended, PollTimeout::ZERO)? != 0)
    }

    /// A descriptor that can be read when its first process has ended.
    pub(crate) fn told(&self) -> io::Result<OwnedFd> {
        self.pidfd()?.as_fd().try_clone_to_owned()
    }

    fn pidfd(&self) -> io::Result<&PidFd> {
        let init = self.init.as_ref().ok_or(io::ErrorKind::NotFound)?;
        Ok(&init.pidfd)
    }

    /// The process that `make` makes is in the set; its memory is not yet.
    pub(crate) fn inside(&self, make: impl FnOnce() -> io::Result<c_int>) -> io::Result<c_int> {
        let own = this_process()?;
        // The way back first: in a user namespace that does not own the host's set of
        // processes there is none, and this thread could make no others any more.
        enter(&own, libc::CLONE_NEWPID)?;
        // This decides about new processes of this thread only, and not about the thread.
        enter(self.pidfd()?, libc::CLONE_NEWPID)?;
        let made = make();
        if let Err(error) = enter(&own, libc::CLONE_NEWPID) {
            if let Ok(pid) = made {
                process::kill(pid, Signal::SIGKILL)?;
                process::wait(pid)?;
            }
            return Err(error);
        }
        made
    }

    /// In the new process: moves into the set's mounts and what goes with them. Only a system
    /// call.
    pub(crate) fn enter(&self) -> io::Result<()> {
        enter(self.pidfd()?, self.spaces)
    }

    /// Gives the first process away: whoever has it ends the set.
    pub(crate) fn into_init(mut self) -> Option<ChildProcess> {
        self.init.take()
    }
}

impl Drop for ProcessSet {
    fn drop(&mut self) {
        if let Some(init) = self.init.take() {
            let ended = init
                .pidfd
                .signal(Signal::SIGKILL)
                .and_then(|()| process::wait(init.pid));
            if let Err(error) = ended {
                log::error!("process {} of an unused set: {error}", init.pid);
            }
        }
    }
}

/// Descriptor 2 tells of SIGTERM, which is blocked: without a handler it would not even be
/// noted by the first process of a set.
fn terminations() -> io::Result<()> {
    let signal = 1_u64 << (libc::SIGTERM - 1);
    clone::set_signals(signal, std::ptr::null_mut())?;
    // SAFETY: reads one set of signals of that size.
    let told = unsafe {
        libc::syscall(
            libc::SYS_signalfd4,
            -1,
            &raw const signal,
            size_of::<u64>(),
            0,
        )
    };
    match Errno::result(told)? {
        2 => Ok(()),
        // All from 2 on were closed.
        _ => Err(io::ErrorKind::Other.into()),
    }
}

fn this_process() -> io::Result<PidFd> {
    let pid = i32::try_from(std::process::id()).map_err(io::Error::other)?;
    PidFd::open(pid)
}

/// setns(2) with a descriptor of a process: Linux 5.8.
fn enter(process: &PidFd, spaces: c_int) -> io::Result<()> {
    // SAFETY: integers only.
    Errno::result(unsafe { libc::setns(process.as_fd().as_raw_fd(), spaces) })?;
    Ok(())
}

/// The first process: nothing of the host stays with it but a descriptor that tells of the
/// host's end.
fn become_init(
    confinements: &Confinements,
    program: &OwnedFd,
    host: &PidFd,
    spared: bool,
) -> io::Result<std::convert::Infallible> {
    // First: nothing of the host's stays open longer than the host itself.
    // SAFETY: integers only. Neither descriptor has one of the low numbers (see `numbers`).
    unsafe {
        Errno::result(libc::dup2(host.as_fd().as_raw_fd(), 0))?;
        Errno::result(libc::dup3(program.as_raw_fd(), 1, libc::O_CLOEXEC))?;
    }
    close_range(2, 0)?;
    not_spared(spared)?;
    clone::default_signals()?;
    terminations()?;
    confinements::own_spaces(confinements)?;
    own_proc()?;
    setsid()?;
    prctl::set_no_new_privs()?;
    capabilities::inherit_nothing()?;
    if geteuid().is_root() {
        match become_user(NOBODY, NOBODY).map_err(|error| error.raw_os_error()) {
            // In a container in which there is no nobody it stays root, without any power.
            Ok(()) | Err(Some(libc::EINVAL | libc::EPERM)) => {}
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
    // SAFETY: constant strings, and lists of their addresses that end with zero.
    unsafe {
        // The kernel then waits for the orphans itself.
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        Errno::result(libc::chdir(c"/".as_ptr()))?;
        let arguments = [c"tao-program-init".as_ptr(), std::ptr::null()];
        let no_environment = [std::ptr::null::<libc::c_char>()];
        let executed = libc::syscall(
            libc::SYS_execveat,
            1,
            c"".as_ptr(),
            arguments.as_ptr(),
            no_environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
        Errno::result(executed)?;
    }
    Err(io::ErrorKind::Other.into())
}
