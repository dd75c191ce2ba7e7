//! A user of its own for each program: nobody else's files are a program's, and it can do nothing
//! to programs of other names.
//!
//! Numbers are given in the order in which programs are first started, and kept in the host's
//! state: the same program has the same one after a restart, so that its files stay its own.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use nix::unistd::{Gid, Uid};
use sha2::{Digest as _, Sha256};

use tao::logic::SubPrin;
use tao::state_file;

/// The first number. Distributions, containers and systemd leave those from here on alone, up to
/// the 31st bit (systemd: Users, Groups, UIDs and GIDs).
pub(crate) const FIRST: u32 = 0x7000_0000;
/// The first of those that are not kept.
const TEMPORARY: u32 = FIRST + 0x1_0000;
/// Programs with a user of their own; more are refused.
const MOST: usize = 60_000;
const FILE: &str = "users";
/// A hash in hexadecimal digits and the end of the line.
const LINE: u64 = 65;

/// The users of a host's programs.
pub(crate) struct Users {
    file: Option<PathBuf>,
    /// Read when it is first needed.
    table: Mutex<Option<Table>>,
}

#[derive(Default)]
struct Table {
    /// In the order of their numbers.
    programs: Vec<String>,
    numbers: HashMap<String, u32>,
}

/// Why a program has no user of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserError {
    /// All are taken.
    #[error("{MOST} programs have had users of their own, and no more can have one")]
    Full,
    /// Who has which cannot be read or kept.
    #[error("the programs' users, {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said, or what is wrong with it.
        source: io::Error,
    },
}

impl Table {
    /// One that no program keeps, because the disk takes nothing: none that is kept or will be.
    fn for_this_time(&mut self, program: String) -> Result<(Uid, Gid), UserError> {
        let taken = self.numbers.len().saturating_sub(self.programs.len());
        let number = u32::try_from(taken).ok().filter(|_| taken < MOST);
        let number = number.and_then(|number| TEMPORARY.checked_add(number));
        let number = number.ok_or(UserError::Full)?;
        self.numbers.insert(program, number);
        Ok((Uid::from_raw(number), Gid::from_raw(number)))
    }

    fn add(&mut self, program: String) -> Option<u32> {
        let number = FIRST.checked_add(u32::try_from(self.programs.len()).ok()?)?;
        self.numbers.insert(program.clone(), number);
        self.programs.push(program);
        Some(number)
    }

    fn read(path: &Path) -> io::Result<Self> {
        let Some(file) = state_file::read(path, LINE.saturating_mul(MOST as u64))? else {
            // No program has had one yet.
            return Ok(Table::default());
        };
        let wrong = |line: usize| {
            let sentence = format!(
                "line {line} is not a program's hash, or is there twice; put a copy back, or move \
                 the file away and give the programs' folders beside it new owners"
            );
            io::Error::new(io::ErrorKind::InvalidData, sentence)
        };
        let text = String::from_utf8(file).map_err(|_| wrong(1))?;
        let mut table = Table::default();
        for (at, line) in text.lines().enumerate() {
            let at = at.saturating_add(1);
            let is_hash = line.len() == 64 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !is_hash || table.numbers.contains_key(line) || table.programs.len() == MOST {
                return Err(wrong(at));
            }
            table.add(line.to_owned()).ok_or_else(|| wrong(at))?;
        }
        Ok(table)
    }
}

impl Users {
    /// Kept in that folder; without one they end with the host.
    pub(crate) fn new(state: Option<&Path>) -> Self {
        Users {
            file: state.map(|dir| dir.join(FILE)),
            table: Mutex::default(),
        }
    }

    /// The user of the program with that name.
    pub(crate) fn of(&self, program: &SubPrin) -> Result<(Uid, Gid), UserError> {
        let name = hex::encode(Sha256::digest(program.encode()));
        let failed = |path: &Path, source| UserError::File {
            path: path.to_owned(),
            source,
        };
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match table.take() {
            Some(known) => known,
            None => match &self.file {
                Some(file) => Table::read(file).map_err(|error| failed(file, error))?,
                None => Table::default(),
            },
        };
        let known = table.insert(known);
        if let Some(number) = known.numbers.get(&name) {
            return Ok((Uid::from_raw(*number), Gid::from_raw(*number)));
        }
        if known.programs.len() >= MOST {
            return Err(UserError::Full);
        }
        let mut text = known.programs.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&name);
        text.push('\n');
        // Kept before it is used: no other program gets it after a crash.
        if let Some(file) = &self.file
            && let Err(error) = state_file::replace(file, text.as_bytes())
        {
            if error.kind() != io::ErrorKind::ReadOnlyFilesystem {
                return Err(failed(file, error));
            }
            let why = failed(file, error);
            log::warn!("a program's user is its own until the host ends: {why}");
            return known.for_this_time(name);
        }
        let number = known.add(name).ok_or(UserError::Full)?;
        Ok((Uid::from_raw(number), Gid::from_raw(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u8) -> SubPrin {
        format!(".Program([{number:02x}])").parse().unwrap()
    }

    #[test]
    fn a_program_keeps_its_user_and_shares_it_with_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::new(Some(dir.path()));
        let one = users.of(&name(1)).unwrap();
        let two = users.of(&name(2)).unwrap();
        assert_eq!((one.0.as_raw(), two.0.as_raw()), (FIRST, FIRST + 1));
        let again = Users::new(Some(dir.path()));
        assert_eq!(again.of(&name(2)).unwrap(), two);
        assert_eq!(again.of(&name(3)).unwrap().0.as_raw(), FIRST + 2);
        assert_eq!(Users::new(None).of(&name(3)).unwrap().0.as_raw(), FIRST);
    }

    #[test]
    fn users_that_can_not_be_kept_are_never_those_that_are() {
        let mut table = Table::default();
        table.add("kept".to_owned()).unwrap();
        let one = table.for_this_time("one".to_owned()).unwrap();
        let two = table.for_this_time("two".to_owned()).unwrap();
        assert_eq!((one.0.as_raw(), two.0.as_raw()), (TEMPORARY, TEMPORARY + 1));
        assert_eq!(table.add("kept too".to_owned()), Some(FIRST + 1));
        assert!(TEMPORARY - FIRST >= u32::try_from(MOST).unwrap());
    }

    #[test]
    fn a_table_that_is_damaged_gives_nobody_a_user() {
        let dir = tempfile::tempdir().unwrap();
        let line = "00".repeat(32);
        for text in [
            "x\n".to_owned(),
            format!("{line}\n{line}\n"),
            "\u{e9}".repeat(32),
        ] {
            std::fs::write(dir.path().join(FILE), text).unwrap();
            let refused = Users::new(Some(dir.path())).of(&name(1)).unwrap_err();
            assert!(
                refused.to_string().contains("is not a program's hash"),
                "{refused}"
            );
        }
    }
}
