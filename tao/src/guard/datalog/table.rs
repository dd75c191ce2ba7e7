//! What is kept while a query is answered: goals, their answers, and rules half-way.

use std::collections::HashSet;

use super::{
    facts::{Pattern, PredKey},
    rule::{Arg, Literal},
    symbols::Id,
};
use crate::logic::Ident;

/// How an answer came about.
#[derive(Clone, Debug, Default)]
pub(super) struct Derivation {
    /// Place of the rule in the guard's list; `None` for a fact.
    pub rule: Option<usize>,
    /// The conditions' answers: goal and place; `None` for the built-in predicate.
    pub support: Vec<(usize, usize)>,
    /// What the built-in predicate was found to say.
    pub built_in: Vec<[Id; 3]>,
}

/// An answer to a goal.
pub(super) struct Answer {
    pub tuple: Vec<Id>,
    pub derivation: Derivation,
}

/// A question that came up, and its answers so far.
pub(super) struct Goal {
    pub name: Ident,
    pub pattern: Pattern,
    pub answers: Vec<Answer>,
    pub known: HashSet<Vec<Id>>,
    pub waiting: Vec<(Frame, usize)>,
}

/// A rule half-way.
#[derive(Clone)]
pub(super) struct Frame {
    pub goal: usize,
    /// Predicate, and place among the rules for it.
    pub rule: (PredKey, usize),
    /// Conditions that hold already, a bit for each.
    pub done: u64,
    pub bound: Vec<Option<Id>>,
    pub derivation: Derivation,
}

/// The rule that came nearest to answering the question.
#[derive(Clone)]
pub(super) struct Nearest {
    /// Place of the rule in the guard's list.
    pub rule: usize,
    /// How many of its conditions held.
    pub held: u32,
    /// The condition that did not, as far as it is known.
    pub missing: (Ident, Pattern),
}

/// What is known of a condition's arguments.
pub(super) fn instance(literal: &Literal<Id>, bound: &[Option<Id>]) -> Pattern {
    let value = |arg: &Arg<Id>| match arg {
        Arg::Value(id) => Some(*id),
        Arg::Var(number) => bound.get(*number).copied().flatten(),
    };
    literal.args.iter().map(value).collect()
}

/// Makes an argument equal to a value, if it can be.
pub(super) fn unify(arg: &Arg<Id>, value: Id, bound: &mut [Option<Id>]) -> bool {
    match arg {
        Arg::Value(id) => *id == value,
        Arg::Var(number) => match bound.get_mut(*number) {
            Some(slot) => *slot.get_or_insert(value) == value,
            None => false,
        },
    }
}
