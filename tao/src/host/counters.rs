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

use super::{
    HostError, Identity,
    counter_table::{CounterError, Counters, Key, MOST_COUNTERS, TableFile},
};

/// Longest label.
const MAX_LABEL: usize = 1024;
/// Most counters of one program: none can take them all.
const MOST_PER_PROGRAM: usize = 1024;
/// Stack of the thread that writes.
const STACK: usize = 256 * 1024;

/// A counter's value, and the table it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub era: u64,
    pub value: i64,
}

/// A change of one counter.
pub(super) struct Change {
    pub key: Key,
    pub to: Target,
    /// Told the counter's new value once it is stored, or why it is not.
    pub then: Box<dyn FnOnce(Result<Stored, String>) + Send>,
}

/// What a counter is to become.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// At least this.
    AtLeast(i64),
    /// One more.
    Next,
}

#[derive(Default)]
struct Queue {
    changes: Vec<Change>,
    closed: bool,
}

/// The counters of a host's programs.
pub(super) struct CounterStore {
    identity: Arc<Identity>,
    file: TableFile,
    /// The table as it is stored; `None` before it is first needed, and after a failed
    /// write, when only the file can tell what it says.
    table: Mutex<Option<Counters>>,
    queue: Mutex<Queue>,
    more: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking thread held is replaced as a whole or not at all.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CounterStore {
    pub(super) fn new(identity: Arc<Identity>, file: TableFile) -> Self {
        CounterStore {
            identity,
            file,
            table: Mutex::default(),
            queue: Mutex::default(),
            more: Condvar::new(),
        }
    }

    /// Starts the thread that writes. It ends after [`CounterStore::close`].
    pub(super) fn start(self: &Arc<Self>) -> Result<JoinHandle<()>, HostError> {
        let store = Arc::clone(self);
        std::thread::Builder::new()
            .name("tao-counters".to_owned())
            .stack_size(STACK)
            .spawn(move || store.work())
            .map_err(HostError::system("start a thread"))
    }

    /// No change is taken any more; those that have come are still written.
    pub(super) fn close(&self) {
        lock(&self.queue).closed = true;
        self.more.notify_all();
    }

    /// A counter's value.
    pub(super) fn get(&self, key: &Key) -> Result<Option<Stored>, CounterError> {
        self.with_table(|table| {
            let stored = |value: &i64| Stored {
                era: table.era,
                value: *value,
            };
            table.values.get(key).map(stored)
        })
    }

    /// Reads the table if it has not been read.
    fn with_table<T>(&self, read: impl FnOnce(&Counters) -> T) -> Result<T, CounterError> {
        let mut table = lock(&self.table);
        let loaded = match table.take() {
            Some(loaded) => loaded,
            None => self.file.load(&self.identity)?,
        };
        let result = read(&loaded);
        *table = Some(loaded);
        Ok(result)
    }

    /// Has a counter changed.
    pub(super) fn change(&self, change: Change) {
        let mut queue = lock(&self.queue);
        if queue.closed {
            drop(queue);
            return (change.then)(Err("the host is shutting down".to_owned()));
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
        let mut next = match self.with_table(Counters::clone) {
            Ok(table) => table,
            Err(error) => return refuse(batch, &error.to_string()),
        };
        let mut outcomes = Vec::new();
        let mut changed = false;
        for change in batch {
            let outcome = apply(&mut next, &change);
            changed |= matches!(outcome, Ok((_, true)));
            let era = next.era;
            outcomes.push((change, outcome.map(|(value, _)| Stored { era, value })));
        }
        if changed {
            // Held during the write: nobody may read a table that is being replaced.
            let mut table = lock(&self.table);
            *table = None;
            if let Err(error) = self.file.store(&self.identity, &next) {
                drop(table);
                log::error!("{error}");
                let changes = outcomes.into_iter().map(|(change, _)| change).collect();
                return refuse(changes, &error.to_string());
            }
            *table = Some(next);
        }
        for (change, outcome) in outcomes {
            (change.then)(outcome);
        }
    }
}

fn refuse(changes: Vec<Change>, error: &str) {
    for change in changes {
        (change.then)(Err(error.to_owned()));
    }
}

/// The counter's new value, and whether that is a change.
fn apply(table: &mut Counters, change: &Change) -> Result<(i64, bool), String> {
    let (program, label) = &change.key;
    if label.len() > MAX_LABEL {
        return Err(format!("a label of more than {MAX_LABEL} bytes"));
    }
    let current = table.values.get(&change.key).copied();
    let value = match (change.to, current) {
        (Target::AtLeast(value), Some(current)) => current.max(value),
        (Target::AtLeast(value), None) => value,
        (Target::Next, current) => current
            .unwrap_or_default()
            .checked_add(1)
            .ok_or("the counter is at its end")?,
    };
    if current.is_none() {
        let first = (program.clone(), String::new());
        let own = table
            .values
            .range(first..)
            .take_while(|((other, _), _)| other == program);
        if table.values.len() >= MOST_COUNTERS || own.count() >= MOST_PER_PROGRAM {
            return Err(format!(
                "no more counters: at most {MOST_PER_PROGRAM} a program and {MOST_COUNTERS} a host"
            ));
        }
    }
    table.values.insert(change.key.clone(), value);
    Ok((value, current != Some(value)))
}
