//! What this machine can do of what the policy asks for.

use std::{ffi::CString, io, os::fd::OwnedFd, path::Path, sync::Arc};

use crate::{
    confine::{
        cgroup::Groups, confinements::Confinements, hiding::Hidden, places::Places, seccomp,
        settings::settings,
    },
    policy::programs::{Confinement, ProgramPolicy},
    start::{error::names, possible::possible},
};

/// Who may use this device may use sockets of its family.
const VSOCK: &str = "/dev/vsock";

/// What this machine can do. Found out when it is first asked for: a host that starts before
/// the machine's init has mounted anything must not settle for less.
pub(crate) struct Abilities {
    /// The confinements of the policy that this machine can provide, and what they need.
    pub confinements: Confinements,
    /// Those that cannot be taken.
    pub lacking: Vec<Confinement>,
    pub groups: Option<Arc<Groups>>,
}

impl Abilities {
    /// `init` is the first process of a set: see `program_init`.
    pub(crate) fn find(policy: &ProgramPolicy, init: &OwnedFd, places: &Places) -> Self {
        Self::with_settings(settings(), policy, init, places)
    }

    /// Without knowing the mounts with the kernel's settings no program can be kept from changing
    /// them: then it has no mounts of its own.
    fn with_settings(
        settings: io::Result<Vec<CString>>,
        policy: &ProgramPolicy,
        init: &OwnedFd,
        places: &Places,
    ) -> Self {
        let (settings, known) = match settings {
            Ok(settings) => (settings, true),
            Err(error) => {
                log::error!("the mounts of this machine are not known: {error}");
                (Vec::new(), false)
            }
        };
        let groups = match policy.wants(Confinement::Limits) {
            false => None,
            true => Groups::find()
                .inspect_err(|error| log::debug!("no control groups: {error}"))
                .ok()
                .map(Arc::new),
        };
        let limits = groups.as_ref().is_some_and(|groups| groups.controllers);
        let mut confinements = Confinements {
            list: Vec::new(),
            filter: seccomp::filter(policy.devices.iter().any(|path| path == Path::new(VSOCK))),
            settings,
            // What can be hidden is found for each program.
            hidden: Hidden::default(),
        };
        let mut lacking = Vec::new();
        for confinement in policy.confinements.iter().copied() {
            let blind = confinement == Confinement::Namespaces && !known;
            if !blind && possible(confinement, &confinements, limits, init, places) {
                confinements.list.push(confinement);
            } else {
                lacking.push(confinement);
            }
        }
        if !lacking.is_empty() {
            log::warn!(
                "this machine, or this user, cannot confine programs completely: it lacks {}",
                names(&lacking)
            );
            if lacking.contains(&Confinement::Processes) {
                log::warn!(
                    "a process that has no_new_privs is treated as part of a hosted program and \
                     cannot administer the host"
                );
            }
        }
        Self {
            confinements,
            lacking,
            groups,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::start::program_init;

    #[test]
    fn where_the_mounts_are_not_known_programs_have_none_of_their_own_and_the_host_says_so() {
        let policy = ProgramPolicy::default();
        let init = program_init::program().unwrap();
        let find = |settings| {
            Abilities::with_settings(settings, &policy, &init, &Places::default()).lacking
        };
        let unknown = find(Err(io::ErrorKind::InvalidData.into()));
        // A set of processes needs mounts of its own.
        for confinement in [Confinement::Namespaces, Confinement::Processes] {
            assert!(unknown.contains(&confinement), "{unknown:?}");
        }
        let known = find(settings());
        assert!(known.len() < unknown.len() || known == unknown, "{known:?}");
    }
}
