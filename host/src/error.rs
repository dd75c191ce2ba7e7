//! Why a host could not start or go on.

use std::path::PathBuf;

use crate::authority::error::IdentityError;
use tao::guard::GuardError;

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
    /// Another host has the state directory.
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
    /// A system call that the host cannot do without.
    #[error("the Tao host cannot go on: {step}: {source}")]
    System {
        /// What was attempted.
        step: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl HostError {
    /// What the system said to an attempt.
    pub(crate) fn system<E: Into<std::io::Error>>(step: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System {
            step,
            source: source.into(),
        }
    }
}
