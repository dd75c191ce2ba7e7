//! The filter of system calls, as programs meet it: each call that is not allowed is made by a
//! real program, and ordinary programs work.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use nix::libc::{EAFNOSUPPORT, ENOSYS, EPERM};
use tao_host::{Confinement, ProgramPolicy};

use super::{
    common::{Setup, TestHost},
    isolation::{can, text},
};

/// The program in C that makes them.
fn build(dir: &Path) -> PathBuf {
    let program = dir.join("calls");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/host/calls.c");
    let built = Command::new("gcc")
        .args([
            "-std=gnu11",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pthread",
            "-o",
        ])
        .args([&program, &source])
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", text(&built.stderr));
    program
}

/// What the calls said, by their names, and what else it printed.
fn calls(host: &TestHost, words: &[&str]) -> (BTreeMap<String, i32>, String) {
    let program = build(host.dir().path());
    let mut all = vec!["run", program.to_str().unwrap()];
    all.extend(words);
    let output = host.run(&all);
    let said = text(&output.stdout);
    let (calls, rest): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| {
        let last = line.rsplit(' ').next().unwrap();
        !line.starts_with("step ") && last.parse::<i32>().is_ok()
    });
    let calls = calls.iter().map(|line| {
        let (name, number) = line.split_once(' ').unwrap();
        (name.to_owned(), number.parse().unwrap())
    });
    (calls.collect(), rest.join("\n"))
}

#[test]
fn each_call_that_is_not_allowed_fails_and_ordinary_ones_work() {
    let host = TestHost::start(87);
    if !can(&host, Confinement::Seccomp) {
        return;
    }
    let (calls, rest) = calls(&host, &[]);
    assert_eq!(rest, "works");
    assert_eq!(calls.len(), 64, "{calls:?}");
    for (name, found) in calls {
        let newer = [
            "clone3",
            "io_uring_setup",
            "io_uring_enter",
            "io_uring_register",
            "open_tree",
            "move_mount",
            "fsopen",
            "fsconfig",
            "fsmount",
            "fspick",
            "pidfd_getfd",
            "process_madvise",
            "mount_setattr",
            "statmount",
            "listmount",
            "open_tree_attr",
            "next-call",
        ];
        let expected = match name.as_str() {
            "netfilter" | "vsock" | "alg" | "packet" => EAFNOSUPPORT,
            newer_one if newer.contains(&newer_one) => ENOSYS,
            _ => EPERM,
        };
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn without_the_filter_the_same_calls_reach_the_kernel() {
    let mut setup = Setup::new(88);
    setup.programs = ProgramPolicy {
        confinements: Vec::new(),
        ..ProgramPolicy::default()
    };
    let host = setup.start();
    let (calls, _) = calls(&host, &["without-filter"]);
    // What is refused above is refused by the filter: the kernel knows these calls, and takes
    // them or has something to say about their arguments.
    for name in [
        "clone-user",
        "clone3",
        "netfilter",
        "open_tree",
        "fsopen",
        "mount",
    ] {
        assert!(
            ![ENOSYS, EPERM, EAFNOSUPPORT].contains(&calls[name]),
            "{name}: {calls:?}"
        );
    }
    assert_eq!(calls["next-call"], ENOSYS);
}

#[test]
fn ordinary_programs_run() {
    let host = TestHost::start(89);
    let sh = |script: &str| host.run(&["run", "sh", "-c", script]);
    let output = sh("for i in 3 1 2; do echo $i; done | sort | tail -n 1; \
                     x=$(date +%s); [ $x -gt 0 ] && ls -l / | wc -l >/dev/null && \
                     dd if=/dev/zero of=/dev/null bs=1k count=1 2>/dev/null && \
                     head -c 8 /dev/urandom | od >/dev/null && echo done");
    assert_eq!(
        text(&output.stdout),
        "3\ndone\n",
        "{}",
        text(&output.stderr)
    );
    for (program, arguments) in [
        ("/usr/bin/perl", ["-e", "print 6 * 7"]),
        (
            "/usr/bin/python3",
            [
                "-c",
                "import threading, subprocess, socket; t = threading.Thread(target=print, args=('x',)); t.start(); t.join(); print(subprocess.check_output(['echo', '42']))",
            ],
        ),
        ("/bin/busybox", ["expr", "42"]),
    ] {
        if Path::new(program).exists() {
            let [first, second] = arguments;
            let output = host.run(&["run", program, first, second]);
            let (said, wrong) = (text(&output.stdout), text(&output.stderr));
            assert!(said.contains("42"), "{program}: {said} {wrong}");
        }
    }
}
