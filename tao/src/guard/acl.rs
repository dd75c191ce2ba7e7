//! A list of what is allowed.

use prost::Message;
use sha2::{Digest, Sha256};

use super::{
    decide::{Explanation, Guard, Step},
    error::GuardError,
    signed::ACL_CONTEXT,
};
use crate::{
    keys::Verifier,
    logic::{Pred, Prin, SubPrin, Term, ident},
    wire::{
        messages::{AclSet, SignedAclSet},
        proto2,
    },
};

/// Most entries of a list.
const MOST: usize = 1 << 20;

/// An entry. The original took any text; what is not a predicate allows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    text: String,
    pred: Option<Pred>,
}

impl Entry {
    fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            pred: text.parse().ok(),
        }
    }

    /// The same statement, however it is written.
    fn is(&self, other: &Self) -> bool {
        match (&self.pred, &other.pred) {
            (Some(one), Some(other)) => one == other,
            _ => self.text == other.text,
        }
    }
}

/// A list of what is allowed: `Authorized(key([...]), "Write", "file")` and the like.
#[derive(Clone, Debug, Default)]
pub struct AclGuard {
    key: Option<Prin>,
    entries: Vec<Entry>,
}

impl AclGuard {
    /// An empty list that nobody signs: it is named by its contents.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty list that `key` signs.
    pub fn with_key(key: Prin) -> Self {
        Self {
            key: Some(key),
            entries: Vec::new(),
        }
    }

    /// Reads a `SignedACLSet` file; the signature must be the policy key's.
    ///
    /// # Errors
    /// When the file is malformed, or not signed by this key.
    pub fn from_signed(file: &[u8], key: &Verifier) -> Result<Self, GuardError> {
        let signed: SignedAclSet = proto2::read(file)?;
        key.verify(ACL_CONTEXT, &signed.serialized_aclset, &signed.signature)?;
        let mut guard = Self::from_serialized(&signed.serialized_aclset)?;
        guard.key = Some(key.name()?);
        Ok(guard)
    }

    /// Reads an `ACLSet` that nobody signed.
    ///
    /// # Errors
    /// When the bytes are malformed, or the list is too long.
    pub fn from_serialized(bytes: &[u8]) -> Result<Self, GuardError> {
        let set: AclSet = proto2::read(bytes)?;
        if set.entries.len() > MOST {
            return Err(GuardError::TooMany(MOST));
        }
        Ok(Self {
            key: None,
            entries: set.entries.iter().map(|text| Entry::new(text)).collect(),
        })
    }

    fn encoded(&self) -> Vec<u8> {
        let entries = self.rules();
        AclSet { entries }.encode_to_vec()
    }

    fn find(&self, query: &Pred) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.pred.as_ref() == Some(query))
    }

    /// The entry that fits best although it does not fit: the same principal first, then
    /// the same operation.
    fn nearest(&self, query: &Pred) -> Option<&Entry> {
        let likeness = |entry: &&Entry| {
            entry.pred.as_ref().map_or(0, |pred| {
                let same = pred
                    .args
                    .iter()
                    .zip(&query.args)
                    .take_while(|(one, other)| one == other);
                same.count()
                    .saturating_add(usize::from(pred.name == query.name))
            })
        };
        self.entries
            .iter()
            .max_by_key(likeness)
            .filter(|entry| likeness(entry) > 1)
    }
}

impl Guard for AclGuard {
    fn subprincipal(&self) -> SubPrin {
        let argument = match &self.key {
            Some(key) => key.clone().into(),
            None => {
                let hash = Sha256::digest(self.encoded());
                Term::Bytes(hash.to_vec().into())
            }
        };
        SubPrin::of(ident!("ACLGuard"), vec![argument])
    }

    fn query(&self, query: &Pred) -> Result<bool, GuardError> {
        Ok(self.find(query).is_some())
    }

    fn why(&self, query: &Pred) -> Result<Explanation, GuardError> {
        let found = self.find(query);
        let reason = match (found, self.nearest(query)) {
            (Some(entry), _) => format!("listed: {}", entry.text),
            (None, Some(near)) => format!("not listed; the nearest entry is {}", near.text),
            (None, None) => "not listed, and nothing like it is".to_owned(),
        };
        Ok(Explanation {
            allowed: found.is_some(),
            steps: vec![Step {
                depth: 0,
                statement: query.to_string(),
                reason,
            }],
        })
    }

    fn allows_something(&self) -> bool {
        !self.entries.is_empty()
    }

    fn add_rule(&mut self, rule: &str) -> Result<(), GuardError> {
        if self.entries.len() >= MOST {
            return Err(GuardError::TooMany(MOST));
        }
        self.entries.push(Entry::new(rule));
        Ok(())
    }

    /// All copies of the entry go.
    fn retract_rule(&mut self, rule: &str) -> Result<(), GuardError> {
        let gone = Entry::new(rule);
        let before = self.entries.len();
        self.entries.retain(|entry| !entry.is(&gone));
        if self.entries.len() == before {
            return Err(GuardError::NoSuchRule(rule.to_owned()));
        }
        Ok(())
    }

    fn clear(&mut self) -> Result<(), GuardError> {
        self.entries.clear();
        Ok(())
    }

    fn rules(&self) -> Vec<String> {
        self.entries
            .iter()
            .map(|entry| entry.text.clone())
            .collect()
    }

    fn serialized(&self) -> Option<Vec<u8>> {
        Some(self.encoded())
    }
}
