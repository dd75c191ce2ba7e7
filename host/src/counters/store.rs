//! Counters and data sealed against rollback: a program gets back only what it sealed last
//! under a label, whatever old copies it is shown.
//!
//! Changes go through one thread that writes the table once for all that have come
//! meanwhile: a write waits for the disk (and the TPM), and sixty callers need not wait for
//! sixty writes.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use crate::{
    authority::identity::Identity,
    counters::{
        error::{ChangeError, CounterError},
        file::{Loaded, TableFile},
        table::{Counters, Id, Key, Owner, Stored, Target, Use},
    },
    error::HostError,
};

/// Stack of the thread that writes.
const STACK: usize = 256 * 1024;

/// A change of one counter.
pub(crate) struct Change {
    pub key: Key,
    /// Whom it counts against.
    pub owner: Owner,
    pub to: Target,
    /// Told the counter's new value once it is stored, or why it is not.
    pub then: Box<dyn FnOnce(Result<Stored, ChangeError>) + Send>,
}

#[derive(Default)]
struct Queue {
    changes: Vec<Change>,
    closed: bool,
}

/// The counters of a host's programs.
pub(crate) struct CounterStore {
    identity: Arc<Identity>,
    file: TableFile,
    /// The table as it is stored; `None` before it is first needed, and after a failed
    /// write, when only the file can tell what it says.
    table: Mutex<Option<Loaded>>,
    queue: Mutex<Queue>,
    more: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking thread held is replaced as a whole or not at all.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CounterStore {
    pub(crate) fn new(identity: Arc<Identity>, file: TableFile) -> Self {
        Self {
            identity,
            file,
            table: Mutex::default(),
            queue: Mutex::default(),
            more: Condvar::new(),
        }
    }

    /// Starts the thread that writes. It ends after [`CounterStore::close`].
    pub(crate) fn start(self: &Arc<Self>) -> Result<JoinHandle<()>, HostError> {
        let store = Arc::clone(self);
        std::thread::Builder::new()
            .name("tao-counters".to_owned())
            .stack_size(STACK)
            .spawn(move || store.work())
            .map_err(HostError::system("start a thread"))
    }

    /// No change is taken any more; those that have come are still written.
    pub(crate) fn close(&self) {
        lock(&self.queue).closed = true;
        self.more.notify_all();
    }

    /// A counter's value.
    pub(crate) fn get(&self, key: &Key) -> Result<Option<Stored>, CounterError> {
        self.with_table(|counters| counters.get(key))
    }

    /// What each program has.
    pub(crate) fn uses(&self) -> Result<Vec<(Id, Use)>, CounterError> {
        self.with_table(|counters| {
            let all = counters.uses();
            all.map(|(id, has)| (*id, has.clone())).collect()
        })
    }

    /// Reads the table if it has not been read.
    fn with_table<T>(&self, read: impl FnOnce(&Counters) -> T) -> Result<T, CounterError> {
        let mut table = lock(&self.table);
        let loaded = match table.take() {
            Some(loaded) => loaded,
            None => self.file.load(&self.identity)?,
        };
        let result = read(&loaded.counters);
        *table = Some(loaded);
        Ok(result)
    }

    /// Has a counter changed.
    pub(crate) fn change(&self, change: Change) {
        let mut queue = lock(&self.queue);
        if queue.closed {
            drop(queue);
            return (change.then)(Err(ChangeError::Closed));
        }
        queue.changes.push(change);
        self.more.notify_one();
    }

    fn work(&self) {
        loop {
            let mut queue = lock(&self.queue);
            while queue.changes.is_empty() {
                if queue.closed {
                    return;
                }
                queue = self
                    .more
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            let batch = std::mem::take(&mut queue.changes);
            drop(queue);
            self.commit(batch);
        }
    }

    /// Makes all changes with one write, then tells everybody.
    fn commit(&self, batch: Vec<Change>) {
        // Held during the write: nobody may read a table that is being replaced.
        let mut table = lock(&self.table);
        // If it cannot be written only the file can tell what it says: it is read again.
        let loaded = match table.take() {
            Some(loaded) => Ok(loaded),
            None => self.file.load(&self.identity),
        };
        let mut loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                drop(table);
                return refuse(batch, error);
            }
        };
        let mut outcomes = Vec::new();
        let mut changed = false;
        for change in batch {
            let outcome = loaded.counters.apply(&change.key, &change.owner, change.to);
            changed |= matches!(outcome, Ok((_, true)));
            outcomes.push((change, outcome.map(|(stored, _)| stored)));
        }
        if changed && let Err(error) = self.file.store(&self.identity, &mut loaded) {
            drop(table);
            log::error!("{error}");
            let changes = outcomes.into_iter().map(|(change, _)| change).collect();
            return refuse(changes, error);
        }
        *table = Some(loaded);
        drop(table);
        for (change, outcome) in outcomes {
            (change.then)(outcome);
        }
    }
}

fn refuse(changes: Vec<Change>, error: CounterError) {
    let error = Arc::new(error);
    for change in changes {
        (change.then)(Err(ChangeError::Table(Arc::clone(&error))));
    }
}
