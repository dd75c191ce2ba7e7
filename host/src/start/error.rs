//! Why this host does not start a program, whichever it is.

use std::io;

use tao::limits::LimitError;

use crate::{confine::users::UserError, policy::programs::Confinement};

/// Why none is started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The policy asks for more than can be had.
    #[error(
        "programs cannot be confined as the policy requires: this machine, or this user, cannot provide {}",
        names(.0)
    )]
    Lacking(Vec<Confinement>),
    /// Limits that nobody would enforce.
    #[error("limits were requested, but this host cannot set any (see tao host show)")]
    NoLimits,
    /// Limits beyond those of the policy.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// No user of its own.
    #[error(transparent)]
    User(#[from] UserError),
    /// No directory of its own.
    #[error("the program's own directory: {0}")]
    OwnDirectory(#[source] io::Error),
    /// Nowhere to keep anything.
    #[error("the host's state: {0}")]
    State(#[source] io::Error),
}

pub(super) fn names(confinements: &[Confinement]) -> String {
    let names: Vec<&str> = confinements
        .iter()
        .map(|confinement| confinement.name())
        .collect();
    names.join(", ")
}
