//! What this machine, for this user, can do to keep programs apart: tried in processes of
//! their own, which do nothing else.
#![allow(unsafe_code)]

use std::{io, os::fd::OwnedFd};

use nix::{
    errno::Errno,
    libc::{self, c_int},
    sys::prctl,
    unistd::geteuid,
};

use crate::{
    confine::{
        confinements::{Confinements, take},
        landlock::{self, Domain},
        places::Places,
    },
    policy::programs::Confinement,
    start::{clone, process_set::ProcessSet},
};
use tao::process;

/// Can programs be confined in this way? `confinements` holds those that were found possible before;
/// `groups` says whether limits can be set; `init` is the first process of a set.
pub(crate) fn possible(
    confinement: Confinement,
    confinements: &Confinements,
    groups: bool,
    init: &OwnedFd,
    places: &Places,
) -> bool {
    let taken = &confinements.list;
    match confinement {
        // The new /proc must not appear anywhere else.
        Confinement::Processes => {
            taken.contains(&Confinement::Namespaces) && own_processes(confinements, init, places)
        }
        Confinement::Landlock => Domain::new(landlock::has_scopes(), None, None, &[])
            .is_ok_and(|domain| tried(|| domain.enter().is_ok())),
        Confinement::Scopes => taken.contains(&Confinement::Landlock) && landlock::has_scopes(),
        Confinement::Limits => groups,
        // Who becomes who they are already has become nobody else.
        Confinement::Users => {
            geteuid().is_root() && tried(|| take(confinement, confinements).is_ok())
        }
        _ => tried(|| take(confinement, confinements).is_ok()),
    }
}

/// A set is made, and a process that does nothing is in it for a moment.
fn own_processes(confinements: &Confinements, init: &OwnedFd, places: &Places) -> bool {
    let tried = || -> io::Result<bool> {
        let set = ProcessSet::new(confinements, places, init, false)?;
        let pid = set.inside(|| {
            clone::start(0, None, &|_| {
                let done = set.enter().is_ok();
                // SAFETY: ends the child at once; nothing of the host's runs in it.
                unsafe { libc::_exit(c_int::from(!done)) }
            })
        })?;
        Ok(process::wait(pid)? == 0)
    };
    tried().unwrap_or_else(|error| {
        log::debug!("no sets of processes: {error}");
        false
    })
}

/// What a process of its own says. `attempt` makes system calls only.
fn tried(attempt: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child makes system calls only and ends by one.
    match unsafe { libc::fork() } {
        -1 => false,
        0 => {
            let done = prctl::set_no_new_privs().is_ok() && attempt();
            // SAFETY: ends the child at once; nothing of the host's runs in it.
            unsafe { libc::_exit(c_int::from(!done)) }
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
