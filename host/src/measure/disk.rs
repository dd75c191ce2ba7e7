//! The files that a program's libraries are looked for in: each is opened and read once, as who
//! asks for the program, and stays what it was then.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::measure::{
    budget::Budget,
    error::{MeasureError, at},
    file::read,
    measured,
    opening::{Opener, Use},
    program::{
        elf::{self, Needs},
        libraries::{Files, LibraryError},
    },
};

/// What is known of a path.
enum Seen {
    /// The caller cannot open it, or it is not a file.
    Nothing,
    /// It was opened.
    Open(File),
    /// It was read.
    Read(Arc<Vec<u8>>, [u8; 32]),
}

/// Opens and reads each file once.
pub(crate) struct Disk<'a> {
    pub opener: &'a Opener,
    pub budget: Budget,
    seen: BTreeMap<PathBuf, Seen>,
    /// Why the last look into a file failed.
    pub failed: Option<MeasureError>,
}

impl<'a> Disk<'a> {
    /// Files as that opener opens them, as many as the budget allows.
    pub(crate) fn new(opener: &'a Opener, budget: Budget) -> Self {
        Disk {
            opener,
            budget,
            seen: BTreeMap::new(),
            failed: None,
        }
    }

    /// The file's bytes, which stay the same from now on.
    pub(crate) fn pin(&mut self, path: &Path) -> Result<(Arc<Vec<u8>>, [u8; 32]), MeasureError> {
        let file = match self.seen.remove(path) {
            Some(Seen::Open(file)) => Some(file),
            Some(Seen::Nothing) | None => Some(measured::open(self.opener, path, Use::Read)?),
            Some(read) => {
                self.seen.insert(path.to_owned(), read);
                None
            }
        };
        if let Some(file) = file {
            let (bytes, sha256) = read(path, file, &mut self.budget)?;
            self.seen
                .insert(path.to_owned(), Seen::Read(Arc::new(bytes), sha256));
        }
        match self.seen.get(path) {
            Some(Seen::Read(bytes, sha256)) => Ok((Arc::clone(bytes), *sha256)),
            _ => Err(at(path)(io::ErrorKind::NotFound.into())),
        }
    }
}

impl Files for Disk<'_> {
    fn needs(&mut self, path: &Path) -> Result<Needs, LibraryError> {
        let failed = |source| LibraryError::Elf {
            path: path.to_owned(),
            source,
        };
        match self.pin(path) {
            Ok((bytes, _)) => elf::needs(bytes.as_slice()).map_err(failed),
            Err(error) => {
                let source = io::Error::other(error.to_string());
                self.failed = Some(error);
                Err(LibraryError::Io {
                    path: path.to_owned(),
                    source,
                })
            }
        }
    }

    /// For the caller, who would run it.
    fn exists(&mut self, path: &Path) -> bool {
        let seen = self.seen.entry(path.to_owned()).or_insert_with(|| {
            match self.opener.open(path, Use::Read) {
                Ok(file) => Seen::Open(file),
                Err(_) => Seen::Nothing,
            }
        });
        !matches!(seen, Seen::Nothing)
    }
}
