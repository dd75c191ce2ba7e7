//! What is known of a program beside its user's number: its name, and when it was started last.
//!
//! A file for each user, in the host's state: its content is the name, its time of change that of the last
//! start. It is for administrators to read, and nothing rests on it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use nix::unistd::Uid;
use tao::{logic::SubPrin, state_file};

/// Directory of the files, in the host's state.
const DIRECTORY: &str = "started";
/// A name that is longer is cut: arguments and variables may be in it.
const LONGEST: usize = 200;

/// A program's name, and when it was started last.
pub(crate) struct LastStart {
    pub name: String,
    pub at: SystemTime,
}

fn file(state: &Path, uid: Uid) -> PathBuf {
    state.join(DIRECTORY).join(uid.to_string())
}

/// Takes note of a start.
pub(crate) fn note(state: &Path, uid: Uid, program: &SubPrin) -> io::Result<()> {
    let path = file(state, uid);
    match File::options().write(true).open(&path) {
        Ok(file) => file.set_modified(SystemTime::now()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            state_file::replace(&path, beginning(&program.to_string()).as_bytes())
        }
        Err(error) => Err(error),
    }
}

/// What is known.
pub(crate) fn last(state: &Path, uid: Uid) -> io::Result<Option<LastStart>> {
    let path = file(state, uid);
    let Some(name) = state_file::read(&path, LONGEST.saturating_add(3) as u64)? else {
        return Ok(None);
    };
    Ok(Some(LastStart {
        name: String::from_utf8_lossy(&name).into_owned(),
        at: fs::metadata(&path)?.modified()?,
    }))
}

/// Forgets it.
pub(crate) fn forget(state: &Path, uid: Uid) -> io::Result<()> {
    match fs::remove_file(file(state, uid)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn beginning(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let kept = name
        .char_indices()
        .take_while(|(at, character)| at.saturating_add(character.len_utf8()) <= LONGEST);
    let kept: String = kept.map(|(_, character)| character).collect();
    format!("{kept}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_stays_and_the_time_is_that_of_the_last_start() {
        let dir = tempfile::tempdir().unwrap();
        let uid = Uid::from_raw(7);
        assert!(last(dir.path(), uid).unwrap().is_none());
        let program: SubPrin = ".Program([00])".parse().unwrap();
        note(dir.path(), uid, &program).unwrap();
        let old = SystemTime::UNIX_EPOCH;
        let kept = File::options().write(true).open(file(dir.path(), uid));
        kept.unwrap().set_modified(old).unwrap();
        assert_eq!(last(dir.path(), uid).unwrap().unwrap().at, old);
        note(dir.path(), uid, &program).unwrap();
        let found = last(dir.path(), uid).unwrap().unwrap();
        assert_eq!(found.name, ".Program([00])");
        assert!(found.at > old);
        forget(dir.path(), uid).unwrap();
        forget(dir.path(), uid).unwrap();
        assert!(last(dir.path(), uid).unwrap().is_none());
    }

    #[test]
    fn a_long_name_is_cut_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let uid = Uid::from_raw(7);
        for name in [
            "x".repeat(5000),
            "\u{e9}".repeat(199),
            "\u{1f600}".repeat(300),
        ] {
            let program: SubPrin = format!(".Args(\"{name}\")").parse().unwrap();
            note(dir.path(), uid, &program).unwrap();
            let found = last(dir.path(), uid).unwrap().unwrap().name;
            assert!(
                found.starts_with(".Args(\"") && found.ends_with("..."),
                "{found}"
            );
            forget(dir.path(), uid).unwrap();
        }
    }
}
