//! Why a call of the Tao is refused: the text is what the program gets to read.
//!
//! Texts are those of the original where it has them: programs compare them.

use tao::{
    keys::{self, DeriveError, OpenError, RandomError},
    logic::LogicError,
};

use crate::{
    authority::error::IdentityError,
    calls::{caller::ExtendError, sealing::SealError},
    counters::error::{ChangeError, CounterError},
};

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// There is no such call. The sentence is that of [`tao::wire::rpc::unknown_method`].
    #[error("{0}")]
    Unknown(String),
    /// Not a request.
    #[error("taorpc: malformed request: not a message")]
    NoMessage,
    /// Not this request.
    #[error("taorpc: malformed request: {0}")]
    Request(#[from] prost::DecodeError),
    /// A policy that this call does not have.
    #[error("policy not supported for {call}: {policy}")]
    Policy {
        /// The call.
        call: &'static str,
        /// What was asked for.
        policy: String,
    },
    /// Nothing, or too much.
    #[error("invalid size")]
    Size,
    /// A part of the request is not what it should be.
    #[error("{part}: {source}")]
    Malformed {
        /// Which part.
        part: &'static str,
        /// What is wrong with it.
        source: LogicError,
    },
    /// An extension that only hosts write.
    #[error("extension: .{0} is written by a host only: it says what a program is")]
    HostWritten(&'static str),
    /// The name is not extended.
    #[error(transparent)]
    Extend(#[from] ExtendError),
    /// A statement in somebody else's name.
    #[error("invalid issuer in statement")]
    Issuer,
    /// A statement could not be signed.
    #[error(transparent)]
    Attest(#[from] IdentityError),
    /// No secret.
    #[error(transparent)]
    Derive(#[from] DeriveError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The sealed bytes do not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// They cannot be sealed, or are not for this program.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The key did not seal them.
    #[error(transparent)]
    Key(#[from] keys::SealError),
    /// The counters cannot be read.
    #[error(transparent)]
    Counters(#[from] CounterError),
    /// A counter cannot be changed.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// There is none of that label.
    #[error("No such counter")]
    NoCounter,
    /// Sealed with a counter, opened without.
    #[error("sealed by RollbackProtectedSeal: RollbackProtectedUnseal opens it")]
    Protected,
    /// Sealed without a counter, opened with one.
    #[error("not sealed by RollbackProtectedSeal")]
    NotProtected,
    /// The counter stands elsewhere.
    #[error("RollbackProtectedUnseal bad counter")]
    RolledBack,
}
