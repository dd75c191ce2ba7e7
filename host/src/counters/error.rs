//! Why counters cannot be read or changed.

use std::{io, path::PathBuf, sync::Arc};

use tao::keys::{OpenError, RandomError, SealError};

use crate::authority::root::RootError;

/// Why the counters cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CounterError {
    /// The file cannot be read or written.
    #[error("the host's counters cannot be stored or read: {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file was changed, or is another host's.
    #[error("the host's counters cannot be decrypted ({path}): {source}", path = path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: OpenError,
    },
    /// The file is an old copy.
    #[error("the host's counters were rolled back: {path} is dated {found}, but the counter {anchor} stands at {expected}. Restore the newest copy; nothing sealed against rollback opens until then", path = path.display())]
    RolledBack {
        /// The file.
        path: PathBuf,
        /// The anchor in words.
        anchor: String,
        /// Date of the file.
        found: u64,
        /// The anchor's value.
        expected: u64,
    },
    /// There is no file, but an anchor.
    #[error("the host's counters are missing: there is no {path}, but the counter {anchor} stands at {expected}. Restore the newest copy. If no program has ever stored a counter here (the host was ended while it made the first), delete the counter to begin anew", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The anchor in words.
        anchor: String,
        /// The anchor's value.
        expected: u64,
    },
    /// The anchor was deleted.
    #[error("the host's counters were anchored, but the counter {anchor} is gone; nothing sealed against rollback opens. To begin anew, delete {path}", path = path.display())]
    Gone {
        /// The file.
        path: PathBuf,
        /// The anchor in words.
        anchor: String,
    },
    /// Somebody else counts with the anchor.
    #[error(
        "the counter {anchor} stands at {found} instead of {expected}: something else has changed it, so it is not certain that the file is the newest. Does another host use it?"
    )]
    Moved {
        /// The anchor in words.
        anchor: String,
        /// Where it should stand.
        expected: u64,
        /// Where it stands.
        found: u64,
    },
    /// The anchor failed.
    #[error("the counter outside the disk: {0}")]
    Anchor(RootError),
    /// The table could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// No random bytes for a new table.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Not a table.
    #[error("the host's counters are malformed: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A table that says something impossible.
    #[error("the host's counters are malformed: {0}")]
    Contents(&'static str),
}

/// Why one counter is not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// There is none of that label.
    #[error("No such counter")]
    NoCounter,
    /// The program has none.
    #[error("the program has no counters")]
    NoCounters,
    /// It cannot go any higher.
    #[error("the counter is at its end")]
    End,
    /// A label that is too long.
    #[error("the label is longer than {0} bytes")]
    Label(usize),
    /// The program has its share.
    #[error(
        "no more counters: this program, under all its names, has {counters} of them in {bytes} bytes; the limit is {most} counters in {most_bytes} bytes. Delete some (DeleteCounter)"
    )]
    Program {
        /// How many it has.
        counters: usize,
        /// How many bytes they take.
        bytes: usize,
        /// How many it may have.
        most: usize,
        /// How many bytes they may take.
        most_bytes: usize,
    },
    /// All programs together have theirs.
    #[error(
        "no more counters: the host's table of {0} is full. An administrator can delete those of programs that are no longer used (tao host counters)"
    )]
    Full(usize),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The table cannot be read or written: for all who asked meanwhile.
    #[error(transparent)]
    Table(Arc<CounterError>),
    /// No change is taken any more.
    #[error("the host is shutting down")]
    Closed,
}
