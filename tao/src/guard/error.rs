//! Why a guard did not do what was asked.

use crate::{keys::KeyError, logic::LogicError, wire::proto2::ProtoError};

/// Why a guard did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// A rule or a query that is not one.
    #[error("{0}")]
    Syntax(#[from] LogicError),
    /// A statement that is not a rule of this guard.
    #[error("not a rule this guard understands: {0}")]
    Rule(String),
    /// A statement that is not a query.
    #[error("not a query this guard understands: {0}")]
    Query(String),
    /// The guard cannot be changed in this way.
    #[error("{0}")]
    Fixed(&'static str),
    /// Retracted, but not there.
    #[error("no such rule: {0}")]
    NoSuchRule(String),
    /// A query that would take too long.
    #[error("the query was given up after {0} steps; the rules derive too much")]
    TooMuch(u32),
    /// More values than can be numbered.
    #[error("the rules and those before them name more than 2^32 different values")]
    TooManyValues,
    /// More rules than are accepted.
    #[error("more than {0} rules")]
    TooMany(usize),
    /// A rules file that is not one.
    #[error("the rules file is malformed: {0}")]
    File(#[from] ProtoError),
    /// A rules file that somebody else signed, or that was changed.
    #[error("the rules file is not signed by the policy key: {0}")]
    Signature(#[from] KeyError),
}
