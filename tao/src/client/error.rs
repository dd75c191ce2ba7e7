//! Why a call to the host failed.

use crate::logic::LogicError;

/// Why a call to the host failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// This process was not started by a Tao host.
    #[error(
        "this program was not started by a Tao host ({variable} is not set); start it with `tao run`"
    )]
    NoParent {
        /// The variable that is missing.
        variable: &'static str,
    },
    /// The environment's description of the channel cannot be used.
    #[error("the channel to the host is described as {found:?}; expected {expected}")]
    Spec {
        /// What can be used.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// The channel could not be opened, or broke.
    #[error("the channel to the host failed: {0}")]
    Channel(String),
    /// The host refused the call, in its own words.
    #[error("{0}")]
    Refused(String),
    /// The host's answer does not fit the call.
    #[error("taorpc: malformed response: {0}")]
    Response(String),
    /// An argument that no host can take.
    #[error("{0}")]
    Argument(String),
}

impl From<LogicError> for CallError {
    fn from(error: LogicError) -> Self {
        Self::Response(error.to_string())
    }
}
