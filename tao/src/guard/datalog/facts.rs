//! Statements without conditions, found by predicate and by any of their arguments.

use std::collections::HashMap;

use super::symbols::Id;
use crate::logic::Ident;

/// A predicate: its name and number of arguments.
pub(super) type PredKey = (Ident, usize);
/// What is known of a statement's arguments.
pub(super) type Pattern = Vec<Option<Id>>;

#[derive(Clone, Debug, Default)]
struct Relation {
    /// `None` where a fact was retracted.
    tuples: Vec<Option<Box<[Id]>>>,
    places: HashMap<Box<[Id]>, usize>,
    columns: HashMap<(usize, Id), Vec<usize>>,
}

impl Relation {
    fn insert(&mut self, tuple: Vec<Id>) {
        let tuple = tuple.into_boxed_slice();
        if self.places.contains_key(&tuple) {
            return;
        }
        let place = self.tuples.len();
        for (column, id) in tuple.iter().enumerate() {
            self.columns.entry((column, *id)).or_default().push(place);
        }
        self.places.insert(tuple.clone(), place);
        self.tuples.push(Some(tuple));
    }

    fn remove(&mut self, tuple: &[Id]) {
        let Some(place) = self.places.remove(tuple) else {
            return;
        };
        if let Some(slot) = self.tuples.get_mut(place) {
            *slot = None;
        }
        for (column, id) in tuple.iter().enumerate() {
            if let Some(places) = self.columns.get_mut(&(column, *id)) {
                places.retain(|other| *other != place);
            }
        }
    }

    fn at(&self, place: usize) -> Option<&[Id]> {
        self.tuples.get(place)?.as_deref()
    }

    fn matching(&self, pattern: &[Option<Id>]) -> Vec<&[Id]> {
        let fits = |tuple: &&[Id]| {
            tuple
                .iter()
                .zip(pattern)
                .all(|(id, wanted)| wanted.is_none_or(|wanted| wanted == *id))
        };
        if let Some(all) = pattern.iter().copied().collect::<Option<Vec<Id>>>() {
            let found = self.places.get(all.as_slice());
            return found
                .and_then(|place| self.at(*place))
                .into_iter()
                .collect();
        }
        // The shortest list of those that the known arguments give.
        let known = pattern.iter().enumerate().filter_map(|(column, id)| {
            id.map(|id| {
                self.columns
                    .get(&(column, id))
                    .map_or(&[][..], Vec::as_slice)
            })
        });
        match known.min_by_key(|places| places.len()) {
            Some(places) => places
                .iter()
                .filter_map(|place| self.at(*place))
                .filter(fits)
                .collect(),
            None => self.tuples.iter().flatten().map(AsRef::as_ref).collect(),
        }
    }
}

/// All facts of a guard.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts(HashMap<PredKey, Relation>);

impl Facts {
    pub(super) fn insert(&mut self, name: &Ident, tuple: Vec<Id>) {
        let relation = self.0.entry((name.clone(), tuple.len())).or_default();
        relation.insert(tuple);
    }

    pub(super) fn remove(&mut self, name: &Ident, tuple: &[Id]) {
        if let Some(relation) = self.0.get_mut(&(name.clone(), tuple.len())) {
            relation.remove(tuple);
        }
    }

    pub(super) fn matching(&self, key: &PredKey, pattern: &[Option<Id>]) -> Vec<&[Id]> {
        // A predicate of which nobody has said anything has no facts.
        let relation = self.0.get(key);
        relation.map_or_else(Vec::new, |relation| relation.matching(pattern))
    }

    /// How many facts a predicate has: where to look last.
    pub(super) fn count(&self, key: &PredKey) -> usize {
        self.0.get(key).map_or(0, |relation| relation.places.len())
    }
}
