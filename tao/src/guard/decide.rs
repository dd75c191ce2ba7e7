//! What all guards do: decide who may do what, and say why.

use super::error::GuardError;
use crate::logic::{Pred, Prin, SubPrin, Term, ident};

/// The operation a host asks its guard about before it starts a program.
pub const EXECUTE: &str = "Execute";

/// Why a guard answered as it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The answer.
    pub allowed: bool,
    /// One step a line: for a yes, each statement under the one it supports, with the rule
    /// that gives it; for a no, the nearest rule and what it misses.
    pub steps: Vec<Step>,
}

/// A line of an [`Explanation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How far below the question: 0 for the question itself.
    pub depth: usize,
    /// What holds, or what is missing.
    pub statement: String,
    /// Because of what: a rule's text, or a sentence.
    pub reason: String,
}

/// Decides who may do what.
pub trait Guard: Send + Sync {
    /// The guard's part of the name of a host that it guards: names the policy key, or the
    /// rules themselves by their hash.
    fn subprincipal(&self) -> SubPrin;

    /// Does `query` hold? Only `Authorized(...)` is meaningful to every guard.
    ///
    /// # Errors
    /// When the query is not one that this guard understands, or takes too long.
    fn query(&self, query: &Pred) -> Result<bool, GuardError>;

    /// The answer to [`Guard::query`] and how it comes about.
    ///
    /// # Errors
    /// Those of [`Guard::query`].
    fn why(&self, query: &Pred) -> Result<Explanation, GuardError>;

    /// Could any query be answered with yes? No only if that is known without a look at the
    /// rules.
    fn allows_something(&self) -> bool {
        true
    }

    /// Adds a rule, given as text.
    ///
    /// # Errors
    /// When the text is not a rule of this guard, or the guard cannot be changed.
    fn add_rule(&mut self, rule: &str) -> Result<(), GuardError>;

    /// Takes a rule away again; from then on nothing follows from it.
    ///
    /// # Errors
    /// When there is no such rule, or the guard cannot be changed.
    fn retract_rule(&mut self, rule: &str) -> Result<(), GuardError>;

    /// Takes all rules away.
    ///
    /// # Errors
    /// When the guard cannot be changed.
    fn clear(&mut self) -> Result<(), GuardError>;

    /// The rules' texts, in the order they came.
    fn rules(&self) -> Vec<String>;

    /// The rules in the serialized form that policy keys sign; `None` for a guard without.
    fn serialized(&self) -> Option<Vec<u8>>;

    /// May `principal` do `operation`? No, if the guard cannot tell.
    fn is_authorized(&self, principal: &Prin, operation: &str, args: &[Term]) -> bool {
        self.query(&authorized(principal, operation, args))
            .unwrap_or_else(|error| {
                log::warn!("{principal} {operation}: denied: {error}");
                false
            })
    }

    /// Lets `principal` do `operation`.
    ///
    /// # Errors
    /// Those of [`Guard::add_rule`].
    fn authorize(
        &mut self,
        principal: &Prin,
        operation: &str,
        args: &[Term],
    ) -> Result<(), GuardError> {
        self.add_rule(&authorized(principal, operation, args).to_string())
    }

    /// Takes back what [`Guard::authorize`] gave.
    ///
    /// # Errors
    /// Those of [`Guard::retract_rule`].
    fn retract(
        &mut self,
        principal: &Prin,
        operation: &str,
        args: &[Term],
    ) -> Result<(), GuardError> {
        self.retract_rule(&authorized(principal, operation, args).to_string())
    }
}

/// `Authorized(principal, "operation", args...)`.
pub fn authorized(principal: &Prin, operation: &str, args: &[Term]) -> Pred {
    let mut all = vec![principal.clone().into(), Term::Str(operation.into())];
    all.extend_from_slice(args);
    Pred {
        name: ident!("Authorized"),
        args: all,
    }
}
