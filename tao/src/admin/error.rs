//! Why an administration call failed.

use std::{io, path::PathBuf};

use crate::{
    logic::LogicError,
    wire::{FrameError, proto2::ProtoError},
};

/// Why an administration call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// Nobody listens.
    #[error("no Tao host answers at {path}{hint}", path = path.display(), hint = hint(source))]
    NoHost {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to the Tao host failed: {0}")]
    Connection(#[from] io::Error),
    /// The request is too long.
    #[error("the request cannot be sent: {0}")]
    Request(#[source] FrameError),
    /// The host sent something else than frames.
    #[error("the Tao host's answer is malformed: {0}")]
    Frame(#[from] FrameError),
    /// The host sent something else than an answer.
    #[error("the Tao host's answer is malformed: {0}")]
    Answer(#[from] ProtoError),
    /// The host sent a name that is none.
    #[error("the Tao host's answer is malformed: {0}")]
    Name(#[from] LogicError),
    /// An answer without what was asked for.
    #[error("the Tao host's answer is malformed: {0}")]
    Incomplete(&'static str),
    /// The host refused, in its own words.
    #[error("{0}")]
    Refused(String),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            " (it starts with the machine when taoboot boots it; for development: `tao host start --soft --background`)"
        }
        io::ErrorKind::PermissionDenied => " (only root may administer it)",
        _ => "",
    }
}
