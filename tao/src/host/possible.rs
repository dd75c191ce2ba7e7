//! What this machine, for this user, can do to keep programs apart: tried in processes of
//! their own, which do nothing else.
#![allow(unsafe_code)]

use nix::{
    errno::Errno,
    libc::{self, c_int},
    sys::prctl,
};

use super::{
    isolation::Measure,
    landlock::{self, Domain},
    spawn_child::{Measures, own_proc, take},
};

/// Can the measure be taken? `groups` says whether limits can be set; `taken` is what has
/// been found possible before.
pub(super) fn possible(
    measure: Measure,
    measures: &Measures,
    groups: bool,
    taken: &[Measure],
) -> bool {
    match measure {
        // The new /proc must not appear anywhere else.
        Measure::Processes => {
            taken.contains(&Measure::Namespaces) && tried(|| own_processes(measures))
        }
        Measure::Landlock => Domain::new(landlock::has_scopes(), None, &[])
            .is_ok_and(|domain| tried(|| domain.enter().is_ok())),
        Measure::Scopes => taken.contains(&Measure::Landlock) && landlock::has_scopes(),
        Measure::Limits => groups,
        _ => tried(|| take(measure, measures).is_ok()),
    }
}

fn own_processes(measures: &Measures) -> bool {
    if take(Measure::Namespaces, measures).is_err() {
        return false;
    }
    // SAFETY: integers only.
    if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
        return false;
    }
    // The first process of the new set.
    tried(|| own_proc().is_ok())
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
