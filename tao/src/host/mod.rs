//! The Tao host: starts and measures programs, and answers for them.
//!
//! A hosted program gets a name that says exactly what it is (this TPM, these PCRs, this
//! binary), and under that name randomness, sealed storage and attestations, over a pair
//! of pipes. Administrators start and stop programs over a socket that only root can open.
//!
//! * [`root`]: what the host rests on. [`identity`]: its name and keys.
//! * [`service`]: the calls of the Tao, without any input or output.
//! * [`measured`], [`spawn`]: from a file to a running program.
//! * [`reactor`]: a few threads that wait for all descriptors at once.
//! * [`session`], [`admin`]: the two kinds of connections. [`operations`]: what administrators
//!   can have done. [`programs`]: who is running.

mod admin;
mod admin_socket;
mod connection;
mod identity;
mod measured;
mod operations;
mod programs;
mod reactor;
mod root;
mod service;
mod session;
mod spawn;
mod spawn_child;

use std::{path::PathBuf, sync::Arc};

use crate::keys::Secret;

pub use identity::{Identity, IdentityError};
pub use measured::MeasureError;
pub use root::{Root, RootError, SoftRoot};
pub use service::TaoService;

/// Decides what programs may be started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guard {
    /// Whatever an administrator wants to start.
    #[default]
    Liberal,
}

/// What a host needs.
pub struct HostConfig {
    /// Root of its authority.
    pub root: Box<dyn Root>,
    /// Its keys are derived from this: 32 secret bytes, the same at each boot.
    pub host_secret: Secret,
    /// Where the socket `admin.sock` is made: normally /run/tao.
    pub socket_dir: PathBuf,
    /// What may be started.
    pub guard: Guard,
}

/// Why the host could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// No name or no keys.
    #[error(transparent)]
    Identity(#[from] IdentityError),
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

/// Runs the host in this process until an administrator shuts it down. The calling thread
/// becomes one of those that do the work.
pub fn serve(config: HostConfig) -> Result<(), HostError> {
    let HostConfig {
        root,
        host_secret,
        socket_dir,
        guard: Guard::Liberal,
    } = config;
    let identity = Arc::new(Identity::new(root, host_secret)?);
    log::info!("Tao host: {}", identity.name());
    let listener = admin_socket::Listener::bind(&socket_dir)?;
    let spawner = spawn::Spawner::new().map_err(HostError::system("prepare to start programs"))?;
    let host = Arc::new(reactor::Host::new(TaoService::new(identity), spawner)?);
    host.listen(listener)?;
    reactor::run(&host)
}
