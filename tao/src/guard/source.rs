//! Where a guard's rules come from.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    acl::AclGuard, datalog::DatalogGuard, decide::Guard, error::GuardError, trivial::TrivialGuard,
};
use crate::{
    keys::Verifier,
    logic::{SubPrin, Term, ident},
};

/// Rules that a policy key has signed.
#[derive(Clone, Debug)]
pub enum RulesFile {
    /// In this file, as it is whenever they are asked.
    At(PathBuf),
    /// These bytes.
    Fixed(Arc<[u8]>),
}

impl From<PathBuf> for RulesFile {
    fn from(path: PathBuf) -> Self {
        Self::At(path)
    }
}

/// Where the rules come from.
#[derive(Clone, Debug)]
pub enum GuardSource {
    /// Whatever an administrator wants to start.
    Liberal,
    /// Nothing.
    Conservative,
    /// Datalog rules that this machine's administrators add and retract, kept in a file.
    /// The host's name says so: `.LocalGuard("Datalog")`.
    Local(PathBuf),
    /// Datalog rules that a policy key has signed. The name has the key.
    SignedDatalog(RulesFile, Verifier),
    /// A list that a policy key has signed. The name has the key.
    SignedAcl(RulesFile, Verifier),
}

impl GuardSource {
    /// The file with the rules, where they are in one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Liberal | Self::Conservative => None,
            Self::Local(path) => Some(path),
            Self::SignedDatalog(rules, _) | Self::SignedAcl(rules, _) => match rules {
                RulesFile::At(path) => Some(path),
                RulesFile::Fixed(_) => None,
            },
        }
    }

    /// The guard to begin with: with the rules that are here already, before any file has
    /// been read.
    ///
    /// # Errors
    /// The rules that are here already are malformed, or signed by another key.
    pub fn first(&self) -> Result<Box<dyn Guard>, GuardError> {
        match self {
            Self::SignedDatalog(RulesFile::Fixed(rules), _)
            | Self::SignedAcl(RulesFile::Fixed(rules), _) => self.parse(rules),
            _ => self.empty(),
        }
    }

    /// Are rules that are here already signed by the policy key?
    ///
    /// # Errors
    /// They are malformed, or signed by another key.
    pub fn check(&self) -> Result<(), GuardError> {
        self.first().map(drop)
    }

    /// The guard before any file has been read.
    ///
    /// # Errors
    /// The policy key has no name.
    pub fn empty(&self) -> Result<Box<dyn Guard>, GuardError> {
        Ok(match self {
            Self::Liberal => Box::new(TrivialGuard::Liberal),
            Self::Conservative => Box::new(TrivialGuard::Conservative),
            Self::Local(_) => Box::new(DatalogGuard::new()),
            Self::SignedDatalog(_, key) => Box::new(DatalogGuard::with_key(key.name()?)),
            Self::SignedAcl(_, key) => Box::new(AclGuard::with_key(key.name()?)),
        })
    }

    /// The guard with the rules of a file.
    ///
    /// # Errors
    /// The rules are malformed, or signed by another key.
    pub fn parse(&self, file: &[u8]) -> Result<Box<dyn Guard>, GuardError> {
        Ok(match self {
            Self::Liberal | Self::Conservative => self.empty()?,
            Self::Local(_) => Box::new(DatalogGuard::from_serialized(file)?),
            Self::SignedDatalog(_, key) => Box::new(DatalogGuard::from_signed(file, key)?),
            Self::SignedAcl(_, key) => Box::new(AclGuard::from_signed(file, key)?),
        })
    }

    /// The guard's part of the host's name.
    ///
    /// # Errors
    /// The policy key has no name.
    pub fn subprincipal(&self) -> Result<SubPrin, GuardError> {
        match self {
            Self::Local(_) => {
                let argument = Term::Str("Datalog".into());
                Ok(SubPrin::of(ident!("LocalGuard"), vec![argument]))
            }
            other => Ok(other.empty()?.subprincipal()),
        }
    }
}
