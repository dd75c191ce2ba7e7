//! Which program has which user: the host's file of it.
//!
//! A number is given once. The file says which one is next, so that a user that is deleted leaves
//! no number behind for another program, which would get its files, wherever they lie.
//!
//! The file is replaced as a whole, but for one case: on a full disk a user is deleted by a single byte in
//! the file that is there. A user's files may be what fills the disk, and then nothing else can make room.

use std::{
    collections::HashMap,
    fs::OpenOptions,
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

use tao::state_file;

/// The first number. Distributions, containers and systemd leave those from here on alone, up to
/// the 31st bit (systemd: Users, Groups, UIDs and GIDs).
pub(crate) const FIRST: u32 = 0x7000_0000;
/// The first of those that are not kept. So many are given before that a host deletes and gives one each
/// second for four years.
pub(crate) const TEMPORARY: u32 = FIRST + 0x0800_0000;
/// Whose programs are not counted.
pub(super) const ROOT: u32 = 0;
/// Programs with a user of their own; more are refused.
pub(super) const MOST: usize = 60_000;
/// Of these, for programs that one user other than root had started first: whoever may start
/// programs with arguments or variables in their names makes new names at will.
pub(super) const MOST_OF_ONE: usize = 2_000;
/// Of these, for root's programs only.
pub(super) const ROOTS: usize = 10_000;
/// A hash in hexadecimal digits, who had it started, a number, and what is between and after them.
const LINE: u64 = 87;
const MOST_BYTES: u64 = LINE.saturating_mul((MOST as u64).saturating_add(1));
/// What the first line begins with.
const NEXT: &str = "next ";
/// What the first digit of a hash is replaced with, of a user that was deleted on a full disk.
const DELETED: char = '-';

/// A user of a program's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProgramUser {
    /// The hash of the program's name, in hexadecimal digits.
    pub program: String,
    /// Who had it started first; `None`: an earlier version did not note it.
    pub starter: Option<u32>,
    /// The user's number, and the group's.
    pub number: u32,
}

/// No user for one more program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoomError {
    /// All are taken.
    #[error(
        "{MOST} programs have users of their own, and no more can have one: an administrator can delete some (tao host users)"
    )]
    Full,
    /// Those that this user may take are taken.
    #[error(
        "user {starter} has had {count} programs started that have users of their own, and can have no new one started: at most {MOST_OF_ONE} of each user other than root have one, and {ROOTS} are kept for root's; an administrator can delete some (tao host users)"
    )]
    OfOne {
        /// Who wants to have one started.
        starter: u32,
        /// How many it has.
        count: usize,
    },
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct UserTable {
    /// In the order in which they were given.
    users: Vec<ProgramUser>,
    numbers: HashMap<String, u32>,
    /// The next number; it only grows.
    next: u32,
}

impl Default for UserTable {
    fn default() -> Self {
        Self {
            users: Vec::new(),
            numbers: HashMap::new(),
            next: FIRST,
        }
    }
}

impl UserTable {
    /// May this user have one more program with a user of its own started?
    pub(super) fn has_room_for(&self, starter: u32) -> Result<(), RoomError> {
        if self.users.len() >= MOST || self.next >= TEMPORARY {
            return Err(RoomError::Full);
        }
        if starter == ROOT {
            return Ok(());
        }
        let starters = self.users.iter().map(|user| user.starter);
        let count = starters.filter(|of| *of == Some(starter)).count();
        let of_root = MOST.saturating_sub(ROOTS);
        if count >= MOST_OF_ONE || self.users.len() >= of_root {
            return Err(RoomError::OfOne { starter, count });
        }
        Ok(())
    }

    /// Has this number been given, whoever has it now?
    pub(super) fn was_given(&self, number: u32) -> bool {
        (FIRST..self.next).contains(&number)
    }

    /// Gives a program the next number.
    pub(super) fn add(&mut self, program: String, starter: Option<u32>) -> Option<u32> {
        let number = self.next;
        self.next = number.checked_add(1).filter(|_| number < TEMPORARY)?;
        self.insert(ProgramUser {
            program,
            starter,
            number,
        });
        Some(number)
    }

    fn insert(&mut self, user: ProgramUser) {
        self.numbers.insert(user.program.clone(), user.number);
        self.users.push(user);
    }

    /// Takes a user away. Its number is not given again.
    pub(super) fn remove(&mut self, number: u32) {
        self.users.retain(|user| user.number != number);
        self.numbers.retain(|_, of| *of != number);
    }

    pub(super) fn number_of(&self, program: &str) -> Option<u32> {
        self.numbers.get(program).copied()
    }

    pub(super) fn has(&self, number: u32) -> bool {
        self.users.iter().any(|user| user.number == number)
    }

    pub(super) fn users(&self) -> &[ProgramUser] {
        &self.users
    }

    /// As it is kept.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{NEXT}{}\n", self.next);
        for user in &self.users {
            let ProgramUser {
                program, number, ..
            } = user;
            let starter = user
                .starter
                .map_or_else(|| "-".to_owned(), |starter| starter.to_string());
            text.push_str(&format!("{program} {starter} {number}\n"));
        }
        text
    }

    pub(super) fn read(path: &Path) -> io::Result<Self> {
        match state_file::read(path, MOST_BYTES)? {
            Some(file) => Self::parse(&file),
            // No program has had one yet.
            None => Ok(Self::default()),
        }
    }

    /// Deletes a user in the file where it is: no room is taken for it, and a disk writes the one byte or does
    /// not, so that there is the old table or the new one.
    pub(super) fn delete_in_place(path: &Path, number: u32) -> io::Result<()> {
        let gone = || io::Error::other(format!("user {number} is not in it any more"));
        let file = state_file::read(path, MOST_BYTES)?.ok_or_else(gone)?;
        let table = Self::parse(&file)?;
        let user = table.users.iter().find(|user| user.number == number);
        let hash = &user.ok_or_else(gone)?.program;
        // A program is there once.
        let mut lines = file.split_inclusive(|byte| *byte == b'\n');
        let mut at: u64 = 0;
        let found = lines.any(|line| {
            let found = line.starts_with(hash.as_bytes());
            if !found {
                at = at.saturating_add(line.len() as u64);
            }
            found
        });
        if !found {
            return Err(gone());
        }
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(path)?;
        let mut byte = [0; 4];
        file.write_all_at(DELETED.encode_utf8(&mut byte).as_bytes(), at)?;
        file.sync_data()
    }

    fn parse(file: &[u8]) -> io::Result<Self> {
        let wrong = |line: usize| {
            let sentence = format!(
                "line {line} is not a program's hash with its user, or is there twice; put a copy back, or \
                 move the file away and give the programs' directories beside it new owners"
            );
            io::Error::new(io::ErrorKind::InvalidData, sentence)
        };
        let text = std::str::from_utf8(file).map_err(|_| wrong(1))?;
        let mut table = Self::default();
        let next = match text.lines().next().and_then(|line| line.strip_prefix(NEXT)) {
            Some(next) => Some(
                next.parse()
                    .ok()
                    .filter(|next| (FIRST..=TEMPORARY).contains(next))
                    .ok_or_else(|| wrong(1))?,
            ),
            None => None,
        };
        let mut given = std::collections::HashSet::new();
        for (at, line) in text.lines().enumerate().skip(usize::from(next.is_some())) {
            let at = at.saturating_add(1);
            let (line, deleted) = match line.strip_prefix(DELETED) {
                Some(rest) => (format!("0{rest}"), true),
                None => (line.to_owned(), false),
            };
            let user = match next {
                Some(next) => parse_line(&line).filter(|user| (FIRST..next).contains(&user.number)),
                None => table.parse_first_form(&line),
            };
            let user = user.ok_or_else(|| wrong(at))?;
            let is_twice = !given.insert(user.number);
            if is_twice || given.len() > MOST {
                return Err(wrong(at));
            }
            if deleted {
                continue;
            }
            if table.numbers.contains_key(&user.program) {
                return Err(wrong(at));
            }
            table.insert(user);
        }
        if let Some(next) = next {
            table.next = next;
        }
        Ok(table)
    }

    /// As the first version kept it: the number is that of the line.
    fn parse_first_form(&mut self, line: &str) -> Option<ProgramUser> {
        let (program, starter) = match line.split_once(' ') {
            Some((program, starter)) => (program, Some(starter.parse().ok()?)),
            None => (line, None),
        };
        let number = self.next;
        self.next = number.checked_add(1)?;
        is_hash(program).then(|| ProgramUser {
            program: program.to_owned(),
            starter,
            number,
        })
    }
}

fn parse_line(line: &str) -> Option<ProgramUser> {
    let mut words = line.split(' ');
    let (program, starter, number) = (words.next()?, words.next()?, words.next()?);
    let starter = match starter {
        "-" => None,
        starter => Some(starter.parse().ok()?),
    };
    let number = number.parse().ok()?;
    (is_hash(program) && words.next().is_none()).then(|| ProgramUser {
        program: program.to_owned(),
        starter,
        number,
    })
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_a_number_that_was_given_is_never_the_next() {
        let mut table = UserTable::default();
        for (program, starter) in [("0", None), ("1", Some(1000)), ("2", Some(ROOT))] {
            table.add(program.repeat(64), starter).unwrap();
        }
        table.remove(FIRST + 2);
        table.remove(FIRST);
        let again = UserTable::parse(table.text().as_bytes()).unwrap();
        assert_eq!(again.users(), table.users());
        for mut table in [table, again] {
            assert_eq!(table.number_of(&"0".repeat(64)), None);
            assert_eq!(table.number_of(&"1".repeat(64)), Some(FIRST + 1));
            assert_eq!(table.add("0".repeat(64), None), Some(FIRST + 3));
        }
    }

    #[test]
    fn the_first_form_is_read_and_its_numbers_stay() {
        let text = format!("{}\n{} 1000\n", "0".repeat(64), "1".repeat(64));
        let mut table = UserTable::parse(text.as_bytes()).unwrap();
        assert_eq!(table.number_of(&"1".repeat(64)), Some(FIRST + 1));
        assert_eq!(table.users()[1].starter, Some(1000));
        assert_eq!(table.add("2".repeat(64), None), Some(FIRST + 2));
    }

    #[test]
    fn a_user_that_is_deleted_in_place_is_gone_and_its_number_is_given_to_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        let [one, two, three] = ["0", "1", "2"].map(|digit| digit.repeat(64));
        let next = FIRST + 9;
        for text in [
            format!("{one}\n{two} 1000\n{three} 0\n"),
            format!(
                "next {next}\n{one} - {FIRST}\n{two} 1000 {}\n{three} 0 {}\n",
                FIRST + 1,
                FIRST + 2
            ),
        ] {
            std::fs::write(&path, &text).unwrap();
            let before = UserTable::read(&path).unwrap();
            UserTable::delete_in_place(&path, FIRST + 1).unwrap();
            let written = std::fs::read_to_string(&path).unwrap();
            let without = format!("-{}", &two[1..]);
            assert_eq!(written, text.replacen(&two, &without, 1));
            let table = UserTable::read(&path).unwrap();
            let left: Vec<u32> = table.users().iter().map(|user| user.number).collect();
            assert_eq!(left, [FIRST, FIRST + 2]);
            assert_eq!((table.number_of(&two), table.next), (None, before.next));
            assert!(table.was_given(FIRST + 1));
            // It is not there twice, nor for another number.
            for number in [FIRST + 1, FIRST + 7, 0] {
                UserTable::delete_in_place(&path, number).unwrap_err();
            }
            assert_eq!(std::fs::read_to_string(&path).unwrap(), written);
            // The next table that is kept says nothing of it, and its number is still given.
            let again = UserTable::parse(table.text().as_bytes()).unwrap();
            assert_eq!((again.users().len(), again.next), (2, before.next));
        }
    }

    #[test]
    fn a_table_that_is_damaged_is_refused() {
        let hash = "0".repeat(64);
        let other = "1".repeat(64);
        let next = FIRST + 5;
        for text in [
            "x\n".to_owned(),
            format!("{hash}\n{hash}\n"),
            "\u{e9}".repeat(32),
            "next 5\n".to_owned(),
            format!("next {}\n", TEMPORARY + 1),
            format!("next {next}\n{hash}\n"),
            format!("next {next}\n{hash} 0 {next}\n"),
            format!("next {next}\n{hash} 0 {}\n", FIRST - 1),
            format!("next {next}\n{hash} 0 {FIRST} x\n"),
            format!("next {next}\n{hash} x {FIRST}\n"),
            format!("next {next}\n{hash} 0 {FIRST}\n{other} 0 {FIRST}\n"),
            format!("next {next}\n{hash} 0 {FIRST}\n{hash} 0 {}\n", FIRST + 1),
            format!("next {next}\n-{} 0 {next}\n", "0".repeat(63)),
            format!(
                "next {next}\n-{} 0 {FIRST}\n{hash} 0 {FIRST}\n",
                "0".repeat(63)
            ),
            format!("next {next}\n-{hash} 0 {FIRST}\n"),
            "-\n".to_owned(),
        ] {
            let refused = UserTable::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(refused.contains("is not a program's hash"), "{text}");
        }
    }
}
