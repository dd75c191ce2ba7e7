//! Users of programs: given once, kept, and deleted only when nothing runs as them.

use super::*;
use crate::confine::user_table::{MOST_OF_ONE, ROOT, ROOTS};

fn name(number: u8) -> SubPrin {
    format!(".Program([{number:02x}])").parse().unwrap()
}

fn number(users: &Arc<Users>, program: u8) -> u32 {
    let lease = users.of(&name(program), Uid::from_raw(ROOT)).unwrap();
    assert_eq!(lease.uid().as_raw(), lease.gid().as_raw());
    lease.uid().as_raw()
}

#[test]
fn a_program_keeps_its_user_and_shares_it_with_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let users = Users::new(Some(dir.path()));
    assert_eq!(number(&users, 1), FIRST);
    assert_eq!(number(&users, 2), FIRST + 1);
    let again = Users::new(Some(dir.path()));
    assert_eq!(number(&again, 2), FIRST + 1);
    assert_eq!(number(&again, 3), FIRST + 2);
    assert_eq!(number(&Users::new(None), 3), FIRST);
}

#[test]
fn a_deleted_users_number_is_given_to_no_program_again_not_even_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let users = Users::new(Some(dir.path()));
    for program in 1..=3 {
        number(&users, program);
    }
    // The last one, too, after which the table looks as if it had never been given.
    for deleted in [FIRST + 2, FIRST] {
        assert_eq!(users.forget(&Which::Number(deleted)).unwrap(), deleted);
    }
    assert_eq!(number(&users, 3), FIRST + 3);
    let again = Users::new(Some(dir.path()));
    assert_eq!(number(&again, 1), FIRST + 4);
    assert_eq!(number(&again, 2), FIRST + 1);
    assert_eq!(number(&again, 4), FIRST + 5);
    let by_name: [u8; 32] = Sha256::digest(name(2).encode()).into();
    assert_eq!(again.forget(&Which::Program(by_name)).unwrap(), FIRST + 1);
    let unknown = again.forget(&Which::Program(by_name)).unwrap_err();
    assert!(matches!(unknown, DeleteError::Unknown));
    // Nobody's that the host gives.
    for foreign in [0, 1000, FIRST - 1, TEMPORARY] {
        let unknown = again.forget(&Which::Number(foreign)).unwrap_err();
        assert!(matches!(unknown, DeleteError::Unknown));
    }
}

#[test]
fn a_user_is_not_deleted_while_its_program_runs_or_a_process_is_its() {
    let users = Users::new(None);
    let one = users.of(&name(1), Uid::from_raw(ROOT)).unwrap();
    let two = users.of(&name(1), Uid::from_raw(ROOT)).unwrap();
    let which = Which::Number(one.uid().as_raw());
    drop(one);
    let refused = users.forget(&which).unwrap_err();
    assert!(matches!(refused, DeleteError::Running(FIRST)), "{refused}");
    assert!(users.list().unwrap()[0].1);
    drop(two);
    assert!(!users.list().unwrap()[0].1);
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can start a process of another user");
        users.forget(&which).unwrap();
        return;
    }
    use std::os::unix::process::CommandExt as _;
    let mut process = std::process::Command::new("/bin/sleep")
        .arg("60")
        .uid(FIRST)
        .spawn()
        .unwrap();
    let refused = users.forget(&which).unwrap_err();
    let pid = process.id() as i32;
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(
        matches!(refused, DeleteError::Process { number: FIRST, process } if process == pid),
        "{refused}"
    );
    users.forget(&which).unwrap();
}

#[test]
fn users_that_can_not_be_kept_are_never_those_that_are() {
    let mut known = Known::default();
    let mut table = UserTable::default();
    assert_eq!(table.add("kept".to_owned(), None), Some(FIRST));
    assert_eq!(known.for_this_time("one".to_owned()).unwrap(), TEMPORARY);
    assert_eq!(
        known.for_this_time("two".to_owned()).unwrap(),
        TEMPORARY + 1
    );
    assert_eq!(table.add("kept too".to_owned(), None), Some(FIRST + 1));
    assert!(TEMPORARY - FIRST >= u32::try_from(MOST).unwrap());
}

#[test]
fn a_table_that_is_damaged_gives_nobody_a_user() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), "x\n").unwrap();
    let refused = Users::new(Some(dir.path()))
        .of(&name(1), Uid::from_raw(ROOT))
        .map(drop)
        .unwrap_err();
    assert!(
        refused.to_string().contains("is not a program's hash"),
        "{refused}"
    );
}

#[test]
fn no_user_takes_the_numbers_of_the_others_and_none_roots() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    // As an earlier version kept them.
    let line = |number: usize, starter: u32| format!("{number:064x} {starter}\n");
    let mut text = format!("{}\n", "ff".repeat(32));
    text.extend((0..MOST_OF_ONE).map(|number| line(number, 1000)));
    std::fs::write(&path, &text).unwrap();
    let users = || Users::new(Some(dir.path()));
    let start =
        |number: u8, starter: u32| users().of(&name(number), Uid::from_raw(starter)).map(drop);
    let refused = start(1, 1000).unwrap_err();
    assert!(matches!(
        refused,
        UserError::Room(RoomError::OfOne {
            count: MOST_OF_ONE,
            ..
        })
    ));
    start(1, 1001).unwrap();
    // One that is there already is nobody's new one.
    start(1, 1000).unwrap();
    // An administrator makes room.
    let first = Which::Number(FIRST + 1);
    users().forget(&first).unwrap();
    start(9, 1000).unwrap();
    start(8, 1000).unwrap_err();
    // Programs that start programs are one starter, whatever their users are.
    text.extend((0..MOST_OF_ONE).map(|number| line(number | 1 << 20, FIRST)));
    std::fs::write(&path, &text).unwrap();
    start(2, FIRST + 7).unwrap_err();
    text.extend((text.lines().count()..MOST - ROOTS).map(|n| line(n | 1 << 30, 2000 + n as u32)));
    std::fs::write(&path, &text).unwrap();
    start(3, 1002).unwrap_err();
    start(3, ROOT).unwrap();
}
