//! The file of the counters: sealed by the host, replaced as a whole, and dated by the anchor so
//! that an old copy is recognised ([`tao::anchored`]).

use std::path::{Path, PathBuf};

use prost::Message as _;

use crate::{
    authority::{
        identity::Identity,
        root::{Anchor, RootError},
        state_lock::StateLock,
    },
    counters::{error::CounterError, sealed_form::Table, table::Counters},
};
use tao::anchored::{self, Medium, Refused, Settled};
use tao::state_file;

const NAME: &str = "counters";
/// Largest file: one that is full has a few MiB.
const MAX_FILE: u64 = 256 << 20;

/// Where the table is kept.
pub(crate) struct TableFile {
    /// `None`: in memory only, until the host ends.
    dir: Option<PathBuf>,
    lock: StateLock,
}

/// A table that was read, and is the only one that counts.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub counters: Counters,
    /// `None`: nothing anchors it.
    settled: Option<Settled>,
}

/// The table's file and the host's anchor.
struct Anchored<'a> {
    file: &'a TableFile,
    path: &'a Path,
    identity: &'a Identity,
}

impl TableFile {
    pub(crate) fn new(dir: Option<PathBuf>, lock: StateLock) -> Self {
        Self { dir, lock }
    }

    fn path(&self) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(NAME))
    }

    /// Another host may have read, or be about to read, what this one reads or writes.
    fn claim(&self, path: &Path, make: bool) -> Result<(), CounterError> {
        let claimed = match make {
            true => self.lock.make_and_take(),
            false => self.lock.take(),
        };
        claimed.map_err(|source| CounterError::File {
            path: path.to_owned(),
            source,
        })
    }

    /// Reads the table; the first time there is none. What is given back is the only table that
    /// counts, whatever happened to the host before.
    pub(crate) fn load(&self, identity: &Identity) -> Result<Loaded, CounterError> {
        let Some(path) = self.path() else {
            return Ok(Loaded::default());
        };
        self.claim(&path, false)?;
        let table = self.read(&path, identity)?;
        let found = table.as_ref().map(|(date, _)| *date);
        // Without a file there are none; whether there should be one is what the anchor says.
        let counters = table.map_or_else(Counters::default, |(_, counters)| counters);
        let mut medium = Anchored {
            file: self,
            path: &path,
            identity,
        };
        let settled = match medium.is_there() {
            true => Some(
                anchored::open(&mut medium, found, &counters)
                    .map_err(|refused| medium.sentence(refused))?,
            ),
            false => None,
        };
        Ok(Loaded { counters, settled })
    }

    /// Replaces the table. When this returns the new one is the only one that counts.
    pub(crate) fn store(
        &self,
        identity: &Identity,
        loaded: &mut Loaded,
    ) -> Result<(), CounterError> {
        let Some(path) = self.path() else {
            return Ok(());
        };
        self.claim(&path, true)?;
        let Some(settled) = loaded.settled else {
            return self.write(&path, identity, 0, &loaded.counters);
        };
        let mut medium = Anchored {
            file: self,
            path: &path,
            identity,
        };
        let settled = anchored::change(&mut medium, settled, &loaded.counters)
            .map_err(|refused| medium.sentence(refused))?;
        loaded.settled = Some(settled);
        Ok(())
    }

    fn write(
        &self,
        path: &Path,
        identity: &Identity,
        date: u64,
        counters: &Counters,
    ) -> Result<(), CounterError> {
        let file = |source| CounterError::File {
            path: path.to_owned(),
            source,
        };
        let table = counters.to_table(date);
        let sealed = identity
            .keys
            .table
            .seal_with(table.encoded_len(), |out| table.encode_raw(out))?;
        state_file::replace(path, &sealed).map_err(file)
    }

    fn read(
        &self,
        path: &Path,
        identity: &Identity,
    ) -> Result<Option<(u64, Counters)>, CounterError> {
        let sealed = state_file::read(path, MAX_FILE).map_err(|source| CounterError::File {
            path: path.to_owned(),
            source,
        })?;
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        let plain = identity
            .keys
            .table
            .open(&sealed)
            .map_err(|source| CounterError::Sealed {
                path: path.to_owned(),
                source,
            })?;
        Counters::from_table(Table::decode(plain.as_slice())?).map(Some)
    }
}

impl Anchored<'_> {
    fn is_there(&self) -> bool {
        self.identity.with_anchor(|anchor| anchor.is_some())
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut dyn Anchor) -> Result<T, RootError>,
    ) -> Result<T, CounterError> {
        let done = self.identity.with_anchor(|anchor| match anchor {
            Some(anchor) => work(anchor),
            None => Err("it no longer exists".into()),
        });
        done.map_err(CounterError::Anchor)
    }

    fn sentence(&self, refused: Refused<CounterError>) -> CounterError {
        let anchor = self
            .with(|anchor| Ok(anchor.describe()))
            .unwrap_or_else(|error| error.to_string());
        let path = self.path.to_owned();
        match refused {
            Refused::RolledBack { found: 0, expected } => CounterError::Missing {
                path,
                anchor,
                expected,
            },
            Refused::RolledBack { found, expected } => CounterError::RolledBack {
                path,
                anchor,
                found,
                expected,
            },
            Refused::Gone => CounterError::Gone { path, anchor },
            Refused::Moved { found, expected } => CounterError::Moved {
                anchor,
                expected,
                found,
            },
            Refused::End => CounterError::Contents("the anchor is at its end"),
            Refused::Medium(error) => error,
        }
    }
}

impl Medium for Anchored<'_> {
    type Contents = Counters;
    type Error = CounterError;

    fn value(&mut self) -> Result<Option<u64>, CounterError> {
        self.with(|anchor| anchor.value())
    }

    fn create(&mut self) -> Result<u64, CounterError> {
        self.with(|anchor| anchor.create())
    }

    fn increment(&mut self) -> Result<u64, CounterError> {
        self.with(|anchor| anchor.increment())
    }

    fn write(&mut self, date: u64, contents: &Counters) -> Result<(), CounterError> {
        self.file.write(self.path, self.identity, date, contents)
    }
}
