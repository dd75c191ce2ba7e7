//! The built-in predicate `Subprin(P, O, E)`: P is O extended by E.

use crate::logic::{Prin, PrinTail, SubPrin, Term};

/// What is known of the three arguments.
pub(super) struct Known<'a> {
    pub whole: Option<&'a Term>,
    pub outer: Option<&'a Term>,
    pub extension: Option<&'a Term>,
}

/// What the predicate says about what is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It holds for these, and for nothing else that fits.
    Holds(Term, Term, Term),
    /// It does not hold.
    Fails,
    /// Too little is known: P, or O and E, is needed.
    Unknown,
}

fn split_last(whole: &Prin) -> Option<(Term, Term)> {
    let (last, before) = whole.ext.0.split_last()?;
    let mut outer = whole.clone();
    outer.ext.0.truncate(before.len());
    let tail = PrinTail(SubPrin(vec![last.clone()]));
    Some((outer.into(), Term::PrinTail(tail)))
}

/// Evaluates the predicate. With only P known, E is its last extension. No principal is
/// built with more than `longest` extensions: that ends rules that extend for ever.
pub(super) fn evaluate(known: &Known<'_>, longest: usize) -> Found {
    match (known.whole, known.outer, known.extension) {
        (whole, Some(Term::Prin(outer)), Some(Term::PrinTail(PrinTail(tail)))) => {
            if whole.is_none() && outer.ext.0.len() + tail.0.len() > longest {
                return Found::Fails;
            }
            let built = Term::from(outer.extended(tail));
            if whole.is_some_and(|whole| *whole != built) {
                return Found::Fails;
            }
            Found::Holds(
                built,
                Term::Prin(outer.clone()),
                Term::PrinTail(PrinTail(tail.clone())),
            )
        }
        (_, Some(_), Some(_)) => Found::Fails,
        (Some(Term::Prin(whole)), outer, extension) => match split_last(whole) {
            Some((o, e))
                if outer.is_none_or(|known| *known == o)
                    && extension.is_none_or(|known| *known == e) =>
            {
                Found::Holds(Term::Prin(whole.clone()), o, e)
            }
            _ => Found::Fails,
        },
        (Some(_), _, _) => Found::Fails,
        (None, _, _) => Found::Unknown,
    }
}
