//! How many counters a program may have, and how they are deleted.

use tao::limits::Limits;
use tao::{admin::Start, client::SealPolicy};

use super::{
    common::{Setup, TestHost, command},
    counters::parent,
};

/// A program that makes all the counters it can, under as many names as it can.
#[test]
fn one_program_cannot_take_the_room_of_others_whatever_it_calls_itself() {
    let host = TestHost::start(68);
    let dir = host.dir();
    let greedy = parent(host.raw());
    let mut made = 0;
    let mut refused = None;
    for name in 0..20 {
        let long = "x".repeat(100);
        let extension = format!(".Name({name}, \"{long}\")").parse().unwrap();
        greedy.extend_tao_name(&extension).unwrap();
        // Sixty at once: they share a write.
        let results: Vec<_> = std::thread::scope(|scope| {
            let greedy = &greedy;
            let make = |number: usize| {
                scope.spawn(move || greedy.init_counter(&format!("{name} {number}"), 1))
            };
            let threads: Vec<_> = (0..60).map(make).collect();
            threads.into_iter().map(|one| one.join().unwrap()).collect()
        });
        for result in results {
            match result {
                Ok(()) => made += 1,
                Err(error) => refused = Some(error.to_string()),
            }
        }
    }
    assert_eq!(made, 1024);
    let refused = refused.unwrap();
    assert!(
        refused.contains("no more counters: this program"),
        "{refused}"
    );
    // A label of any length is no way around.
    let long = "l".repeat(1025);
    let error = greedy.init_counter(&long, 1).unwrap_err().to_string();
    assert!(error.contains("longer than 1024 bytes"), "{error}");
    // Others are told nothing of it, and the table is small.
    let other = host.admin().start(&Start {
        path: command("tao-report").to_str().unwrap(),
        args: &[],
        dir: "/",
        environment: &[],
        socket: false,
        limits: Limits::default(),
        stdio: None,
    });
    assert!(other.is_ok());
    let size = std::fs::metadata(dir.path().join("state/counters")).unwrap();
    assert!(size.len() < 256 << 10, "{} bytes", size.len());
    // Room for another is made by the program itself, under the name it has now.
    greedy.init_counter("late", 1).unwrap_err();
    greedy.delete_counter("19 0").unwrap_err();
    drop(greedy);
    drop(host);
    let mut setup = Setup::new(68);
    setup.dir = dir;
    let host = setup.start();
    let listed = host.admin().counters().unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0].counters, 1024);
    assert!(listed[0].name.starts_with(".Program(["), "{listed:?}");
    let program = parent(host.raw());
    assert!(program.init_counter("late", 1).is_err());
    // And by an administrator.
    let hash = hex::encode(&listed[0].program);
    let said = host.run(&["host", "counters", "list"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains(&hash) && said.contains("1024"), "{said}");
    let said = host.run(&["host", "counters", "delete", &hash]);
    assert!(said.status.success(), "{said:?}");
    assert!(host.admin().counters().unwrap().is_empty());
    assert!(
        !host
            .run(&["host", "counters", "delete", &hash])
            .status
            .success()
    );
    assert!(
        !host
            .run(&["host", "counters", "delete", "00"])
            .status
            .success()
    );
    program.init_counter("late", 1).unwrap();
}

#[test]
fn what_was_sealed_under_a_deleted_counter_does_not_open_under_its_successor() {
    let host = TestHost::start(69);
    let program = parent(host.raw());
    let seal = || {
        program
            .rollback_protected_seal("a", b"x", SealPolicy::Own)
            .unwrap()
    };
    let old = seal();
    program.delete_counter("a").unwrap();
    for error in [
        program.counter("a").map(drop).unwrap_err(),
        program.delete_counter("a").unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "No such counter");
    }
    assert!(program.rollback_protected_unseal(&old).is_err());
    let new = seal();
    assert_eq!(program.counter("a"), Ok(1));
    assert!(program.rollback_protected_unseal(&old).is_err());
    assert!(program.rollback_protected_unseal(&new).is_ok());
}
