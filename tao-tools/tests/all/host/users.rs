//! The users that programs have of their own, and how they are deleted.

use std::{fs, os::unix::fs::symlink, path::PathBuf, time::Duration};

use serde_json::Value;
use tao::{
    admin::{HostedProgram, ProgramUser, Start},
    limits::Limits,
};
use test_support::is_root;

use super::common::{Setup, TestHost, command, users_of_its_own};

fn host_with_users(secret: u8) -> TestHost {
    let setup = Setup::new(secret);
    let state = setup.dir.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::write(state.join("users"), users_of_its_own()).unwrap();
    setup.start()
}

fn ended(host: &TestHost, program: &HostedProgram) -> i32 {
    let mut admin = host.admin();
    admin.begin_wait(program).unwrap();
    admin.finish_wait().unwrap()
}

fn listed(host: &TestHost) -> Vec<Value> {
    let said = host.run(&["host", "users", "list", "--json"]);
    assert!(said.status.success(), "{said:?}");
    serde_json::from_slice(&said.stdout).unwrap()
}

/// Arguments are not in names: a program is another one by its file only.
fn start(host: &TestHost, path: &str, arguments: &[&str]) -> HostedProgram {
    let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    let start = Start {
        path,
        args: &arguments,
        dir: "/",
        environment: &[],
        socket: false,
        limits: Limits::default(),
        stdio: None,
    };
    host.admin().start(&start).unwrap()
}

/// The private directory, on the machine.
fn directory(host: &TestHost, uid: &Value) -> PathBuf {
    host.path("state/programs").join(uid.to_string())
}

fn delete(host: &TestHost, which: &str) -> (Option<i32>, String) {
    let said = host.run(&["host", "users", "delete", which]);
    let text = [said.stdout, said.stderr].concat();
    (said.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn a_deleted_user_takes_its_directory_along_and_no_program_gets_its_number() {
    if !is_root() {
        return;
    }
    let host = host_with_users(90);
    assert!(listed(&host).is_empty());
    let first = start(&host, "/bin/sleep", &["600"]);
    let mut users = listed(&host);
    let user = users.remove(0);
    assert!(users.is_empty());
    assert_eq!(user["running"], true, "{user}");
    assert_eq!(user["starter"], 0, "{user}");
    assert_eq!(user["name"], first.subprin.to_string(), "{user}");
    let uid = user["uid"].to_string();
    let (code, said) = delete(&host, &uid);
    assert_ne!(code, Some(0));
    assert!(said.contains("its program runs"), "{said}");
    // Nothing was done.
    assert_eq!(listed(&host).len(), 1);
    let own = directory(&host, &user["uid"]);
    fs::create_dir_all(own.join("a/b")).unwrap();
    fs::write(host.path("kept"), "").unwrap();
    symlink(host.path("kept"), own.join("a/b/link")).unwrap();

    host.admin().kill(&first.subprin).unwrap();
    ended(&host, &first);
    let user = listed(&host).remove(0);
    assert_eq!(user["running"], false, "{user}");
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let last = user["last_started"].as_u64().unwrap();
    assert!((now - 600..=now).contains(&last), "{user}");
    let name = user["name"].as_str().unwrap();
    let text = host.run(&["host", "users", "list"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.starts_with(&uid) && text.contains(name), "{text}");
    assert_eq!(
        delete(&host, name),
        (Some(0), format!("user deleted: {uid}\n"))
    );
    assert!(!own.exists());
    assert!(host.path("kept").exists());
    assert!(listed(&host).is_empty());
    let (code, said) = delete(&host, name);
    assert_ne!(code, Some(0), "{said}");

    // The next program has another one, and so has the same one, after a restart, too.
    start(&host, "/bin/cat", &["/dev/null"]);
    let other = listed(&host).remove(0)["uid"].as_u64().unwrap();
    assert_eq!(other, uid.parse::<u64>().unwrap() + 1);
    let dir = host.dir();
    drop(host);
    let mut setup = Setup::new(90);
    setup.dir = dir;
    let host = setup.start();
    start(&host, "/bin/sleep", &["600"]);
    let uids: Vec<_> = listed(&host)
        .iter()
        .map(|user| user["uid"].as_u64())
        .collect();
    assert_eq!(uids, [Some(other), Some(other + 1)]);
}

#[test]
fn what_an_interrupted_deletion_left_is_listed_and_deleted() {
    if !is_root() {
        return;
    }
    let host = host_with_users(91);
    let run = host.run(&["run", command("tao-report").to_str().unwrap()]);
    assert!(run.status.success(), "{run:?}");
    let user = listed(&host).remove(0);
    let hash = user["program"].as_str().unwrap().to_owned();
    let uid = user["uid"].to_string();
    assert_eq!(
        delete(&host, &hash),
        (Some(0), format!("user deleted: {uid}\n"))
    );
    let own = directory(&host, &user["uid"]);
    fs::create_dir_all(own.join("a")).unwrap();
    // What no host has made stays.
    let foreign = host.path("state/programs/1000");
    fs::create_dir(&foreign).unwrap();
    let left = listed(&host);
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(
        (&left[0]["uid"], &left[0]["program"]),
        (&user["uid"], &Value::Null)
    );
    let (code, _) = delete(&host, "1000");
    assert_ne!(code, Some(0));
    assert_eq!(
        delete(&host, &uid),
        (Some(0), format!("user deleted: {uid}\n"))
    );
    assert!(!own.exists() && foreign.exists());
    assert!(listed(&host).is_empty());
    for wrong in ["x", "-1", "4294967296", "00", ".Program([00])...", ".("] {
        let (code, said) = delete(&host, wrong);
        assert_ne!(code, Some(0), "{wrong}: {said}");
    }
}

/// Programs start and end all the time; whoever deletes never takes the user of one that runs.
#[test]
fn a_user_is_never_deleted_under_a_program_that_is_being_started() {
    if !is_root() {
        return;
    }
    let host = host_with_users(92);
    let rounds = 40;
    std::thread::scope(|scope| {
        let host = &host;
        let deleting = scope.spawn(move || {
            let mut deleted = 0;
            let until = std::time::Instant::now() + Duration::from_secs(60);
            while deleted < 3 && std::time::Instant::now() < until {
                for user in host.admin().users().unwrap() {
                    deleted += usize::from(
                        host.admin()
                            .delete_user(&ProgramUser::Number(user.uid))
                            .is_ok(),
                    );
                }
            }
            deleted
        });
        for _ in 0..rounds {
            // It ends well only if it finds its own directory, and itself its owner.
            let state = host.path("state");
            let script = format!("cd {} && touch x && test -O x", state.display());
            let program = start(host, "/bin/sh", &["-c", &script]);
            assert_eq!(ended(host, &program), 0);
        }
        assert!(deleting.join().unwrap() > 0);
    });
}
