//! Values by number, so that comparing and hashing them costs nothing.

use std::{collections::HashMap, sync::Arc};

use crate::logic::Term;

/// A value's number.
pub(super) type Id = u32;

/// Numbers given to values, for good.
#[derive(Clone, Debug, Default)]
pub(super) struct Symbols {
    ids: HashMap<Arc<Term>, Id>,
    terms: Vec<Arc<Term>>,
}

impl Symbols {
    pub(super) fn find(&self, term: &Term) -> Option<Id> {
        self.ids.get(term).copied()
    }

    pub(super) fn term(&self, id: Id) -> Option<&Term> {
        self.terms.get(usize::try_from(id).ok()?).map(AsRef::as_ref)
    }

    pub(super) fn id(&mut self, term: &Term) -> Id {
        if let Some(id) = self.find(term) {
            return id;
        }
        // Rules and statements are bounded far below 2^32 values.
        let id = Id::try_from(self.terms.len()).unwrap_or(Id::MAX);
        let term = Arc::new(term.clone());
        self.terms.push(Arc::clone(&term));
        self.ids.insert(term, id);
        id
    }

    fn next(&self) -> Id {
        Id::try_from(self.terms.len()).unwrap_or(Id::MAX)
    }
}

/// The guard's numbers and, above them, those of values that only a query has.
pub(super) struct QuerySymbols<'a> {
    base: &'a Symbols,
    first: Id,
    own: Symbols,
}

impl<'a> QuerySymbols<'a> {
    pub(super) fn new(base: &'a Symbols) -> Self {
        QuerySymbols {
            base,
            first: base.next(),
            own: Symbols::default(),
        }
    }

    pub(super) fn id(&mut self, term: &Term) -> Id {
        match self.base.find(term) {
            Some(id) => id,
            None => self.first.saturating_add(self.own.id(term)),
        }
    }

    pub(super) fn term(&self, id: Id) -> Option<&Term> {
        match id.checked_sub(self.first) {
            Some(own) => self.own.term(own),
            None => self.base.term(id),
        }
    }
}
