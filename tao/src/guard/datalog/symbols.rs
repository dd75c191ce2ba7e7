//! Values by number, so that comparing and hashing them costs nothing.

use std::{collections::HashMap, sync::Arc};

use crate::{guard::error::GuardError, logic::Term};

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

    /// The value's number, a new one if it has none. Numbers are never given back: a guard whose
    /// rules changed often enough has none left.
    pub(super) fn id(&mut self, term: &Term) -> Result<Id, GuardError> {
        if let Some(id) = self.find(term) {
            return Ok(id);
        }
        let id = self.next()?;
        let term = Arc::new(term.clone());
        self.terms.push(Arc::clone(&term));
        self.ids.insert(term, id);
        Ok(id)
    }

    fn next(&self) -> Result<Id, GuardError> {
        Id::try_from(self.terms.len()).map_err(|_| GuardError::TooManyValues)
    }
}

/// The guard's numbers and, above them, those of values that only a query has.
pub(super) struct QuerySymbols<'a> {
    base: &'a Symbols,
    first: Id,
    own: Symbols,
}

impl<'a> QuerySymbols<'a> {
    pub(super) fn new(base: &'a Symbols) -> Result<Self, GuardError> {
        Ok(QuerySymbols {
            base,
            first: base.next()?,
            own: Symbols::default(),
        })
    }

    pub(super) fn id(&mut self, term: &Term) -> Result<Id, GuardError> {
        if let Some(id) = self.base.find(term) {
            return Ok(id);
        }
        let above = self.own.id(term)?;
        self.first
            .checked_add(above)
            .ok_or(GuardError::TooManyValues)
    }

    pub(super) fn term(&self, id: Id) -> Option<&Term> {
        match id.checked_sub(self.first) {
            Some(own) => self.own.term(own),
            None => self.base.term(id),
        }
    }
}
