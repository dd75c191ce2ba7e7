//! Programs that were measured lately: started again, they need not be copied and hashed
//! again, and a thousand that run the same file share one copy of it.
//!
//! What runs is the copy whose hash is in the name, whether it was made now or before: nothing
//! here can let other bytes run than the measured ones. At worst a program that was changed
//! without a trace (its time of change set back by who can write to the disk past the file
//! system) is started as it was before, under the name it had before.

use std::{
    collections::VecDeque,
    fs::{File, Metadata},
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, fchown},
    },
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::measure::measured_program::MeasuredProgram;

/// Most bytes of memory that copies of programs take that nobody may be running.
const MOST: u64 = 16 << 20;
/// Most copies: each is an open descriptor.
const MOST_FILES: usize = 32;
/// A file changed less than so many seconds ago may be changed again without its time of
/// change becoming another.
const SETTLED: i64 = 2;
/// Owner of the shared copies: nobody. Their owner could make them readable, and with that
/// programs that can be traced.
const NOBODY: u32 = u32::MAX - 1;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileState {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileState {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Would another change show?
    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.is_ok_and(|now| {
            let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            self.changed.0.saturating_add(SETTLED) <= now
        })
    }
}

struct Kept {
    state: FileState,
    program: Arc<MeasuredProgram>,
}

/// The last one used is the last.
static KEPT: Mutex<VecDeque<Kept>> = Mutex::new(VecDeque::new());

/// Whole entries are put in and taken out.
fn kept() -> MutexGuard<'static, VecDeque<Kept>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The measured copy of a file in this state.
pub(crate) fn find(state: &FileState) -> Option<Arc<MeasuredProgram>> {
    let mut kept = kept();
    let place = kept.iter().position(|kept| kept.state == *state)?;
    let found = kept.remove(place)?;
    let program = Arc::clone(&found.program);
    kept.push_back(found);
    Some(program)
}

/// Keeps the measured copy of `source`, which was in this state before it was copied.
pub(crate) fn keep(state: FileState, source: &File, program: &Arc<MeasuredProgram>) {
    let same = source
        .metadata()
        .is_ok_and(|metadata| FileState::of(&metadata) == state);
    if !same || !state.is_settled() || state.length > MOST {
        return;
    }
    // Not root: the copies stay the host's user's, whose programs could change their mode.
    if fchown(program.file.as_fd(), Some(NOBODY), Some(NOBODY)).is_err() {
        return;
    }
    let mut kept = kept();
    kept.retain(|kept| kept.state != state);
    let program = Arc::clone(program);
    kept.push_back(Kept { state, program });
    let bytes = |kept: &VecDeque<Kept>| kept.iter().map(|kept| kept.state.length).sum::<u64>();
    while kept.len() > MOST_FILES || bytes(&kept) > MOST {
        kept.pop_front();
    }
}
