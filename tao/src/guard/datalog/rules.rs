//! The rules of a guard, with what is needed to ask them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use prost::Message;

use super::{
    facts::{Facts, PredKey},
    rule::{self, Arg, Literal, Rule, SUBPRIN},
    solve::{Base, Solver},
    subprin,
    symbols::{Id, QuerySymbols, Symbols},
};
use crate::{
    guard::{error::GuardError, signed::DATALOG_CONTEXT},
    keys::Verifier,
    logic::{Form, Pred, Prin, Term},
    wire::{
        messages::{DatalogRules, SignedDatalogRules},
        proto2,
    },
};

/// Most rules and facts of a guard.
pub const MOST_RULES: usize = 1 << 20;

/// A guard by rules.
#[derive(Clone, Debug, Default)]
pub struct DatalogGuard {
    key: Option<Prin>,
    /// Rules and facts by the number they got when they came.
    entries: BTreeMap<usize, Arc<Form>>,
    numbers: HashMap<Arc<Form>, usize>,
    symbols: Symbols,
    facts: Facts,
    rules: HashMap<PredKey, Vec<(usize, Rule<Id>)>>,
}

impl DatalogGuard {
    /// A guard without rules, which nobody signs: it is named by its contents.
    pub fn new() -> Self {
        Self::default()
    }

    /// A guard without rules whose rules `key` signs.
    pub fn with_key(key: Prin) -> Self {
        Self {
            key: Some(key),
            ..Self::default()
        }
    }

    /// Reads a `SignedDatalogRules` file; the signature must be the policy key's.
    ///
    /// # Errors
    /// When the file is malformed, or not signed by this key.
    pub fn from_signed(file: &[u8], key: &Verifier) -> Result<Self, GuardError> {
        let signed: SignedDatalogRules = proto2::read(file)?;
        key.verify(DATALOG_CONTEXT, &signed.serialized_rules, &signed.signature)?;
        let mut guard = Self::from_serialized(&signed.serialized_rules)?;
        guard.key = Some(key.name()?);
        Ok(guard)
    }

    /// Reads `DatalogRules` that nobody signed.
    ///
    /// # Errors
    /// When the bytes are malformed, or have a statement that is not a rule.
    pub fn from_serialized(bytes: &[u8]) -> Result<Self, GuardError> {
        let file: DatalogRules = proto2::read(bytes)?;
        let mut guard = Self::new();
        for rule in &file.rules {
            guard.add_form(Form::decode(rule)?)?;
        }
        Ok(guard)
    }

    /// Adds a rule. A rule that is there already changes nothing.
    ///
    /// # Errors
    /// When the statement is not a rule, or there are too many.
    pub fn add_form(&mut self, form: Form) -> Result<(), GuardError> {
        let rule = Rule::new(&form)?;
        if self.numbers.contains_key(&form) {
            return Ok(());
        }
        if self.entries.len() >= MOST_RULES {
            return Err(GuardError::TooMany(MOST_RULES));
        }
        let number = self
            .entries
            .last_key_value()
            .map_or(0, |(last, _)| last.saturating_add(1));
        self.index(number, &rule)?;
        let form = Arc::new(form);
        self.entries.insert(number, Arc::clone(&form));
        self.numbers.insert(form, number);
        Ok(())
    }

    fn index(&mut self, number: usize, rule: &Rule) -> Result<(), GuardError> {
        let numbered = Rule {
            variables: rule.variables.clone(),
            conditions: rule
                .conditions
                .iter()
                .map(|condition| self.numbered(condition))
                .collect::<Result<_, _>>()?,
            goal: self.numbered(&rule.goal)?,
        };
        match ground(&numbered) {
            Some(tuple) => self.facts.insert(&rule.goal.name, tuple),
            None => {
                let key = (rule.goal.name.clone(), rule.goal.args.len());
                self.rules.entry(key).or_default().push((number, numbered));
            }
        }
        Ok(())
    }

    fn numbered(&mut self, literal: &Literal<Term>) -> Result<Literal<Id>, GuardError> {
        let mut number = |arg: &Arg<Term>| {
            Ok(match arg {
                Arg::Var(number) => Arg::Var(*number),
                Arg::Value(term) => Arg::Value(self.symbols.id(term)?),
            })
        };
        Ok(Literal {
            name: literal.name.clone(),
            args: literal
                .args
                .iter()
                .map(&mut number)
                .collect::<Result<_, GuardError>>()?,
        })
    }

    /// Takes a rule away.
    ///
    /// # Errors
    /// When it is not there.
    pub fn retract_form(&mut self, form: &Form) -> Result<(), GuardError> {
        let Some(&number) = self.numbers.get(form) else {
            return Err(GuardError::NoSuchRule(form.to_string()));
        };
        let rule = Rule::new(form)?;
        let goal = self.numbered(&rule.goal)?;
        self.numbers.remove(form);
        self.entries.remove(&number);
        if rule.conditions.is_empty() {
            let ids: Vec<Id> = goal.args.iter().filter_map(value).collect();
            self.facts.remove(&goal.name, &ids);
        } else if let Some(rules) = self.rules.get_mut(&(goal.name, goal.args.len())) {
            rules.retain(|(other, _)| *other != number);
        }
        Ok(())
    }

    /// The rules as the original's Datalog engine was given them, for comparison.
    ///
    /// # Errors
    /// When a rule is not one: not for rules that [`DatalogGuard::add_form`] took.
    pub fn translations(&self) -> Result<Vec<String>, GuardError> {
        let speaker = match &self.key {
            Some(key) => key.to_string(),
            None => "guard".to_owned(),
        };
        let translation = |form: &Arc<Form>| Ok(Rule::new(form)?.translation(&speaker));
        self.entries.values().map(translation).collect()
    }

    /// Who signs the rules, if anybody does.
    pub(super) const fn key(&self) -> Option<&Prin> {
        self.key.as_ref()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes all rules away.
    pub(super) fn forget(&mut self) {
        *self = Self {
            key: self.key.take(),
            ..Self::default()
        };
    }

    /// The rules in the order in which they came.
    pub(super) fn texts(&self) -> Vec<String> {
        self.entries.values().map(|form| form.to_string()).collect()
    }

    pub(super) fn encoded(&self) -> Vec<u8> {
        let rules = self.entries.values().map(|form| form.encode()).collect();
        DatalogRules { rules }.encode_to_vec()
    }

    pub(super) fn solve(&self, query: &Pred) -> Result<Solver<'_>, GuardError> {
        if !rule::is_ground(query) {
            return Err(GuardError::Query(format!("{query} has variables")));
        }
        let base = Base {
            facts: &self.facts,
            rules: &self.rules,
        };
        let symbols = QuerySymbols::new(&self.symbols)?;
        let prins = query.args.iter().filter_map(Term::as_prin);
        let longest = prins.map(|prin| prin.ext.0.len()).fold(0, usize::max);
        Solver::ask(base, symbols, query, longest)
    }

    /// The built-in predicate may be asked as well.
    pub(super) fn built_in(query: &Pred) -> Option<bool> {
        if query.name != *SUBPRIN {
            return None;
        }
        let [whole, outer, extension] = query.args.as_slice() else {
            return Some(false);
        };
        let known = subprin::Known {
            whole: Some(whole),
            outer: Some(outer),
            extension: Some(extension),
        };
        Some(!subprin::evaluate(&known, usize::MAX).is_empty())
    }

    pub(super) fn text(&self, number: usize) -> String {
        self.entries
            .get(&number)
            .map_or_else(String::new, |form| form.to_string())
    }
}

fn value(arg: &Arg<Id>) -> Option<Id> {
    match arg {
        Arg::Value(id) => Some(*id),
        Arg::Var(_) => None,
    }
}

/// The arguments of a rule without conditions.
fn ground(rule: &Rule<Id>) -> Option<Vec<Id>> {
    if !rule.conditions.is_empty() {
        return None;
    }
    rule.goal.args.iter().map(value).collect()
}
