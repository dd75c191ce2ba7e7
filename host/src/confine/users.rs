//! A user of its own for each program: nobody else's files are a program's, and it can do nothing
//! to programs of other names.
//!
//! Numbers are given in the order in which programs are first started, and kept in the host's
//! state: the same program has the same one after a restart, so that its files stay its own. An
//! administrator can delete a user that no program runs as; its number is given to nobody again.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nix::unistd::{Gid, Uid};
use sha2::{Digest as _, Sha256};

use tao::{logic::SubPrin, state_file};

pub(crate) use crate::confine::user_table::FIRST;
use crate::confine::{
    processes::processes_of,
    user_table::{MOST, ProgramUser, RoomError, TEMPORARY, UserTable},
};

const FILE: &str = "users";

/// The users of a host's programs.
pub(crate) struct Users {
    file: Option<PathBuf>,
    known: Mutex<Known>,
    /// How many programs are being started or run as each. Not held over reading or writing, since a
    /// program that ends takes it in the threads that answer others; taken after `known`, if both are.
    in_use: Mutex<HashMap<u32, usize>>,
}

#[derive(Default)]
struct Known {
    /// Read when it is first needed.
    table: Option<UserTable>,
    /// Those that no program keeps, because the disk takes nothing.
    temporary: HashMap<String, u32>,
}

/// A program's user, which is not deleted as long as this is there.
pub(crate) struct UserLease {
    users: Arc<Users>,
    number: u32,
}

impl UserLease {
    /// The user.
    pub(crate) const fn uid(&self) -> Uid {
        Uid::from_raw(self.number)
    }

    /// Its group.
    pub(crate) const fn gid(&self) -> Gid {
        Gid::from_raw(self.number)
    }
}

impl Drop for UserLease {
    fn drop(&mut self) {
        let mut in_use = self.users.in_use();
        let left = in_use.get(&self.number);
        match left.and_then(|count| count.checked_sub(1)) {
            Some(left) if left > 0 => drop(in_use.insert(self.number, left)),
            _ => drop(in_use.remove(&self.number)),
        }
    }
}

/// Why a program has no user of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserError {
    /// None is free.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// Who has which cannot be read or kept.
    #[error("the programs' users, {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said, or what is wrong with it.
        source: io::Error,
    },
}

/// Why a user is not deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeleteError {
    /// Who has which cannot be read or kept.
    #[error(transparent)]
    Users(#[from] UserError),
    /// There is none.
    #[error("no hosted program has that user or had it; `tao host users list` shows them")]
    Unknown,
    /// Nothing is taken from a program that runs.
    #[error("user {0} is not deleted: its program runs or is being started; stop it first")]
    Running(u32),
    /// Of an earlier run of the host, perhaps.
    #[error("user {number} is not deleted: process {process} runs as it; end it first")]
    Process {
        /// The user.
        number: u32,
        /// One of its processes.
        process: i32,
    },
    /// Which processes there are.
    #[error(
        "user {number} is not deleted: whether processes run as it cannot be found out: {source}"
    )]
    Processes {
        /// The user.
        number: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The user is gone, its files are not.
    #[error(
        "user {number} is deleted, and no program gets its number again, but its directory {path} could not be removed: {source}; delete the user once more to try again", path = path.display()
    )]
    Directory {
        /// The user.
        number: u32,
        /// Its private directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Which user is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// By its number.
    Number(u32),
    /// By the hash of its program's name.
    Program([u8; 32]),
}

/// The hash by which a program is known here.
pub(crate) fn hash_of(program: &SubPrin) -> String {
    hex::encode(Sha256::digest(program.encode()))
}

impl Known {
    /// One that no program keeps: none that is kept or will be.
    fn for_this_time(&mut self, program: String) -> Result<u32, UserError> {
        let taken = self.temporary.len();
        let number = u32::try_from(taken).ok().filter(|_| taken < MOST);
        let number = number.and_then(|number| TEMPORARY.checked_add(number));
        let number = number.ok_or(RoomError::Full)?;
        self.temporary.insert(program, number);
        Ok(number)
    }
}

impl Users {
    /// Kept in that directory; without one they end with the host.
    pub(crate) fn new(state: Option<&Path>) -> Arc<Self> {
        Arc::new(Self {
            file: state.map(|dir| dir.join(FILE)),
            known: Mutex::default(),
            in_use: Mutex::default(),
        })
    }

    /// Each change of what is known is complete before anything else can panic.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_use(&self) -> MutexGuard<'_, HashMap<u32, usize>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: io::Error) -> UserError {
        UserError::File {
            path: self.file.clone().unwrap_or_else(|| FILE.into()),
            source,
        }
    }

    fn table<'k>(&self, known: &'k mut Known) -> Result<&'k mut UserTable, UserError> {
        let table = match (known.table.take(), &self.file) {
            (Some(table), _) => table,
            (None, Some(file)) => UserTable::read(file).map_err(|error| self.failed(error))?,
            (None, None) => UserTable::default(),
        };
        Ok(known.table.insert(table))
    }

    /// The user of the program with that name, which `starter` has started.
    pub(crate) fn of(
        self: &Arc<Self>,
        program: &SubPrin,
        starter: Uid,
    ) -> Result<UserLease, UserError> {
        let name = hash_of(program);
        let mut known = self.lock();
        let number = self.number_of(&mut known, name, starter)?;
        // Under the lock of what is known: it is not deleted meanwhile.
        let mut in_use = self.in_use();
        let count = in_use.entry(number).or_default();
        *count = count.saturating_add(1);
        drop((in_use, known));
        Ok(UserLease {
            users: Arc::clone(self),
            number,
        })
    }

    fn number_of(&self, known: &mut Known, name: String, starter: Uid) -> Result<u32, UserError> {
        // Hosted programs that start programs are one starter: each has a user of its own.
        let starter = starter.as_raw().min(FIRST);
        let table = self.table(known)?;
        if let Some(number) = table.number_of(&name) {
            return Ok(number);
        }
        let mut with = table.clone();
        if let Some(number) = known.temporary.get(&name) {
            return Ok(*number);
        }
        with.has_room_for(starter)?;
        let number = with
            .add(name.clone(), Some(starter))
            .ok_or(RoomError::Full)?;
        // Kept before it is used: no other program gets it after a crash.
        match self.keep(&with) {
            Ok(()) => known.table = Some(with),
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                let why = self.failed(error);
                log::warn!("a program's user is its own until the host ends: {why}");
                return known.for_this_time(name);
            }
            Err(error) => return Err(self.failed(error)),
        }
        Ok(number)
    }

    fn keep(&self, table: &UserTable) -> io::Result<()> {
        match &self.file {
            Some(file) => state_file::replace(file, table.text().as_bytes()),
            None => Ok(()),
        }
    }

    /// On a full disk there is no room for the new table before the files are gone, and they may go only
    /// when nobody can get the number.
    fn keep_deletion(&self, without: &UserTable, number: u32) -> io::Result<()> {
        match (self.keep(without), &self.file) {
            (Err(error), Some(file)) if is_full(&error) => UserTable::delete_in_place(file, number),
            (kept, _) => kept,
        }
    }

    /// All that are kept, and for each whether its program runs or is being started.
    pub(crate) fn list(&self) -> Result<Vec<(ProgramUser, bool)>, UserError> {
        let mut known = self.lock();
        let users = self.table(&mut known)?.users().to_vec();
        let in_use = self.in_use();
        let is_used = |user: &ProgramUser| in_use.contains_key(&user.number);
        Ok(users
            .into_iter()
            .map(|user| {
                let used = is_used(&user);
                (user, used)
            })
            .collect())
    }

    /// Takes a user away for good, if there is one; gives its number. What is left of one that was taken
    /// away is known by its number only.
    ///
    /// Files of it that lie elsewhere go on having its number, and so no other program may get it.
    pub(crate) fn forget(&self, which: &Which) -> Result<u32, DeleteError> {
        let mut known = self.lock();
        let table = self.table(&mut known)?;
        let number = match which {
            // One that will be given some day is not deleted beforehand.
            Which::Number(number) if table.was_given(*number) => *number,
            Which::Number(_) => return Err(DeleteError::Unknown),
            Which::Program(hash) => table
                .number_of(&hex::encode(hash))
                .ok_or(DeleteError::Unknown)?,
        };
        let without = table.has(number).then(|| {
            let mut without = table.clone();
            without.remove(number);
            without
        });
        if self.in_use().contains_key(&number) {
            return Err(DeleteError::Running(number));
        }
        // Under the lock: none is started meanwhile.
        match processes_of(number) {
            Ok(None) => {}
            Ok(Some(process)) => return Err(DeleteError::Process { number, process }),
            Err(source) => return Err(DeleteError::Processes { number, source }),
        }
        if let Some(without) = without {
            self.keep_deletion(&without, number)
                .map_err(|error| self.failed(error))?;
            known.table = Some(without);
        }
        Ok(number)
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
