//! A guard by rules: Datalog over the statements of one policy.
//!
//! Rules are `[forall V: ...] [C1 and ... implies] G` with predicates only; each variable
//! occurs in the conditions. `Subprin(P, O, E)` is built in. Values are compared by
//! structure. A query is one predicate without variables.

mod explain;
mod facts;
mod rule;
mod rules;
mod solve;
mod subprin;
mod symbols;
mod table;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

use super::{
    decide::{Explanation, Guard},
    error::GuardError,
};
use crate::logic::{Pred, SubPrin, Term, ident};
pub use rules::DatalogGuard;

impl Guard for DatalogGuard {
    fn subprincipal(&self) -> SubPrin {
        let argument = match self.key() {
            Some(key) => key.clone().into(),
            None => {
                let hash = Sha256::digest(self.encoded());
                Term::Bytes(hash.to_vec().into())
            }
        };
        SubPrin::of(ident!("DatalogGuard"), vec![argument])
    }

    fn query(&self, query: &Pred) -> Result<bool, GuardError> {
        match Self::built_in(query) {
            Some(answer) => Ok(answer),
            None => Ok(self.solve(query)?.answered()),
        }
    }

    fn why(&self, query: &Pred) -> Result<Explanation, GuardError> {
        explain::why(self, query)
    }

    fn allows_something(&self) -> bool {
        !self.is_empty()
    }

    fn add_rule(&mut self, rule: &str) -> Result<(), GuardError> {
        self.add_form(rule.parse()?)
    }

    fn retract_rule(&mut self, rule: &str) -> Result<(), GuardError> {
        self.retract_form(&rule.parse()?)
    }

    fn clear(&mut self) -> Result<(), GuardError> {
        self.forget();
        Ok(())
    }

    fn rules(&self) -> Vec<String> {
        self.texts()
    }

    fn serialized(&self) -> Option<Vec<u8>> {
        Some(self.encoded())
    }
}
