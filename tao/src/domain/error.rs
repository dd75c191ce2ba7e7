//! Why a domain cannot be read or changed.

use std::{io, path::PathBuf};

use super::text::TextError;
use crate::{
    guard::GuardError,
    keys::{KeyError, KeysetError, PasswordError},
};

/// Why a domain cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// A file of the domain.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration is malformed.
    #[error("{path}: {source}", path = path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: TextError,
    },
    /// The configuration names something that cannot be used.
    #[error("{path}: {reason}", path = path.display())]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is a domain already.
    #[error("{path}: there is a domain already; nothing was changed", path = .0.display())]
    Exists(PathBuf),
    /// The policy key.
    #[error("the policy key: {0}")]
    Key(#[from] KeyError),
    /// The policy key's file.
    #[error("the policy key: {0}")]
    Keyset(#[from] KeysetError),
    /// The policy key's password.
    #[error("the policy key: {0}")]
    Password(#[from] PasswordError),
    /// The rules.
    #[error("the domain's rules: {0}")]
    Guard(#[from] GuardError),
}
