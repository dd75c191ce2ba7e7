//! The Tao host: starts and measures programs, and answers for them.
//!
//! A hosted program gets a name that says exactly what it is (this TPM, these PCRs, this
//! binary), and under that name randomness, sealed storage and attestations, over a pair
//! of pipes. Administrators start and stop programs over a socket that only root can open
//! unless the host is told otherwise.
//!
//! The rooms, each of which uses only those above it:
//!
//! * `policy`: what is asked for when programs are started, in types and in words.
//! * `authority`: the root that the host rests on, its name, its keys, its state.
//! * `measure`: from a path to the bytes that will run, their hashes, and the program's name.
//! * `confine`: what keeps a program apart: name spaces, Landlock, seccomp, control groups, users.
//! * `start`: from there to a running program, which is cloned and moves into a set of processes
//!   made ahead.
//! * `counters`: the programs' counters, in a table whose changes are [`tao::anchored`].
//! * `calls`: the calls of the Tao, without any input or output.
//! * `serve`: a few threads that wait for all descriptors at once, and programs' connections.
//! * `running`: who is running, what they write, how they end.
//! * `administer`: administrators' connections, what they may do by the guard, and doing it.

mod administer;
mod authority;
mod calls;
mod confine;
mod counters;
mod measure;
mod policy;
mod running;
mod serve;
mod start;

use std::{path::PathBuf, sync::Arc};

use tao::{
    guard::{GuardError, GuardSource},
    keys::{Hidden, Secret},
};

use administer::host_guard::HostGuard;
use confine::places::Places;
use counters::file::TableFile;
use counters::store::CounterStore;
use start::abilities::Abilities;

pub use administer::host_guard::HostGuardError;
pub use authority::identity::{Identity, IdentityError};
pub use authority::keys::{HostKeys, public_key};
pub use authority::root::{Anchor, Root, RootError, SoftRoot};
pub use authority::stacked::{StackedError, StackedRoot};
pub use authority::state_lock::StateLock;
pub use calls::caller::Caller;
pub use calls::service::TaoService;
pub use counters::file::CounterError;
pub use measure::measured::MeasureError;
pub use measure::program;
pub use measure::program_name::measured_name;
pub use policy::programs::{
    Environment, FileRules, Lacking, Libraries, Measure, ProgramPolicy, RunAs, Scripts,
};
pub use policy::words::{PolicyError, PolicyWords};

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
    let init = start::program_init::program()?;
    let lacking = Abilities::find(policy, &init, &Places::default()).lacking;
    if policy.lacking == Lacking::Refuse && !lacking.is_empty() {
        return Err(std::io::Error::other(start::abilities::lacks(&lacking)));
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
    let listener = administer::admin_socket::Listener::bind(&socket_dir, admin_group)?;
    let places = Places {
        state: state_dir.clone(),
        lock: lock.clone(),
        socket: listener.path().to_owned(),
        devices: programs.devices.clone(),
    };
    let spawner = start::spawn::Spawner::new(programs, places)
        .map_err(HostError::system("prepare to start programs"))?;
    let table = TableFile::new(state_dir, lock.clone());
    let host = Arc::new(serve::reactor::Host::new(serve::reactor::Parts {
        counters: Arc::new(CounterStore::new(Arc::clone(&identity), table)),
        identity,
        guard,
        spawner,
        socket_dir,
    })?);
    host.listen(listener)?;
    let ended = serve::reactor::run(&host);
    lock.release();
    ended
}
