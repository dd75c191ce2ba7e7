//! The counters of hosted programs, as they are kept on disk: sealed by the host, replaced
//! atomically, and dated by the anchor so that an old copy is recognised.
//!
//! With an anchor (a counter in the TPM, say) at value n, n even, the table is dated n. To
//! write, the anchor goes to n+1, the table dated n+2 is written, the anchor goes to n+2,
//! and only then is anybody told. If the power fails in between, the anchor is odd: then the
//! table before and the table after are both good, nobody having been told, and one
//! more write settles it. An older table never is.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use prost::Message;

use super::{Identity, RootError, state_file};
use crate::keys::{Crypter, OpenError, RandomError, random};

/// Most counters of a host.
pub(super) const MOST_COUNTERS: usize = 1 << 16;
const NAME: &str = "counters";
/// Largest file: names and labels of all counters are bounded far below.
const MAX_FILE: u64 = 256 << 20;

/// Why the counters can't be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CounterError {
    /// The file can't be read or written.
    #[error("the host's counters can't be stored or read: {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file was changed, or is another host's.
    #[error("the host's counters do not open ({path}): {source}", path = path.display())]
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
    /// The anchor was deleted.
    #[error("the host's counters were anchored, but the counter {anchor} is gone; nothing sealed against rollback opens. To begin anew, delete {path}", path = path.display())]
    Gone {
        /// The file.
        path: PathBuf,
        /// The anchor in words.
        anchor: String,
    },
    /// The anchor failed.
    #[error("the counter outside the disk: {0}")]
    Anchor(RootError),
    /// The table could not be sealed.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Not a table.
    #[error("the host's counters are malformed: {0}")]
    Malformed(#[from] prost::DecodeError),
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    /// Binary form of the program's name below the host's.
    #[prost(bytes = "vec", required, tag = "1")]
    program: Vec<u8>,
    #[prost(string, required, tag = "2")]
    label: String,
    #[prost(int64, required, tag = "3")]
    counter: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Table {
    #[prost(uint64, required, tag = "1")]
    date: u64,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<Entry>,
    #[prost(fixed64, required, tag = "3")]
    era: u64,
}

/// Which counter: the program's name in binary form, and its label.
pub(super) type Key = (Vec<u8>, String);

/// All counters of a host.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    /// A random number that a table gets when it is made: what was sealed under a table that
    /// somebody deleted does not open under the next one.
    pub era: u64,
    pub values: BTreeMap<Key, i64>,
}

impl Counters {
    fn new() -> Result<Self, RandomError> {
        let mut era = [0; 8];
        random(&mut era)?;
        Ok(Counters {
            era: u64::from_be_bytes(era),
            values: BTreeMap::new(),
        })
    }
}

/// Where the table is kept.
pub(super) struct TableFile {
    /// `None`: in memory only, until the host ends.
    dir: Option<PathBuf>,
}

impl TableFile {
    pub(super) fn new(dir: Option<PathBuf>) -> Self {
        TableFile { dir }
    }

    fn path(&self) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(NAME))
    }

    /// Reads the table; the first time there is none.
    pub(super) fn load(&self, identity: &Identity) -> Result<Counters, CounterError> {
        let Some(path) = self.path() else {
            return Ok(Counters::new()?);
        };
        let table = read(&path, &identity.keys.table)?;
        let anchor = identity.with_anchor(|anchor| match anchor {
            None => Ok(None),
            Some(anchor) => Ok(Some((anchor.value()?, anchor.describe()))),
        });
        let anchor = anchor.map_err(CounterError::Anchor)?;
        let (date, counters) = match table {
            Some(table) => (table.date, counters(table)),
            None => (0, Counters::new()?),
        };
        let Some((value, anchor)) = anchor else {
            return Ok(counters);
        };
        let Some(value) = value else {
            // The first write creates it. A table that was anchored had one.
            if date == 0 {
                return Ok(counters);
            }
            return Err(CounterError::Gone { path, anchor });
        };
        let settled = value.is_multiple_of(2);
        if settled && date == value {
            return Ok(counters);
        }
        if !settled && (date + 1 == value || date == value + 1) {
            // The power failed in the middle of a write.
            self.write(identity, &path, &counters, value + 1)?;
            increment(identity)?;
            return Ok(counters);
        }
        Err(CounterError::RolledBack {
            path,
            anchor,
            found: date,
            expected: value,
        })
    }

    /// Replaces the table. When this returns the new one is the only one that counts.
    pub(super) fn store(
        &self,
        identity: &Identity,
        counters: &Counters,
    ) -> Result<(), CounterError> {
        let Some(path) = self.path() else {
            return Ok(());
        };
        let date = identity.with_anchor(|anchor| match anchor {
            None => Ok(None),
            Some(anchor) => {
                let mut value = match anchor.value()? {
                    Some(value) => value,
                    None => anchor.create()?,
                };
                // Even between writes, odd during one.
                while value.is_multiple_of(2) {
                    value = anchor.increment()?;
                }
                Ok(Some(value + 1))
            }
        });
        let date = date.map_err(CounterError::Anchor)?;
        self.write(identity, &path, counters, date.unwrap_or_default())?;
        match date {
            Some(_) => increment(identity),
            None => Ok(()),
        }
    }

    fn write(
        &self,
        identity: &Identity,
        path: &Path,
        counters: &Counters,
        date: u64,
    ) -> Result<(), CounterError> {
        let entries = counters
            .values
            .iter()
            .map(|((program, label), counter)| Entry {
                program: program.clone(),
                label: label.clone(),
                counter: *counter,
            })
            .collect();
        let table = Table {
            date,
            entries,
            era: counters.era,
        };
        let sealed = identity
            .keys
            .table
            .seal_with(table.encoded_len(), |out| table.encode_raw(out))?;
        state_file::replace(path, &sealed).map_err(|source| CounterError::File {
            path: path.to_owned(),
            source,
        })
    }
}

fn counters(table: Table) -> Counters {
    let key = |entry: Entry| ((entry.program, entry.label), entry.counter);
    Counters {
        era: table.era,
        values: table.entries.into_iter().map(key).collect(),
    }
}

fn increment(identity: &Identity) -> Result<(), CounterError> {
    identity
        .with_anchor(|anchor| anchor.map_or(Ok(0), |anchor| anchor.increment()))
        .map(drop)
        .map_err(CounterError::Anchor)
}

fn read(path: &Path, crypter: &Crypter) -> Result<Option<Table>, CounterError> {
    let sealed = state_file::read(path, MAX_FILE).map_err(|source| CounterError::File {
        path: path.to_owned(),
        source,
    })?;
    let Some(sealed) = sealed else {
        return Ok(None);
    };
    let plain = crypter
        .open(&sealed)
        .map_err(|source| CounterError::Sealed {
            path: path.to_owned(),
            source,
        })?;
    Ok(Some(Table::decode(plain.as_slice())?))
}
