//! Files that a start names are opened with the rights of who asks for it, not with the host's.
#![allow(unsafe_code)]

use std::{
    fs,
    io::Read as _,
    os::{fd::AsFd as _, unix::fs::PermissionsExt as _},
    path::Path,
};

use nix::libc;
use tao::admin::{Admin, Start};
use tao::{guard::GuardSource, limits::Limits};
use tao_host::{Libraries, ProgramPolicy, Scripts};

use super::{
    common::{Setup, TestHost, executable},
    composed::build,
};

/// Users and groups that nobody is.
const STRANGER: u32 = 64_331;
const FURTHER: u32 = 64_332;

/// A host whose guard lets anybody start anything.
fn host(secret: u8) -> Option<TestHost> {
    if !test_support::is_root() {
        return None;
    }
    let mut setup = Setup::new(secret);
    fs::set_permissions(setup.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    setup.guard = GuardSource::Liberal;
    setup.admin_group = Some(STRANGER);
    setup.programs = ProgramPolicy {
        libraries: Libraries::Measured,
        scripts: Scripts::Measured,
        ..ProgramPolicy::default()
    };
    Some(setup.start())
}

/// What the program says that a user with this further group starts; or why it is not started.
fn run(host: &TestHost, uid: u32, path: &Path, dir: &Path) -> Result<String, String> {
    let (socket, path, dir) = (host.socket(), path.to_owned(), dir.to_owned());
    let thread = std::thread::spawn(move || {
        let groups = [FURTHER];
        // SAFETY: a list whose length is given, and integers; as system calls they change this
        // thread alone.
        let changed = unsafe {
            libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr())
                | libc::syscall(libc::SYS_setresgid, uid, uid, uid)
                | libc::syscall(libc::SYS_setresuid, uid, uid, uid)
        };
        assert_eq!(changed, 0);
        let (null, (mut reader, writer)) = (
            fs::File::open("/dev/null").unwrap(),
            std::io::pipe().unwrap(),
        );
        Admin::connect(&socket)
            .and_then(|mut admin| {
                admin.start(&Start {
                    path: path.to_str().unwrap(),
                    args: &[],
                    dir: dir.to_str().unwrap(),
                    environment: &[],
                    socket: false,
                    limits: Limits::default(),
                    stdio: Some([null.as_fd(), writer.as_fd(), writer.as_fd()]),
                })
            })
            .map_err(|error| error.to_string())?;
        drop(writer);
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        Ok(said)
    });
    thread.join().unwrap()
}

fn refused(host: &TestHost, path: &Path, dir: &Path) -> String {
    run(host, STRANGER, path, dir).unwrap_err()
}

fn file(path: &Path, bytes: &[u8], mode: u32) {
    executable(path, bytes);
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn nobody_starts_what_they_may_not_read_and_execute_themselves() {
    let Some(host) = host(160) else { return };
    let pwd = fs::read("/bin/pwd").unwrap();
    let root = Path::new("/");
    // Everybody's, root's, and the further group's.
    file(&host.path("all"), &pwd, 0o755);
    assert_eq!(
        run(&host, STRANGER, &host.path("all"), root).unwrap(),
        "/\n"
    );
    for mode in [0o700, 0o600, 0o711] {
        file(&host.path("root"), &pwd, mode);
        let said = refused(&host, &host.path("root"), root);
        assert!(said.contains("Permission denied"), "{mode:o}: {said}");
    }
    let groups = host.path("group");
    file(&groups, &pwd, 0o750);
    assert!(run(&host, STRANGER, &groups, root).is_err());
    std::os::unix::fs::chown(&groups, None, Some(FURTHER)).unwrap();
    assert_eq!(run(&host, STRANGER, &groups, root).unwrap(), "/\n");
    // In the host's memory of what it measured lately it counts the same.
    file(&host.path("all"), &pwd, 0o700);
    assert!(refused(&host, &host.path("all"), root).contains("Permission denied"));
    // Without the permission to execute it is not a program, not even root's.
    file(&host.path("text"), &pwd, 0o644);
    for uid in [STRANGER, 0] {
        let said = run(&host, uid, &host.path("text"), root).unwrap_err();
        assert!(said.contains("no permission to execute"), "{uid}: {said}");
    }
}

#[test]
fn what_is_behind_a_closed_directory_nobody_is_told() {
    let Some(host) = host(161) else { return };
    let closed = host.path("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    file(&closed.join("there"), &fs::read("/bin/pwd").unwrap(), 0o755);
    fs::create_dir(closed.join("directory")).unwrap();
    let same = |ask: &dyn Fn(&Path) -> String, names: &[&str]| {
        let said: Vec<String> = names
            .iter()
            .map(|name| ask(&closed.join(name)).replace(name, "NAME"))
            .collect();
        assert!(said[0].contains("ermission denied"), "{said:?}");
        assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
    };
    let root = Path::new("/");
    let names = ["there", "directory", "absent"];
    // As the program, as the interpreter of a script, as the working directory.
    same(&|path| refused(&host, path, root), &names);
    let script = host.path("script");
    let interpreted = |path: &Path| {
        let line = format!("#!{}\n", path.display());
        file(&script, line.as_bytes(), 0o755);
        refused(&host, &script, root)
    };
    same(&interpreted, &names);
    file(&host.path("pwd"), &fs::read("/bin/pwd").unwrap(), 0o755);
    let from = |path: &Path| refused(&host, &host.path("pwd"), path);
    same(&from, &["directory", "absent"]);
    // Root sees it all.
    assert_eq!(run(&host, 0, &closed.join("there"), root).unwrap(), "/\n");
}

#[test]
fn a_file_that_only_root_reads_is_no_interpreter_line_and_no_library() {
    let Some(host) = host(162) else { return };
    let root = Path::new("/");
    let script = host.path("script");
    file(&script, b"#!/bin/secret-word\n", 0o700);
    let said = refused(&host, &script, root);
    assert!(!said.contains("secret-word"), "{said}");
    let (made, directory) = (tempfile::tempdir().unwrap(), host.path("libraries"));
    fs::create_dir(&directory).unwrap();
    let (library, program) = build(made.path(), "one", &directory);
    fs::copy(&library, directory.join("libsays.so")).unwrap();
    fs::copy(&program, host.path("program")).unwrap();
    assert!(run(&host, STRANGER, &host.path("program"), root).is_ok());
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    let said = refused(&host, &host.path("program"), root);
    assert!(said.contains("needs the library libsays.so"), "{said}");
}

#[test]
fn the_hosts_own_descriptors_and_memory_are_no_files_of_the_callers() {
    let Some(host) = host(163) else { return };
    let root = Path::new("/");
    for (path, words) in [
        ("/proc/self/exe", "cannot follow"),
        ("/proc/self/fd/1", "cannot follow"),
        ("/dev/fd/1", "cannot follow"),
        ("/proc/self/environ", "not a regular file"),
        ("/proc/self/mem", "not a regular file"),
        ("/proc/1/root/bin/pwd", "cannot follow"),
    ] {
        for uid in [STRANGER, 0] {
            let said = run(&host, uid, Path::new(path), root).unwrap_err();
            assert!(
                said.contains(words) || said.contains("ermission denied"),
                "{path}: {said}"
            );
        }
    }
}

#[test]
fn a_guard_without_rules_is_asked_before_anything_of_a_stranger_is_measured() {
    if !test_support::is_root() {
        return;
    }
    let mut setup = Setup::new(164);
    let rules = setup.dir.path().join("rules");
    fs::set_permissions(setup.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    setup.guard = GuardSource::Local(rules);
    setup.admin_group = Some(STRANGER);
    let host = setup.start();
    let (root, absent) = (Path::new("/"), Path::new("/absent"));
    let may = format!("Authorized(user({STRANGER}), \"Start\")");
    assert!(refused(&host, absent, root).contains(&may));
    // Root is told what the program would be called.
    let said = run(&host, 0, Path::new("/bin/true"), root).unwrap_err();
    assert!(said.contains(".Program(["), "{said}");
    assert!(host.run(&["guard", "add", &may]).status.success());
    assert!(refused(&host, absent, root).contains("No such file"));
}
