//! The counters of hosted programs, and who may have how many of them.
//!
//! A counter belongs to a program's name as it is now, and to a label. It counts against what
//! the host started, whatever that program has added to its name: a program that extends its
//! name gets other counters, not more. Names are kept as their SHA-256: a name may be long, and the
//! table is written as a whole for each change.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::counters::error::ChangeError;
use tao::keys::{RandomError, random};

/// Longest label.
const MAX_LABEL: usize = 1024;
/// Most counters of one program, those of its extensions included.
const MOST_PER_PROGRAM: usize = 1024;
/// Most bytes that one program's counters take in the table.
pub(crate) const MOST_BYTES_PER_PROGRAM: usize = 128 << 10;
/// Most counters of a host.
const MOST_COUNTERS: usize = 1 << 16;
/// Most bytes of a table that takes new counters; it is read far beyond.
pub(crate) const MOST_BYTES: usize = 8 << 20;
/// What a counter or a program takes besides its text.
const OVERHEAD: usize = 64;

/// SHA-256 of the binary form of a name below the host's.
pub(crate) type Id = [u8; 32];

pub(crate) fn id(name: &[u8]) -> Id {
    Sha256::digest(name).into()
}

/// Which counter: whose, and its label.
pub(crate) type Key = (Id, String);

/// The program that a counter counts against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub id: Id,
    /// For people; cut if it is long.
    pub name: String,
}

/// A counter's value. `era` is a random number that each counter gets when it is made: what was
/// sealed under a counter that was deleted does not open under its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub era: u64,
    pub value: i64,
}

/// What a counter is to become.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// At least this.
    AtLeast(i64),
    /// One more.
    Next,
    /// It is deleted.
    Deleted,
    /// All counters of the owner are deleted, whatever the key.
    AllDeleted,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Counter {
    pub owner: Id,
    pub stored: Stored,
}

/// What one program has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub name: String,
    pub counters: usize,
    pub bytes: usize,
}

/// All counters of a host.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(super) values: BTreeMap<Key, Counter>,
    pub(super) owners: BTreeMap<Id, Use>,
    bytes: usize,
}

fn era() -> Result<u64, RandomError> {
    let mut era = [0; 8];
    random(&mut era)?;
    Ok(u64::from_be_bytes(era))
}

/// What a label or a name takes.
const fn cost_of(text: &str) -> usize {
    text.len().saturating_add(OVERHEAD)
}

impl Counters {
    pub(crate) fn get(&self, key: &Key) -> Option<Stored> {
        self.values.get(key).map(|counter| counter.stored)
    }

    /// What each program has.
    pub(crate) fn uses(&self) -> impl Iterator<Item = (&Id, &Use)> {
        self.owners.iter()
    }

    /// Makes a change. Gives the counter's value after it (before it, if it was deleted), and
    /// whether anything is different.
    pub(crate) fn apply(
        &mut self,
        key: &Key,
        owner: &Owner,
        to: Target,
    ) -> Result<(Stored, bool), ChangeError> {
        let current = self.get(key);
        let next = |value: i64| value.checked_add(1).ok_or(ChangeError::End);
        let value = match (to, current) {
            (Target::AtLeast(value), Some(current)) => current.value.max(value),
            (Target::AtLeast(value), None) => value,
            (Target::Next, Some(current)) => next(current.value)?,
            (Target::Next, None) => 1,
            (Target::Deleted, Some(current)) => {
                self.remove(key);
                return Ok((current, true));
            }
            (Target::Deleted, None) => return Err(ChangeError::NoCounter),
            (Target::AllDeleted, _) => return self.remove_all(&owner.id),
        };
        let Some(current) = current else {
            self.room_for(&key.1, owner)?;
            let era = era()?;
            let stored = Stored { era, value };
            self.insert(key.clone(), owner, stored);
            return Ok((stored, true));
        };
        let stored = Stored { value, ..current };
        if let Some(counter) = self.values.get_mut(key) {
            counter.stored = stored;
        }
        Ok((stored, stored != current))
    }

    /// May this program have one more?
    fn room_for(&self, label: &str, owner: &Owner) -> Result<(), ChangeError> {
        if label.len() > MAX_LABEL {
            return Err(ChangeError::Label(MAX_LABEL));
        }
        let cost = cost_of(label);
        let (counters, bytes, begin) = match self.owners.get(&owner.id) {
            Some(has) => (has.counters, has.bytes, 0),
            None => (0, 0, cost_of(&owner.name)),
        };
        if counters >= MOST_PER_PROGRAM || bytes.saturating_add(cost) > MOST_BYTES_PER_PROGRAM {
            return Err(ChangeError::Program {
                counters,
                bytes,
                most: MOST_PER_PROGRAM,
                most_bytes: MOST_BYTES_PER_PROGRAM,
            });
        }
        let all = self.bytes.saturating_add(begin).saturating_add(cost);
        if self.values.len() >= MOST_COUNTERS || all > MOST_BYTES {
            return Err(ChangeError::Full(self.values.len()));
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, key: Key, owner: &Owner, stored: Stored) {
        let begin = cost_of(&owner.name);
        let bytes = &mut self.bytes;
        let has = self.owners.entry(owner.id).or_insert_with(|| {
            *bytes = bytes.saturating_add(begin);
            Use {
                name: owner.name.clone(),
                counters: 0,
                bytes: 0,
            }
        });
        let cost = cost_of(&key.1);
        let owner = owner.id;
        // One that a damaged table had twice counts once.
        if self.values.insert(key, Counter { owner, stored }).is_none() {
            has.counters = has.counters.saturating_add(1);
            has.bytes = has.bytes.saturating_add(cost);
            *bytes = bytes.saturating_add(cost);
        }
    }

    fn remove(&mut self, key: &Key) {
        let Some(counter) = self.values.remove(key) else {
            return;
        };
        let cost = cost_of(&key.1);
        self.bytes = self.bytes.saturating_sub(cost);
        if let Some(has) = self.owners.get_mut(&counter.owner) {
            has.counters = has.counters.saturating_sub(1);
            has.bytes = has.bytes.saturating_sub(cost);
            if has.counters == 0 {
                let begin = cost_of(&has.name);
                self.bytes = self.bytes.saturating_sub(begin);
                self.owners.remove(&counter.owner);
            }
        }
    }

    fn remove_all(&mut self, owner: &Id) -> Result<(Stored, bool), ChangeError> {
        let of_owner =
            |(key, counter): (&Key, &Counter)| (counter.owner == *owner).then(|| key.clone());
        let keys: Vec<Key> = self.values.iter().filter_map(of_owner).collect();
        if keys.is_empty() {
            return Err(ChangeError::NoCounters);
        }
        for key in &keys {
            self.remove(key);
        }
        let value = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        Ok((Stored { era: 0, value }, true))
    }
}
