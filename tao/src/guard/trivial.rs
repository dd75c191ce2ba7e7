//! Guards without rules: everything is allowed, or nothing.

use super::{
    decide::{Explanation, Guard, Step},
    error::GuardError,
};
use crate::logic::{Pred, SubPrin, Term, ident};

/// Everything is allowed, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrivialGuard {
    /// Everything is allowed.
    Liberal,
    /// Nothing is allowed.
    Conservative,
}

impl TrivialGuard {
    const fn name(self) -> &'static str {
        match self {
            Self::Liberal => "Liberal",
            Self::Conservative => "Conservative",
        }
    }

    /// The guard as one rule.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Liberal => "Allow All",
            Self::Conservative => "Deny All",
        }
    }
}

impl Guard for TrivialGuard {
    fn subprincipal(&self) -> SubPrin {
        let argument = Term::Str(self.name().into());
        SubPrin::of(ident!("TrivialGuard"), vec![argument])
    }

    fn query(&self, _query: &Pred) -> Result<bool, GuardError> {
        Ok(*self == Self::Liberal)
    }

    fn why(&self, query: &Pred) -> Result<Explanation, GuardError> {
        let step = Step {
            depth: 0,
            statement: query.to_string(),
            reason: self.rule().to_owned(),
        };
        Ok(Explanation {
            allowed: *self == Self::Liberal,
            steps: vec![step],
        })
    }

    /// What is allowed already can be allowed again.
    fn allows_something(&self) -> bool {
        *self == Self::Liberal
    }

    fn add_rule(&mut self, _rule: &str) -> Result<(), GuardError> {
        match self {
            Self::Liberal => Ok(()),
            Self::Conservative => Err(GuardError::Fixed(
                "this guard denies everything; nothing can be allowed",
            )),
        }
    }

    /// What is denied already can be denied again.
    fn retract_rule(&mut self, _rule: &str) -> Result<(), GuardError> {
        match self {
            Self::Conservative => Ok(()),
            Self::Liberal => Err(GuardError::Fixed(
                "this guard allows everything; nothing can be denied",
            )),
        }
    }

    fn clear(&mut self) -> Result<(), GuardError> {
        self.retract_rule("")
    }

    fn rules(&self) -> Vec<String> {
        vec![self.rule().to_owned()]
    }

    fn serialized(&self) -> Option<Vec<u8>> {
        None
    }
}
