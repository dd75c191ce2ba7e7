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
/// Whose programs are not counted.
const ROOT: u32 = 0;
/// The first of those that are not kept.
const TEMPORARY: u32 = FIRST + 0x1_0000;
/// Programs with a user of their own; more are refused.
const MOST: usize = 60_000;
/// Of these, for programs that one user other than root had started first: whoever may start
/// programs with arguments or variables in their names makes new names at will.
const MOST_OF_ONE: usize = 2_000;
/// Of these, for root's programs only.
const ROOTS: usize = 10_000;
const FILE: &str = "users";
/// A hash in hexadecimal digits, a blank, who had it started, and the end of the line.
const LINE: u64 = 76;

/// The users of a host's programs.
pub(crate) struct Users {
    file: Option<PathBuf>,
    /// Read when it is first needed.
    table: Mutex<Option<Table>>,
}

#[derive(Default)]
struct Table {
    /// In the order of their numbers.
    programs: Vec<Program>,
    numbers: HashMap<String, u32>,
}

struct Program {
    /// The hash of its name.
    name: String,
    /// Who had it started first; `None`: an earlier version did not note it.
    starter: Option<u32>,
}

/// Why a program has no user of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserError {
    /// All are taken.
    #[error("all {MOST} users for programs are taken, so that no new program can have one")]
    Full,
    /// Those that this user may take are taken.
    #[error(
        "user {starter} has had {count} programs started that have users of their own, and can have no new one started: at most {MOST_OF_ONE} of each user other than root have one, and {ROOTS} are kept for root's"
    )]
    OfOne {
        /// Who wants to have one started.
        starter: u32,
        /// How many it has.
        count: usize,
    },
    /// Who has which cannot be read or kept.
    #[error("the programs' users, {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said, or what is wrong with it.
        source: io::Error,
    },
}

impl Program {
    fn line(&self) -> String {
        match self.starter {
            Some(starter) => format!("{} {starter}\n", self.name),
            None => format!("{}\n", self.name),
        }
    }
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

    /// May this user have one more program with a user of its own started?
    fn has_room_for(&self, starter: u32) -> Result<(), UserError> {
        if self.programs.len() >= MOST {
            return Err(UserError::Full);
        }
        if starter == ROOT {
            return Ok(());
        }
        let starters = self.programs.iter().map(|program| program.starter);
        let count = starters.filter(|of| *of == Some(starter)).count();
        let of_root = MOST.saturating_sub(ROOTS);
        if count >= MOST_OF_ONE || self.programs.len() >= of_root {
            return Err(UserError::OfOne { starter, count });
        }
        Ok(())
    }

    fn add(&mut self, program: String, starter: Option<u32>) -> Option<u32> {
        let number = FIRST.checked_add(u32::try_from(self.programs.len()).ok()?)?;
        self.numbers.insert(program.clone(), number);
        self.programs.push(Program {
            name: program,
            starter,
        });
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
                 the file away and give the programs' directories beside it new owners"
            );
            io::Error::new(io::ErrorKind::InvalidData, sentence)
        };
        let text = String::from_utf8(file).map_err(|_| wrong(1))?;
        let mut table = Table::default();
        for (at, line) in text.lines().enumerate() {
            let at = at.saturating_add(1);
            let (hash, starter) = match line.split_once(' ') {
                Some((hash, uid)) => (hash, Some(uid.parse().map_err(|_| wrong(at))?)),
                None => (line, None),
            };
            let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !is_hash || table.numbers.contains_key(hash) || table.programs.len() == MOST {
                return Err(wrong(at));
            }
            table
                .add(hash.to_owned(), starter)
                .ok_or_else(|| wrong(at))?;
        }
        Ok(table)
    }
}

impl Users {
    /// Kept in that directory; without one they end with the host.
    pub(crate) fn new(state: Option<&Path>) -> Self {
        Users {
            file: state.map(|dir| dir.join(FILE)),
            table: Mutex::default(),
        }
    }

    /// The user of the program with that name, which `starter` has started.
    pub(crate) fn of(&self, program: &SubPrin, starter: Uid) -> Result<(Uid, Gid), UserError> {
        // Hosted programs that start programs are one starter: each has a user of its own.
        let starter = starter.as_raw().min(FIRST);
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
        known.has_room_for(starter)?;
        let kept = known.programs.iter().map(Program::line);
        let text: String = kept.chain([format!("{name} {starter}\n")]).collect();
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
        let number = known.add(name, Some(starter)).ok_or(UserError::Full)?;
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
        let one = users.of(&name(1), Uid::from_raw(ROOT)).unwrap();
        let two = users.of(&name(2), Uid::from_raw(ROOT)).unwrap();
        assert_eq!((one.0.as_raw(), two.0.as_raw()), (FIRST, FIRST + 1));
        let again = Users::new(Some(dir.path()));
        assert_eq!(again.of(&name(2), Uid::from_raw(ROOT)).unwrap(), two);
        assert_eq!(
            again.of(&name(3), Uid::from_raw(ROOT)).unwrap().0.as_raw(),
            FIRST + 2
        );
        assert_eq!(
            Users::new(None)
                .of(&name(3), Uid::from_raw(ROOT))
                .unwrap()
                .0
                .as_raw(),
            FIRST
        );
    }

    #[test]
    fn users_that_can_not_be_kept_are_never_those_that_are() {
        let mut table = Table::default();
        table.add("kept".to_owned(), None).unwrap();
        let one = table.for_this_time("one".to_owned()).unwrap();
        let two = table.for_this_time("two".to_owned()).unwrap();
        assert_eq!((one.0.as_raw(), two.0.as_raw()), (TEMPORARY, TEMPORARY + 1));
        assert_eq!(table.add("kept too".to_owned(), None), Some(FIRST + 1));
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
            let refused = Users::new(Some(dir.path()))
                .of(&name(1), Uid::from_raw(ROOT))
                .unwrap_err();
            assert!(
                refused.to_string().contains("is not a program's hash"),
                "{refused}"
            );
        }
    }

    #[test]
    fn no_user_takes_the_numbers_of_the_others_and_none_roots() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        // As an earlier version kept the first, and this one the others.
        let line = |number: usize, starter: u32| format!("{number:064x} {starter}\n");
        let mut text = format!("{}\n", "ff".repeat(32));
        text.extend((0..MOST_OF_ONE).map(|number| line(number, 1000)));
        std::fs::write(&path, &text).unwrap();
        let users = || Users::new(Some(dir.path()));
        let start = |number: u8, starter: u32| users().of(&name(number), Uid::from_raw(starter));
        let refused = start(1, 1000).unwrap_err();
        assert!(matches!(
            refused,
            UserError::OfOne {
                count: MOST_OF_ONE,
                ..
            }
        ));
        start(1, 1001).unwrap();
        // One that is there already is nobody's new one.
        start(1, 1000).unwrap();
        // Programs that start programs are one starter, whatever their users are.
        text.extend((0..MOST_OF_ONE).map(|number| line(number | 1 << 20, FIRST)));
        std::fs::write(&path, &text).unwrap();
        start(2, FIRST + 7).unwrap_err();
        text.extend(
            (text.lines().count()..MOST - ROOTS).map(|n| line(n | 1 << 30, 2000 + n as u32)),
        );
        std::fs::write(&path, &text).unwrap();
        start(3, 1002).unwrap_err();
        start(3, ROOT).unwrap();
    }
}
