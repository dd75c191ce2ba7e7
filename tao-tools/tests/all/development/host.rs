//! A host by itself: its name, the properties that conformance asks for, and how it fails.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::development::world::*;

#[test]
fn a_soft_host_keeps_its_name_and_what_it_sealed() {
    let world = World::new();
    let name = world.start(&[]);
    assert!(name.starts_with("key([") && name.ends_with(".TrivialGuard(\"Liberal\")"));
    let first: serde_json::Value = serde_json::from_str(&world.good(&["run", REPORT])).unwrap();
    let shown = json(&world.tao(&["host", "show", "--json"]));
    assert_eq!(shown["name"], name.as_str());
    assert_eq!(shown["anchor"], serde_json::Value::Null);
    let second = world.tao(&["host", "start", "--soft", "--background"]);
    assert!(text(&second.stderr).contains("another Tao host listens"));
    world.good(&["host", "shutdown"]);
    while world.path("admin.sock").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(world.start(&[]), name);
    let blob = first["seal"]["self"]["sealed"].as_str().unwrap();
    let again: serde_json::Value =
        serde_json::from_str(&world.good(&["run", REPORT, blob])).unwrap();
    assert_eq!(again["unseal"]["ours"], true);
}

/// The policies under which other properties can be seen.
#[test]
fn a_host_conforms_under_other_policies() {
    let world = World::new();
    for policy in [
        [
            "--libraries",
            "measure",
            "--scripts",
            "measure",
            "--environment",
            "accept",
        ],
        [
            "--libraries",
            "refuse",
            "--scripts",
            "refuse",
            "--environment",
            "name",
        ],
    ] {
        world.start(&policy);
        let output = Command::new(env!("CARGO_BIN_EXE_tao-conformance"))
            .arg(world.path("admin.sock"))
            .output()
            .unwrap();
        let lines = text(&output.stdout);
        // A program that was not built static does not run where those only do.
        if lines.contains("static programs only") && !lines.contains("ok\t") {
            println!("{lines}");
        } else {
            let failed: Vec<_> = lines
                .lines()
                .filter(|line| !line.starts_with("ok"))
                .collect();
            assert!(output.status.success(), "{policy:?}: {failed:#?}");
        }
        world.good(&["host", "shutdown"]);
        while world.path("admin.sock").exists() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

#[test]
fn a_soft_host_conforms() {
    let world = World::new();
    world.start(&[]);
    conforms(&world.path("admin.sock"));
}

#[test]
fn a_started_program_whose_host_goes_away_is_not_said_to_be_unstarted() {
    let world = World::new();
    world.start(&[]);
    let running = Command::new(TAO)
        .arg("--socket")
        .arg(world.path("admin.sock"))
        .args(["run", "sh", "-c", "echo started; exec sleep 100"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The host is killed, not shut down: nobody says how the program ended.
    let ready = || !world.good(&["list"]).is_empty();
    while !ready() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let state = world.path("state");
    let is_host = |entry: &std::fs::DirEntry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("host\0start") && line.contains(state.to_str().unwrap())
    };
    // A child that the host has cloned for its next program has the same line: the host is the
    // process that was there first.
    let found = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = found
        .filter(is_host)
        .map(|entry| entry.file_name().to_str().unwrap().parse::<i32>().unwrap());
    let host = nix::unistd::Pid::from_raw(numbers.min().unwrap());
    nix::sys::signal::kill(host, nix::sys::signal::Signal::SIGKILL).unwrap();
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(124), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("how it ended is not known"), "{said}");
}

/// The first error is about what matters.
#[test]
fn a_program_that_is_not_there_is_missed_before_its_environment() {
    let world = World::new();
    world.start(&[]);
    let said = |words: &[&str]| text(&world.tao(words).stderr);
    let absent = said(&["run", "--env", "A=1", "/absent/program"]);
    assert!(absent.contains("No such file"), "{absent}");
    let refused = said(&["run", "--env", "A=1", "/bin/true"]);
    assert!(refused.contains("policy refuses them"), "{refused}");
}

/// What a strict host lacks is said at its start, in the background too.
#[test]
fn a_strict_host_that_lacks_something_does_not_start() {
    let world = World::new();
    let state = world.path("state");
    let state = state.to_str().unwrap();
    // Without control groups in sight.
    let hide = "mount -t tmpfs none /sys/fs/cgroup && exec \"$0\" \"$@\"";
    let socket = world.path("admin.sock");
    for more in [&[][..], &["--background"]] {
        // One that starts would stay.
        let output = Command::new("timeout")
            .args(["60", "unshare", "--mount", "sh", "-c", hide, TAO])
            .arg("--socket")
            .arg(&socket)
            .args(["host", "start", "--soft", "--state", state])
            .args(["--isolation", "strict"])
            .args(more)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = text(&output.stderr);
        if said.contains("unshare") || said.contains("mount:") {
            println!("not root: {said}");
            return;
        }
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("cannot provide") && said.contains("limits"),
            "{said}"
        );
        assert!(!socket.exists());
    }
}

#[test]
fn a_program_sees_neither_state_nor_socket_of_other_hosts() {
    let world = World::new();
    let (states, sockets) = (world.path("states"), world.path("sockets"));
    for directory in [&states, &sockets] {
        std::fs::create_dir_all(directory.join("tao")).unwrap();
    }
    let (secret, socket) = (states.join("tao/secret"), sockets.join("tao/admin.sock"));
    std::fs::write(&secret, "secret").unwrap();
    let _listens = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    // Whose permissions would let it.
    let root = nix::unistd::geteuid().is_root();
    let user = root.then_some(["--user", "0:0"]);
    let started = Command::new(TAO)
        .env("XDG_STATE_HOME", &states)
        .env("XDG_RUNTIME_DIR", &sockets)
        .arg("--socket")
        .arg(world.path("admin.sock"))
        .args(["host", "start", "--soft", "--background", "--state"])
        .arg(world.path("state"))
        .args(user.into_iter().flatten())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(started.status.success(), "{started:?}");
    let shown = json(&world.tao(&["host", "show", "--json"]));
    if shown["lacking"].to_string().contains("namespaces") {
        return;
    }
    let fails = |script: &str| !world.tao(&["run", "sh", "-c", script]).status.success();
    assert!(fails(&format!("[ -e {} ]", secret.display())));
    assert!(fails(&format!("[ -S {} ]", socket.display())));
    // Those of the machine's hosts, where there are any: an empty directory, not a closed one.
    for state in ["/var/lib/tao", "/var/lib/taoboot/tao"] {
        let seen = format!("[ -n \"$(ls -A {state} 2>&1)\" ]");
        let is_there = root && Path::new(state).is_dir();
        assert!(!is_there || fails(&seen), "{state}");
    }
}

#[test]
fn a_users_own_host_is_in_the_directories_of_the_xdg_base_directories() {
    use std::os::unix::process::CommandExt as _;
    let world = World::new();
    let program = world.path("tao");
    std::fs::copy(TAO, &program).unwrap();
    for name in ["home", "states", "run", "other run"] {
        let directory = world.path(name);
        std::fs::create_dir(&directory).unwrap();
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    for (set, run, secret) in [
        (None, "run", "home/.local/state/tao/secret"),
        (Some("states"), "other run", "states/tao/secret"),
    ] {
        let tao = |words: &[&str]| {
            let mut command = Command::new(&program);
            command
                .env("HOME", world.path("home"))
                .env("XDG_RUNTIME_DIR", world.path(run))
                .env_remove("XDG_STATE_HOME")
                .envs(set.map(|name| ("XDG_STATE_HOME", world.path(name))));
            if nix::unistd::geteuid().is_root() {
                command.uid(65534).gid(65534);
            }
            command.args(words).stdin(Stdio::null()).output().unwrap()
        };
        let started = tao(&["host", "start", "--soft", "--background"]);
        let socket = format!("{run}/tao/admin.sock");
        let there = [secret, &socket].map(|name| world.path(name).exists());
        let ended = tao(&["host", "shutdown"]);
        assert!(started.status.success(), "{started:?}");
        assert_eq!(there, [true, true], "{secret}");
        assert!(ended.status.success(), "{ended:?}");
    }
}
