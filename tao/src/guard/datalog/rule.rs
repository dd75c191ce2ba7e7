//! Rules: `[forall V: ...] [C1 and ... implies] G`, with predicates only.

use crate::{
    guard::error::GuardError,
    logic::{Form, Ident, Pred, Prin, PrinTail, SubPrin, Term},
};

/// The built-in predicate: `Subprin(P, O, E)` holds if P is O extended by E.
pub(super) const SUBPRIN: &str = "Subprin";
/// Most conditions and variables of a rule: they are counted in 64 bits.
pub(super) const MOST: usize = 64;

/// An argument: a variable by its number, or a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arg<V> {
    Var(usize),
    Value(V),
}

/// A predicate over variables of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal<V> {
    pub name: Ident,
    pub args: Vec<Arg<V>>,
}

/// A rule that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule<V = Term> {
    pub variables: Vec<Ident>,
    pub conditions: Vec<Literal<V>>,
    pub goal: Literal<V>,
}

fn bad<T>(why: impl Into<String>) -> Result<T, GuardError> {
    Err(GuardError::Rule(why.into()))
}

/// Variables inside a name would never be bound: the original treated them as text.
fn has_variable(term: &Term) -> bool {
    let in_chain = |chain: &SubPrin| chain.0.iter().any(|ext| ext.args.iter().any(has_variable));
    match term {
        Term::Var(_) => true,
        Term::Prin(prin) => {
            let Prin { id, ext, .. } = &**prin;
            has_variable(id) || in_chain(ext)
        }
        Term::PrinTail(PrinTail(chain)) => in_chain(chain),
        Term::Str(_) | Term::Bytes(_) | Term::Int(_) => false,
    }
}

/// Is this a statement without variables, which may be asked?
pub(super) fn is_ground(pred: &Pred) -> bool {
    !pred.args.iter().any(has_variable)
}

fn literal(pred: &Pred, variables: &[Ident]) -> Result<Literal<Term>, GuardError> {
    let mut args = Vec::with_capacity(pred.args.len());
    for term in &pred.args {
        args.push(match term {
            Term::Var(name) => match variables.iter().position(|known| known == name) {
                Some(number) => Arg::Var(number),
                None => return bad(format!("the variable {name} is not quantified by forall")),
            },
            other if has_variable(other) => {
                return bad(format!(
                    "a variable inside {other}; a variable stands alone"
                ));
            }
            other => Arg::Value(other.clone()),
        });
    }
    if pred.name == *SUBPRIN && args.len() != 3 {
        return bad(format!("{pred}: Subprin has three arguments: P, O and E"));
    }
    Ok(Literal {
        name: pred.name.clone(),
        args,
    })
}

fn conditions(form: &Form, variables: &[Ident]) -> Result<Vec<Literal<Term>>, GuardError> {
    let one = |form: &Form| match form {
        Form::Pred(pred) => literal(pred, variables),
        other => bad(format!("the condition {other} is not a predicate")),
    };
    match form {
        Form::And(list) => list.iter().map(one).collect(),
        other => Ok(vec![one(other)?]),
    }
}

impl Rule {
    /// Checks that a statement is a rule whose answers can be enumerated: each variable is
    /// quantified, and occurs in the conditions.
    pub(super) fn new(form: &Form) -> Result<Self, GuardError> {
        let mut variables = Vec::new();
        let mut body = form;
        while let Form::Forall(variable, inner) = body {
            if variables.contains(variable) {
                return bad(format!("{variable} is quantified twice"));
            }
            variables.push(variable.clone());
            body = inner;
        }
        let (conditions, goal) = match body {
            Form::Implies(antecedent, goal) => (conditions(antecedent, &variables)?, &**goal),
            goal => (Vec::new(), goal),
        };
        let goal = match goal {
            Form::Pred(pred) if pred.name == *SUBPRIN => {
                return bad("Subprin is built in; nothing can be added to it");
            }
            Form::Pred(pred) => literal(pred, &variables)?,
            other => return bad(format!("the goal {other} is not a predicate")),
        };
        if conditions.len() > MOST || variables.len() > MOST {
            return bad(format!("more than {MOST} conditions or variables"));
        }
        for (number, variable) in variables.iter().enumerate() {
            let used = conditions
                .iter()
                .any(|condition| condition.args.contains(&Arg::Var(number)));
            if !used {
                return bad(format!(
                    "the variable {variable} is in no condition (unsafe)"
                ));
            }
        }
        Ok(Self {
            variables,
            conditions,
            goal,
        })
    }

    /// The rule as the original's Datalog engine was given it. `speaker` is the policy
    /// key's name, or `guard`.
    pub(super) fn translation(&self, speaker: &str) -> String {
        let mut text = self.translated(&self.goal, speaker);
        for (position, condition) in self.conditions.iter().enumerate() {
            text.push_str(if position == 0 { " :- " } else { ", " });
            text.push_str(&self.translated(condition, speaker));
        }
        text
    }

    fn translated(&self, literal: &Literal<Term>, speaker: &str) -> String {
        let quoted = |text: &str| Term::Str(text.into()).to_string();
        let mut text = String::new();
        let mut separator = "";
        if literal.name == *SUBPRIN {
            text.push_str("subprin(");
        } else {
            text.push_str(&format!(
                "says({}, {}",
                quoted(speaker),
                quoted(literal.name.as_str())
            ));
            separator = ", ";
        }
        for arg in &literal.args {
            text.push_str(separator);
            separator = ", ";
            match arg {
                Arg::Var(number) => {
                    text.push_str(self.variables.get(*number).map_or("?", Ident::as_str));
                }
                Arg::Value(value) => text.push_str(&quoted(&value.to_string())),
            }
        }
        text.push(')');
        text
    }
}
