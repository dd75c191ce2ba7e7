//! The Tao host: starts and measures programs, and answers for them.
//!
//! A hosted program gets a name that says exactly what it is (this TPM, these PCRs, this
//! binary), and under that name randomness, sealed storage and attestations, over a pair
//! of pipes. Administrators start and stop programs over a socket that only root can open
//! unless the host is told otherwise.
//!
//! * [`root`]: what the host rests on. [`identity`]: its name and keys.
//! * [`host_guard`]: who decides what may be started. [`keys`]: what it signs and seals with.
//! * [`service`], [`calls`]: the calls of the Tao, without any input or output; [`sealing`],
//!   [`counters`] (a [`counter_table`] in a [`counter_file`], whose changes are [`tao::anchored`]).
//! * [`measured`] ([`copying`]), [`measured_lately`], [`composition`], [`program_name`]: what will
//!   run, and what it is called.
//! * [`spawn`], [`isolation`]: from there to a running program, which is made by [`clone`] and
//!   moves into a [`process_set`] made ahead ([`spare`]) from which the machine's [`places`] are
//!   hidden ([`hiding`]), as one of the host's [`users`] with an [`own_folder`], with its [`tao::limits`], [`cgroup`],
//!   [`landlock`] domain, [`store`] of libraries and [`hosted_process`].
//! * [`reactor`]: a few threads that wait for all descriptors at once.
//! * [`session`] (over pipes or a [`program_socket`]), [`admin`]: the two kinds of connections; [`administrator`]: whose one is. [`operations`]: what administrators
//!   can have done. [`programs`]: who is running, [`output`]: what they write.

mod abilities;
mod admin;
mod admin_socket;
mod administrator;
mod allowed_calls;
mod caller;
mod calls;
mod capabilities;
mod cgroup;
mod cgroup_mount;
mod clone;
mod composition;
mod connection;
mod copying;
mod counter_calls;
mod counter_file;
mod counter_table;
#[cfg(test)]
mod counter_table_tests;
mod counters;
mod credentials;
mod ending;
mod environment;
mod execution;
mod guard_calls;
mod hiding;
mod host_guard;
mod hosted_process;
mod identity;
mod isolation;
mod keys;
mod landlock;
mod launch;
mod loopback;
mod measured;
mod measured_lately;
mod measuring;
mod mount_calls;
mod mounts;
mod numbers;
mod opening;
mod operations;
mod output;
mod own_folder;
mod places;
mod policy_words;
mod possible;
mod priority;
mod process_set;
pub mod program;
mod program_init;
mod program_name;
mod program_socket;
mod programs;
mod reactor;
mod root;
mod sealed_memory;
mod sealing;
mod seccomp;
mod service;
mod session;
mod spare;
mod spawn;
mod spawn_child;
mod stacked;
mod state_lock;
mod store;
mod users;

use std::{path::PathBuf, sync::Arc};

use tao::{
    guard::{GuardError, GuardSource},
    keys::{Hidden, Secret},
};

use abilities::Abilities;
use counter_file::TableFile;
use counters::CounterStore;
use host_guard::HostGuard;
use places::Places;

pub use caller::Caller;
pub use counter_file::CounterError;
pub use host_guard::HostGuardError;
pub use identity::{Identity, IdentityError};
pub use isolation::{
    Environment, FileRules, Lacking, Libraries, Measure, ProgramPolicy, RunAs, Scripts,
};
pub use keys::{HostKeys, public_key};
pub use measured::MeasureError;
pub use policy_words::{PolicyError, PolicyWords};
pub use program_name::measured_name;
pub use root::{Anchor, Root, RootError, SoftRoot};
pub use service::TaoService;
pub use stacked::{StackedError, StackedRoot};
pub use state_lock::StateLock;

/// What a host needs.
pub struct HostConfig {
    /// Root of its authority.
    pub root: Box<dyn Root>,
    /// Its keys are derived from this, and from the guard's name: 32 secret bytes, the same
    /// at each boot.
    pub host_secret: Hidden<Secret>,
    /// Where the socket `admin.sock` is made: normally /run/tao.
    pub socket_dir: PathBuf,
    /// Group that may use the socket as well, if the guard lets it: none normally.
    pub admin_group: Option<u32>,
    /// Where the programs' counters are kept; without, they end with the host. The folder
    /// need not exist before the first counter does.
    pub state_dir: Option<PathBuf>,
    /// What may be started.
    pub guard: GuardSource,
    /// How it is started.
    pub programs: ProgramPolicy,
}

/// Why the host could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// No name or no keys.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No guard.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// Another host has the state folder.
    #[error(transparent)]
    State(std::io::Error),
    /// The administrators' socket.
    #[error("the Tao host's socket {path}: {source}", path = path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A system call that the host can't do without.
    #[error("the Tao host cannot go on: {step}: {source}")]
    System {
        /// What was attempted.
        step: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl HostError {
    fn system<E: Into<std::io::Error>>(step: &'static str) -> impl FnOnce(E) -> HostError {
        move |source| HostError::System {
            step,
            source: source.into(),
        }
    }
}

/// The measures of the policy that this machine, for this user, can't take; the log says them too.
/// A host finds out by itself when it starts the first program, so that one which starts before
/// the machine's init does not settle for less. An error if the policy lets nothing be started
/// without them.
pub fn lacking(policy: &ProgramPolicy) -> std::io::Result<Vec<Measure>> {
    let init = program_init::program()?;
    let lacking = Abilities::find(policy, &init, &Places::default()).lacking;
    if policy.lacking == Lacking::Refuse && !lacking.is_empty() {
        return Err(std::io::Error::other(abilities::lacks(&lacking)));
    }
    Ok(lacking)
}

/// Runs the host in this process until an administrator shuts it down. The calling thread
/// becomes one of those that do the work.
pub fn serve(config: HostConfig) -> Result<(), HostError> {
    let HostConfig {
        root,
        host_secret,
        socket_dir,
        admin_group,
        state_dir,
        guard,
        programs,
    } = config;
    // Its memory holds the keys: no process of the same user may look into it.
    nix::sys::prctl::set_dumpable(false).map_err(HostError::system("become undumpable"))?;
    let lock = StateLock::new(state_dir.as_deref());
    lock.take().map_err(HostError::State)?;
    let guard = HostGuard::new(guard)?;
    let keys = Hidden::new(|| HostKeys::derive(&host_secret, guard.subprincipal()))?;
    drop(host_secret);
    let identity = Arc::new(Identity::new(root, keys, guard.subprincipal())?);
    log::info!("Tao host: {}", identity.name());
    if !identity.keys.is_secret() {
        log::info!(
            "the Tao host's keys are in usual memory: this kernel has no memfd_secret, or it is off (secretmem.enable=1)"
        );
    }
    if identity.with_anchor(|anchor| anchor.is_none()) {
        log::warn!("the Tao host's counters have no anchor: a restored disk is not noticed");
    }
    let listener = admin_socket::Listener::bind(&socket_dir, admin_group)?;
    let places = Places {
        state: state_dir.clone(),
        lock: lock.clone(),
        socket: listener.path().to_owned(),
        devices: programs.devices.clone(),
    };
    let spawner = spawn::Spawner::new(programs, places)
        .map_err(HostError::system("prepare to start programs"))?;
    let table = TableFile::new(state_dir, lock.clone());
    let host = Arc::new(reactor::Host::new(reactor::Parts {
        counters: Arc::new(CounterStore::new(Arc::clone(&identity), table)),
        identity,
        guard,
        spawner,
        socket_dir,
    })?);
    host.listen(listener)?;
    let ended = reactor::run(&host);
    lock.release();
    ended
}
