//! How an answer came about, or what it would have needed.

use super::{facts::Pattern, rule::SUBPRIN, rules::DatalogGuard, solve::Solver};
use crate::{
    guard::{
        decide::{Explanation, Step},
        error::GuardError,
    },
    logic::{Pred, Term, ident},
};

/// Most lines of an explanation.
const MOST_STEPS: usize = 256;
/// How far the missing is followed to what is missing for it.
const DEEPEST: usize = 16;

pub(super) fn why(guard: &DatalogGuard, query: &Pred) -> Result<Explanation, GuardError> {
    if let Some(allowed) = DatalogGuard::built_in(query) {
        let step = Step {
            depth: 0,
            statement: query.to_string(),
            reason: "built in: the first argument is the second extended by the third".to_owned(),
        };
        return Ok(Explanation {
            allowed,
            steps: vec![step],
        });
    }
    let solver = guard.solve(query)?;
    if solver.answered() {
        return Ok(Explanation {
            allowed: true,
            steps: proof(guard, &solver),
        });
    }
    Ok(Explanation {
        allowed: false,
        steps: missing(guard, query, solver)?,
    })
}

/// The first answer, and below it what it rests on.
fn proof(guard: &DatalogGuard, solver: &Solver<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut open = vec![(0, 0, 0)];
    while let Some((depth, goal, answer)) = open.pop() {
        let Some(found) = solver.goals.get(goal) else {
            continue;
        };
        let Some(answer) = found.answers.get(answer) else {
            continue;
        };
        if steps.len() >= MOST_STEPS {
            break;
        }
        let pattern: Pattern = answer.tuple.iter().copied().map(Some).collect();
        let rule = answer.derivation.rule;
        steps.push(Step {
            depth,
            statement: solver.statement(&found.name, &pattern),
            reason: rule.map_or("a fact".to_owned(), |number| guard.text(number)),
        });
        for triple in &answer.derivation.built_in {
            steps.push(Step {
                depth: depth.saturating_add(1),
                statement: solver.statement(&ident!(SUBPRIN), &triple.map(Some)),
                reason: "built in".to_owned(),
            });
        }
        let support = answer.derivation.support.iter().rev();
        open.extend(support.map(|(goal, answer)| (depth.saturating_add(1), *goal, *answer)));
    }
    steps
}

/// The nearest rule and what it misses, and what that misses, and so on.
fn missing(
    guard: &DatalogGuard,
    query: &Pred,
    solver: Solver<'_>,
) -> Result<Vec<Step>, GuardError> {
    let mut steps = Vec::new();
    let (mut query, mut solver) = (query.clone(), solver);
    for depth in 0..DEEPEST {
        let statement = query.to_string();
        let Some(nearest) = solver.nearest.take() else {
            let reason = "missing: no fact says so, and no rule could".to_owned();
            steps.push(Step {
                depth,
                statement,
                reason,
            });
            break;
        };
        let (name, pattern) = &nearest.missing;
        let needs = solver.statement(name, pattern);
        let rule = guard.text(nearest.rule);
        steps.push(Step {
            depth,
            statement,
            reason: format!("nearest rule: {rule}; it misses {needs}"),
        });
        let args: Option<Vec<Term>> = pattern
            .iter()
            .map(|id| id.and_then(|id| solver.symbols.term(id)).cloned())
            .collect();
        let next = args.map(|args| Pred {
            name: name.clone(),
            args,
        });
        match next.filter(|next| next.name != *SUBPRIN && *next != query) {
            Some(next) => {
                solver = guard.solve(&next)?;
                query = next;
            }
            None => break,
        }
    }
    Ok(steps)
}
