//! Why a program is not started.

use std::{io, path::PathBuf};

use nix::unistd::Uid;
use tao::logic::{LogicError, Prin};

use crate::{
    administer::{administrator::Forbidden, host_guard::Denied},
    measure::error::MeasureError,
    policy::environment::EnvironmentError,
    start::error::StartError,
};

/// Why a program is not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartRefused {
    /// A descriptor that is not there.
    #[error("{what}: descriptor {index} was not sent, or is used twice")]
    Descriptor {
        /// What it was to become.
        what: &'static str,
        /// Its place among those sent.
        index: i32,
    },
    /// This administrator starts nothing.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Nothing to start.
    #[error("no program is named")]
    NoPath,
    /// Relative to what?
    #[error("{dir}: the working directory must be an absolute path", dir = .0.display())]
    Relative(PathBuf),
    /// The host's policy, or its state.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The guard says no.
    #[error("Hosted program {program} denied authorization to execute on host {host}: {why}")]
    Denied {
        /// Its path, or its name where that is known.
        program: String,
        /// The host.
        host: Box<Prin>,
        /// Why.
        why: Denied,
    },
    /// Nothing can be opened as the caller.
    #[error("{path}: files cannot be opened as user {uid}: {source}")]
    Opener {
        /// The program.
        path: String,
        /// The caller.
        uid: Uid,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be measured.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// Its environment.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// It has no name.
    #[error(transparent)]
    Name(#[from] LogicError),
    /// The system refused.
    #[error("{path}: {source}")]
    System {
        /// The program.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A way to reach the host that there is not.
    #[error("channel {0:?}: expected pipe or unix")]
    Channel(String),
    /// It could not reach the host.
    #[error("{0}: it has no channel")]
    NoChannel(String),
    /// No more programs.
    #[error("the host is shutting down")]
    Closing,
    /// Its end would not be noticed.
    #[error("{path}: the host cannot watch it: {source}")]
    Watch {
        /// The program.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// It was started, was to be ended, and may still be there.
    #[error("{why}; process {pid} could not be ended: {source}")]
    Left {
        /// Why it was to be ended.
        why: Box<Self>,
        /// Its number.
        pid: i32,
        /// What the system said.
        source: io::Error,
    },
}
