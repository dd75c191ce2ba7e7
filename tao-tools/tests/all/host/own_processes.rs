//! A program's own set of processes, and the limits of it, as programs and administrators
//! find them.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use tao_host::{Confinement, FileRules, ProgramPolicy};

use super::{
    common::{Setup, TestHost, command, executable},
    isolation::{can, text},
};

/// Waits until something holds that others are still busy with.
fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What there is after a while.
pub fn patiently<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    soon(what, || {
        found = attempt();
        found.is_some()
    });
    found.unwrap()
}

fn exists(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Starts a program in the background and gives its process.
fn detached(host: &TestHost, words: &[&str]) -> i32 {
    let all: Vec<&str> = ["run", "--detach"].iter().chain(words).copied().collect();
    let output = host.run(&all);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    said.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_program_sees_only_its_own_processes() {
    let host = TestHost::start(120);
    if !can(&host, Confinement::Processes) {
        return;
    }
    let victim = detached(&host, &["sleep", "60"]);
    let seen = text(&host.run(&["run", "sh", "-c", "echo /proc/[0-9]*"]).stdout);
    assert_eq!(seen.trim(), "/proc/1 /proc/2");
    let own = text(&host.run(&["run", "sh", "-c", "echo $$ $PPID"]).stdout);
    assert_eq!(own.trim(), "2 0");
    let kill = format!("kill -9 {victim}");
    assert!(!host.run(&["run", "sh", "-c", &kill]).status.success());
    assert!(exists(victim));
}

#[test]
fn what_a_program_leaves_behind_ends_with_it() {
    let host = TestHost::start(121);
    if !can(&host, Confinement::Processes) {
        return;
    }
    // The child has given up its parent, its session and its channel. Its file system is the
    // machine's, so it can be watched from here.
    let mark = host.path("alive");
    let script = format!(
        "setsid sh -c 'while :; do date +%N >>{file}; sleep 0.02; done' </dev/null >/dev/null 2>&1 3<&- 4>&- & \
         while ! [ -s {file} ]; do sleep 0.02; done",
        file = mark.display()
    );
    assert!(host.run(&["run", "sh", "-c", &script]).status.success());
    let last = std::fs::read(&mark).unwrap();
    assert!(!last.is_empty());
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(std::fs::read(&mark).unwrap(), last);
}

#[test]
fn a_program_that_does_not_handle_a_signal_ends_by_it() {
    let host = TestHost::start(122);
    let script = "kill -ABRT $$; exit 9";
    let output = host.run(&["run", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(128 + 6));
    let pid = detached(&host, &["sleep", "60"]);
    let program = host.admin().list().unwrap().pop().unwrap();
    assert_eq!(program.pid, pid);
    host.admin().stop(&program.subprin).unwrap();
    let waited = host.run(&["wait", &pid.to_string()]);
    assert_eq!(waited.status.code(), Some(128 + 15));
    soon("the process is left", || !exists(pid));
}

#[test]
fn a_program_that_the_kernel_does_not_execute_is_an_error_and_leaves_nothing() {
    let host = TestHost::start(119);
    // A header for this machine, and nothing behind it.
    let mut elf = std::fs::read("/proc/self/exe").unwrap();
    elf.truncate(64);
    let path = host.path("header");
    executable(&path, &elf);
    for _ in 0..3 {
        let output = host.run(&["run", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(125));
        assert!(text(&output.stderr).contains("Exec format error"));
        assert!(host.admin().list().unwrap().is_empty());
    }
    assert!(host.run(&["run", "true"]).status.success());
}

#[test]
fn orphans_are_waited_for() {
    let host = TestHost::start(123);
    if !can(&host, Confinement::Processes) {
        return;
    }
    // They end some time; then nothing is left of them, not even a zombie.
    let script = "for i in 1 2 3 4 5 6; do (sleep 0.01 & true); done; \
                  while set -- /proc/[0-9]*; [ $# -gt 2 ]; do read x </dev/null; done; echo $*";
    let seen = text(&host.run(&["run", "sh", "-c", script]).stdout);
    assert_eq!(seen.trim(), "/proc/1 /proc/2");
}

#[test]
fn the_kernels_settings_can_not_be_written_by_a_program_of_root() {
    let host = TestHost::start(124);
    if !can(&host, Confinement::Processes) || !test_support::is_root() {
        return;
    }
    for file in [
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/sys/kernel/uevent_helper",
    ] {
        // Opened for writing, nothing written.
        let script = format!("true >>{file}");
        let output = host.run(&["run", "sh", "-c", &script]);
        assert!(!output.status.success(), "{file}");
    }
}

#[test]
fn programs_end_with_a_host_that_is_killed() {
    let outer = TestHost::start(125);
    if !can(&outer, Confinement::Processes) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("admin.sock");
    let mut host = std::process::Command::new(command("tao"))
        .arg("--socket")
        .arg(&socket)
        .args(["host", "start", "--soft", "--state"])
        .arg(dir.path())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    soon("the host does not listen", || {
        tao::admin::Admin::connect(&socket).is_ok()
    });
    let started = std::process::Command::new(command("tao"))
        .arg("--socket")
        .arg(&socket)
        .args(["run", "--detach", "sleep", "60"])
        .output()
        .unwrap();
    let said = text(&started.stdout);
    let pid: i32 = said.split_whitespace().next().unwrap().parse().unwrap();
    assert!(exists(pid));
    host.kill().unwrap();
    host.wait().unwrap();
    soon("a program outlives its host", || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Nobody may be there who waits for it.
        status.is_empty() || status.contains(") Z ")
    });
    // The next host that makes groups removes what this one left.
    let groups = cgroup_hierarchy().map(|path| path.join("tao"));
    if let Some(groups) = groups.filter(|path| path.exists()) {
        let killed = format!("-{}-", host.id());
        let left = || {
            let mut entries = std::fs::read_dir(&groups).unwrap().flatten();
            entries.any(|entry| entry.file_name().to_string_lossy().contains(&killed))
        };
        soon("the groups of a killed host are left", || {
            assert!(TestHost::start(129).run(&["run", "true"]).status.success());
            !left()
        });
    }
}

/// Where control groups (version 2) are mounted.
fn cgroup_hierarchy() -> Option<std::path::PathBuf> {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let words = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let mut found = words.filter(|words| words.get(2) == Some(&"cgroup2"));
    found.next().map(|words| words[1].into())
}

#[test]
fn limits_that_can_not_be_set_are_refused_and_those_of_the_policy_hold() {
    let mut setup = Setup::new(126);
    setup.programs.limits.processes = Some(20);
    setup.programs.limits.memory = Some(1 << 30);
    let host = setup.start();
    let asked = host.run(&["run", "--processes", "10", "true"]);
    if !can(&host, Confinement::Limits) {
        assert_eq!(asked.status.code(), Some(125));
        assert!(text(&asked.stderr).contains("cannot set any"));
        return;
    }
    assert!(asked.status.success(), "{}", text(&asked.stderr));
    let more = host.run(&["run", "--processes", "21", "true"]);
    assert_eq!(more.status.code(), Some(125));
    assert!(text(&more.stderr).contains("the host's policy allows programs 20"));
}

#[test]
fn nonsense_limits_are_refused_before_anything_is_started() {
    let host = TestHost::start(127);
    for words in [
        ["--memory", "lots"],
        ["--memory", "1"],
        ["--cpu", "50"],
        ["--cpu", "0%"],
    ] {
        let [option, value] = words;
        let output = host.run(&["run", option, value, "true"]);
        assert_eq!(output.status.code(), Some(125), "{words:?}");
        assert!(text(&output.stderr).contains("expected"), "{words:?}");
    }
}

#[test]
fn a_program_uses_the_files_of_the_policy_and_no_others() {
    let mut setup = Setup::new(128);
    let (open, closed) = (
        setup.dir.path().join("open"),
        setup.dir.path().join("closed"),
    );
    for dir in [&open, &closed] {
        std::fs::create_dir(dir).unwrap();
        std::fs::write(dir.join("file"), "text").unwrap();
        // What is refused is refused by the rules.
        for (path, mode) in [(dir.clone(), 0o777), (dir.join("file"), 0o666)] {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
    }
    setup.programs = ProgramPolicy {
        files: Some(FileRules {
            read: ["/bin", "/usr", "/lib", "/lib64", "/etc"]
                .iter()
                .map(std::path::PathBuf::from)
                .filter(|path| path.exists())
                .collect(),
            write: vec![open.clone()],
        }),
        ..ProgramPolicy::default()
    };
    let host = setup.start();
    if !can(&host, Confinement::Landlock) {
        return;
    }
    let sh = |script: String| host.run(&["run", "sh", "-c", &script]);
    let written = sh(format!(
        "echo more >>{0}/file && mkdir {0}/new && cat {0}/file && echo 1 >/dev/null && cat /proc/self/comm",
        open.display()
    ));
    assert_eq!(
        text(&written.stdout),
        "textmore\ncat\n",
        "{}",
        text(&written.stderr)
    );
    for script in [
        format!("cat {}/file", closed.display()),
        format!("ls {}", closed.display()),
        format!("echo x >{}/new", closed.display()),
        format!("mv {}/file {}/moved", open.display(), closed.display()),
        "echo x >/usr/new-file".to_owned(),
    ] {
        assert!(!sh(script.clone()).status.success(), "{script}");
    }
}
