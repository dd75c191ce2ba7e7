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
    places: HashMap<Box<[Id]>, u32>,
    columns: HashMap<(usize, Id), Vec<u32>>,
}

impl Relation {
    fn insert(&mut self, tuple: Vec<Id>) {
        let tuple = tuple.into_boxed_slice();
        if self.places.contains_key(&tuple) {
            return;
        }
        let place = u32::try_from(self.tuples.len()).unwrap_or(u32::MAX);
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
        if let Some(slot) = usize::try_from(place)
            .ok()
            .and_then(|place| self.tuples.get_mut(place))
        {
            *slot = None;
        }
        for (column, id) in tuple.iter().enumerate() {
            if let Some(places) = self.columns.get_mut(&(column, *id)) {
                places.retain(|other| *other != place);
            }
        }
    }

    fn at(&self, place: u32) -> Option<&[Id]> {
        self.tuples.get(usize::try_from(place).ok()?)?.as_deref()
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
        self.0
            .get(key)
            .map(|relation| relation.matching(pattern))
            .unwrap_or_default()
    }

    /// How many facts a predicate has: where to look last.
    pub(super) fn count(&self, key: &PredKey) -> usize {
        self.0.get(key).map_or(0, |relation| relation.places.len())
    }
}
