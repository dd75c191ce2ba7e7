//! What of the machine and of the host programs try to see.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use nix::{mount::MsFlags, unistd::geteuid};
use tao_host::{Confinement, FileRules, Lacking, ProgramPolicy, RunAs};

use super::{
    common::{Setup, TestHost, command},
    isolation::{can, text},
};

/// The state of a soft host, as `tao host start` keeps it.
fn with_state(setup: &Setup) -> std::path::PathBuf {
    let state = setup.dir.path().join("state");
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join("secret"), [7; 32]).unwrap();
    // Whoever may reach it may read it: only what is hidden keeps programs from it.
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(state.join("secret"), fs::Permissions::from_mode(0o666)).unwrap();
    state
}

fn sh(host: &TestHost, script: &str) -> (bool, String) {
    let output = host.run(&["run", "sh", "-c", script]);
    (
        output.status.success(),
        text(&output.stdout) + &text(&output.stderr),
    )
}

#[test]
fn no_program_reads_or_writes_the_hosts_state_whatever_the_rules_say_and_whoever_it_runs_as() {
    let everything = FileRules {
        read: vec!["/".into()],
        write: vec!["/".into()],
    };
    let run_as = [RunAs::Own, RunAs::Caller, RunAs::User { uid: 0, gid: 0 }];
    for (number, run_as) in run_as.into_iter().enumerate() {
        for files in [None, Some(everything.clone())] {
            let mut setup = Setup::new(90 + number as u8);
            let state = with_state(&setup);
            setup.programs.run_as = run_as;
            setup.programs.files = files;
            let host = setup.start();
            if !can(&host, Confinement::Namespaces) {
                return;
            }
            let secret = state.join("secret");
            let (done, said) = sh(&host, &format!("cat {}", secret.display()));
            assert!(!done && said.contains("No such file"), "{run_as:?}: {said}");
            let (_, listed) = sh(&host, &format!("ls -A {}", state.display()));
            assert_eq!(listed, "", "{run_as:?}");
            let write = format!("echo x >{}/rules; rm -rf {0}; true", state.display());
            sh(&host, &write);
            assert_eq!(fs::read(&secret).unwrap(), [7; 32]);
            assert!(!state.join("rules").exists());
            // By the ways around: the host's own root, and what is mounted.
            let host_process = std::process::id();
            for way in [
                format!("cat /proc/{host_process}/root{}", secret.display()),
                format!("cat /proc/1/root{}", secret.display()),
                format!("cat /proc/self/root{}", secret.display()),
                format!("umount {} && cat {}", state.display(), secret.display()),
            ] {
                assert!(!sh(&host, &way).0, "{run_as:?}: {way}");
            }
        }
    }
}

#[test]
fn the_hosts_state_is_hidden_from_a_program_without_processes_of_its_own_too() {
    let mut setup = Setup::new(88);
    let state = with_state(&setup);
    // One with a user of its own would find its own directory there.
    setup.programs.run_as = RunAs::Caller;
    let confinements = &mut setup.programs.confinements;
    confinements.retain(|confinement| *confinement != Confinement::Processes);
    let host = setup.start();
    if !can(&host, Confinement::Namespaces) {
        return;
    }
    let secret = state.join("secret");
    let (done, said) = sh(&host, &format!("cat {}", secret.display()));
    assert!(!done && said.contains("No such file"), "{said}");
}

#[test]
fn what_is_mounted_after_a_program_was_started_is_not_seen_by_it() {
    let setup = Setup::new(87);
    let place = setup.dir.path().join("place");
    fs::create_dir(&place).unwrap();
    fs::set_permissions(setup.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let host = setup.start();
    if !geteuid().is_root() || !can(&host, Confinement::Namespaces) {
        return;
    }
    let none: Option<&str> = None;
    // Where mounts are handed on at all, as on every machine with systemd.
    nix::mount::mount(Some(&place), &place, none, MsFlags::MS_BIND, none).unwrap();
    nix::mount::mount(none, &place, none, MsFlags::MS_SHARED, none).unwrap();
    let script = format!(
        "for n in $(seq 200); do test -e {0}/go && break; sleep 0.05; done; \
         test -e {0}/late/secret && echo SEEN; test -e {0}/go && echo END",
        place.display()
    );
    fs::create_dir(place.join("late")).unwrap();
    let said = std::thread::scope(|scope| {
        let program = scope.spawn(|| sh(&host, &script));
        for _ in 0..200 {
            if text(&host.run(&["list"]).stdout).contains(".Program(") {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let late = place.join("late");
        nix::mount::mount(Some("late"), &late, Some("tmpfs"), MsFlags::empty(), none).unwrap();
        fs::write(late.join("secret"), "x").unwrap();
        fs::write(place.join("go"), "").unwrap();
        let said = program.join().unwrap();
        nix::mount::umount(&late).unwrap();
        said
    });
    nix::mount::umount(&place).unwrap();
    assert_eq!(said, (true, "END\n".to_owned()));
}

#[test]
fn devices_are_those_that_hold_nothing_and_what_the_policy_names() {
    for run_as in [RunAs::Own, RunAs::User { uid: 0, gid: 0 }] {
        let mut setup = Setup::new(93);
        setup.programs.run_as = run_as;
        let host = setup.start();
        if !can(&host, Confinement::Namespaces) {
            return;
        }
        let (_, listed) = sh(&host, "ls /dev");
        let expected = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero";
        let listed: Vec<_> = listed.split_whitespace().collect();
        assert_eq!(listed.join(" "), expected);
        for script in [
            "echo x >/dev/new",
            "mkdir /dev/new",
            "rm /dev/null",
            "head -c 1 /dev/mem",
            "head -c 1 /dev/kvm",
            "head -c 1 /proc/kcore | grep .",
        ] {
            assert!(!sh(&host, script).0, "{run_as:?}: {script}");
        }
        // The kernel's memory, keys and timers, which its permissions show to some or to all.
        let covered = "cd /proc; for file in kcore keys timer_list; do \
            [ ! -e $file ] || [ -c $file ] || echo $file; done";
        assert_eq!(sh(&host, covered), (true, String::new()), "{run_as:?}");
        for script in [
            "echo x >/dev/null && head -c 1 /dev/zero >/dev/null && head -c 1 /dev/urandom >/dev/null",
            "echo x >/dev/shm/file && cat /dev/shm/file",
            "cat /dev/fd/0 </dev/null",
        ] {
            let (done, said) = sh(&host, script);
            assert!(done, "{run_as:?}: {script}: {said}");
        }
    }
    let named = ["/dev/fuse", "/dev/net/tun"].map(std::path::PathBuf::from);
    if named.iter().all(|path| path.exists()) {
        let mut setup = Setup::new(94);
        setup.programs.devices = named.to_vec();
        let host = setup.start();
        let (done, said) = sh(
            &host,
            "test -c /dev/fuse && test -c /dev/net/tun && : </dev/fuse",
        );
        assert!(done, "{said}");
    }
}

#[test]
fn a_device_node_elsewhere_is_dead_and_shared_memory_is_not_shared() {
    if !test_support::is_root() {
        return;
    }
    let mut setup = Setup::new(95);
    setup.programs.run_as = RunAs::User { uid: 0, gid: 0 };
    let host = setup.start();
    if !can(&host, Confinement::Namespaces) {
        return;
    }
    let node = host.path("node");
    let kind = nix::sys::stat::SFlag::S_IFCHR;
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o666);
    let zero = nix::sys::stat::makedev(1, 5);
    nix::sys::stat::mknod(&node, kind, mode, zero).unwrap();
    let (done, said) = sh(&host, &format!("head -c 1 {}", node.display()));
    assert!(!done && said.contains("Permission denied"), "{said}");
    let mark = format!("/dev/shm/tao-test-{}", std::process::id());
    assert!(sh(&host, &format!("echo x >{mark}")).0);
    assert!(!Path::new(&mark).exists());
    assert!(!sh(&host, &format!("cat {mark}")).0);
}

#[test]
fn each_program_has_a_user_and_a_directory_of_its_own_that_it_finds_again() {
    let host = TestHost::start(96);
    if !can(&host, Confinement::Users) {
        return;
    }
    let state = host.path("state");
    let user = |program: &[&str]| text(&host.run(program).stdout).trim().to_owned();
    let sh_user = user(&["run", "sh", "-c", "echo $(id -u):$(id -g):$(id -G)"]);
    let own = sh_user.split(':').next().unwrap().to_owned();
    assert_eq!(sh_user, format!("{own}:{own}:{own}"));
    assert_ne!(own, geteuid().to_string());
    // Another program's is another.
    let other = user(&["run", "/usr/bin/id", "-u"]);
    assert_ne!(own, other);
    let (done, said) = sh(
        &host,
        "echo $HOME && echo kept >$HOME/file && cat $HOME/file",
    );
    assert!(done, "{said}");
    assert_eq!(said, format!("{}\nkept\n", state.display()));
    let kept = state.join("programs").join(&own);
    let directory = fs::metadata(&kept).unwrap();
    assert_eq!(
        (directory.uid().to_string(), directory.mode() & 0o777),
        (own.clone(), 0o700)
    );
    assert_eq!(fs::read_to_string(kept.join("file")).unwrap(), "kept\n");
    assert!(
        !host
            .run(&["run", "cat", state.join("file").to_str().unwrap()])
            .status
            .success()
    );
    // After a restart it is the same one.
    let dir = host.dir();
    drop(host);
    let mut again = Setup::new(96);
    again.dir = dir;
    let host = again.start();
    let (_, said) = sh(&host, "id -u; cat $HOME/file");
    assert_eq!(said, format!("{own}\nkept\n"));
}

#[test]
fn a_program_with_a_user_of_its_own_writes_to_nobodys_files() {
    let host = TestHost::start(97);
    if !can(&host, Confinement::Users) {
        return;
    }
    let file = host.path("roots");
    fs::write(&file, "text").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    for script in [
        format!("echo x >>{}", file.display()),
        "echo x >/etc/cron.d/tao-test".to_owned(),
        "echo x >/etc/tao-test".to_owned(),
    ] {
        assert!(!sh(&host, &script).0, "{script}");
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "text");
}

#[test]
fn a_host_that_can_give_no_users_says_so_and_strict_ones_start_nothing() {
    let mut setup = Setup::new(98);
    setup.programs.confinements = vec![Confinement::Users];
    setup.programs.lacking = Lacking::Refuse;
    let host = setup.start();
    let described = host.admin().describe().unwrap();
    let output = host.run(&["run", "true"]);
    if geteuid().is_root() && described.lacking.is_empty() {
        assert_eq!(described.isolation, ["users"]);
        assert!(output.status.success());
    } else {
        assert_eq!(described.lacking, ["users"]);
        assert!(text(&output.stderr).contains("cannot do users"));
    }
}

#[test]
fn a_host_says_what_it_lacks_when_it_starts() {
    // One that is a hosted program lacks most.
    let outer = TestHost::start(100);
    if !can(&outer, Confinement::Seccomp) {
        return;
    }
    let (tao, socket) = (command("tao"), outer.path("inner/admin.sock"));
    let state = outer.path("inner state");
    let started = outer.run(&[
        "run",
        "--detach",
        tao.to_str().unwrap(),
        "--socket",
        socket.to_str().unwrap(),
        "host",
        "start",
        "--soft",
        "--state",
        state.to_str().unwrap(),
    ]);
    let line = text(&started.stdout);
    let pid = line.split_whitespace().next().unwrap();
    // Before it starts anything.
    let said = super::own_processes::patiently("it says nothing", || {
        let said = text(&outer.run(&["logs", pid]).stdout);
        said.contains("Tao host: ").then_some(said)
    });
    assert!(
        said.contains("it lacks ") && said.contains("users"),
        "{said}"
    );
    assert!(said.contains("no_new_privs"), "{said}");
}

#[test]
fn a_network_of_its_own_has_a_loopback_that_works() {
    for confinements in [None, Some(vec![Confinement::Network])] {
        let mut setup = Setup::new(99);
        setup.programs = ProgramPolicy {
            confinements: confinements.unwrap_or_else(|| Confinement::ALL.to_vec()),
            ..ProgramPolicy::default()
        };
        let host = setup.start();
        if !can(&host, Confinement::Network) {
            return;
        }
        // The address is there only while the loopback is up.
        let addresses = text(&host.run(&["run", "cat", "/proc/net/fib_trie"]).stdout);
        assert!(addresses.contains("127.0.0.1"), "{addresses}");
        let report = command("tao-report");
        assert!(
            host.run(&["run", report.to_str().unwrap()])
                .status
                .success()
        );
    }
}
