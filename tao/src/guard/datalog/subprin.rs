//! The built-in predicate `Subprin(P, O, E)`: P is O extended by E.

use crate::logic::{Prin, PrinTail, SubPrin, Term};

/// What is known of the three arguments.
pub(super) struct Known<'a> {
    pub whole: Option<&'a Term>,
    pub outer: Option<&'a Term>,
    pub extension: Option<&'a Term>,
}

/// The three arguments: P, O and E.
pub(super) type Triple = (Term, Term, Term);

/// Every way to take a principal apart, the last extension first.
fn splits(whole: &Prin) -> impl Iterator<Item = Triple> {
    (0..whole.ext.0.len()).rev().map(|length| {
        let mut outer = whole.clone();
        let tail = outer.ext.0.split_off(length);
        let tail = Term::PrinTail(PrinTail(SubPrin(tail)));
        (whole.clone().into(), outer.into(), tail)
    })
}

/// Evaluates the predicate: all triples that hold and fit what is known; none if too little
/// is known (P, or O and E, is needed). With only P known, every way to take it apart is one.
/// No principal is built with more than `longest` extensions: that ends rules that extend
/// for ever.
pub(super) fn evaluate(known: &Known<'_>, longest: usize) -> Vec<Triple> {
    match (known.whole, known.outer, known.extension) {
        (whole, Some(Term::Prin(outer)), Some(Term::PrinTail(PrinTail(tail)))) => {
            if whole.is_none() && outer.ext.0.len().saturating_add(tail.0.len()) > longest {
                return Vec::new();
            }
            let built = Term::from(outer.extended(tail));
            if whole.is_some_and(|whole| *whole != built) {
                return Vec::new();
            }
            let (outer, tail) = (outer.clone(), PrinTail(tail.clone()));
            vec![(built, Term::Prin(outer), Term::PrinTail(tail))]
        }
        (Some(Term::Prin(whole)), outer, extension) if outer.is_none() || extension.is_none() => {
            let fits = |(_, o, e): &Triple| {
                outer.is_none_or(|known| known == o) && extension.is_none_or(|known| known == e)
            };
            splits(whole).filter(fits).collect()
        }
        _ => Vec::new(),
    }
}
