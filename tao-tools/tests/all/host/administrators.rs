//! Who may administer a host.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::{Command, Output},
};

use nix::unistd::geteuid;
use tao::guard::GuardSource;
use tao_host::RunAs;

use super::{
    common::{Setup, TestHost, command},
    isolation::text,
};

/// A user and group that nobody is.
const STRANGER: u32 = 64_321;

/// A host that the stranger's group may use for what a guard without rules allows.
fn host(secret: u8, group: Option<u32>) -> TestHost {
    let mut setup = Setup::new(secret);
    setup.guard = GuardSource::Local(setup.dir.path().join("rules"));
    setup.admin_group = group;
    let dir = setup.dir.path();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["tao", "tao-report"] {
        fs::copy(command(name), dir.join(name)).unwrap();
    }
    setup.start()
}

/// `tao` as the stranger.
fn stranger(host: &TestHost, arguments: &[&str]) -> Output {
    Command::new(host.path("tao"))
        .arg("--socket")
        .arg(host.socket())
        .args(arguments)
        .current_dir("/")
        .uid(STRANGER)
        .gid(STRANGER)
        .output()
        .unwrap()
}

#[test]
fn nobody_else_reaches_the_socket_unless_the_host_is_told_so() {
    let host = host(80, None);
    let mode = fs::metadata(host.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    if geteuid().is_root() {
        let said = text(&stranger(&host, &["list"]).stderr);
        assert!(said.contains("only root may administer it"), "{said}");
    }
}

#[test]
fn the_group_may_do_what_the_guard_lets_its_users_do_and_nothing_else() {
    if !test_support::is_root() {
        return;
    }
    let host = host(81, Some(STRANGER));
    let mode = fs::metadata(host.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let report = host.path("tao-report").to_str().unwrap().to_owned();
    for arguments in [
        vec!["list"],
        vec!["run", &report],
        vec!["wait", "1"],
        vec!["stop", ".Program([00])"],
        vec!["kill", ".Program([00])"],
        vec!["host", "shutdown"],
        vec!["guard", "query", "A(1)"],
        vec!["guard", "add", "A(1)"],
        vec!["logs", "1"],
        vec!["host", "users", "list"],
        vec!["host", "users", "delete", "1879048192"],
    ] {
        let said = text(&stranger(&host, &arguments).stderr);
        let expected = format!("Authorized(user({STRANGER}), ");
        assert!(said.contains(&expected), "{arguments:?}: {said}");
    }
    let add = |rule: &str| {
        let output = host.run(&["guard", "add", rule]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    add(&format!("Authorized(user({STRANGER}), \"Start\")"));
    add(&format!("Authorized(user({STRANGER}), \"Wait\")"));
    // They may start, but nothing may run yet.
    let said = text(&stranger(&host, &["run", &report]).stderr);
    assert!(said.contains("denied authorization to execute"), "{said}");
    let name = host.admin().host_name().unwrap();
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(
        fs::read(&report).unwrap(),
    ));
    add(&format!(
        "Authorized({name}.Program([{hash}]), \"Execute\")"
    ));
    let ran = stranger(&host, &["run", &report]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    // Everything else is still refused.
    let said = text(&stranger(&host, &["host", "shutdown"]).stderr);
    assert!(said.contains("\"Shutdown\""), "{said}");
}

#[test]
fn a_program_runs_as_who_asked_for_it_if_the_policy_says_so_and_only_they_or_an_administrator_may_signal_it()
 {
    if !test_support::is_root() {
        return;
    }
    let mut setup = Setup::new(82);
    let dir = setup.dir.path();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(command("tao"), dir.join("tao")).unwrap();
    setup.guard = GuardSource::Local(dir.join("rules"));
    setup.admin_group = Some(STRANGER);
    setup.programs.run_as = RunAs::Caller;
    let host = setup.start();
    let name = host.admin().host_name().unwrap();
    let add = |rule: &str| assert!(host.run(&["guard", "add", rule]).status.success());
    for operation in ["Start", "Wait"] {
        add(&format!("Authorized(user({STRANGER}), \"{operation}\")"));
    }
    for program in ["/usr/bin/id", "/bin/sleep"] {
        let hash = <sha2::Sha256 as sha2::Digest>::digest(fs::read(program).unwrap());
        let hash = hex::encode(hash);
        add(&format!(
            "Authorized({name}.Program([{hash}]), \"Execute\")"
        ));
    }
    let said = text(&stranger(&host, &["run", "/usr/bin/id"]).stdout);
    assert!(
        said.starts_with(&format!("uid={STRANGER} gid={STRANGER}")),
        "{said}"
    );
    assert_eq!(said.matches(&STRANGER.to_string()).count(), 3, "{said}");

    let detached = |output: Output| -> i32 {
        let said = text(&output.stdout);
        said.split_whitespace().next().unwrap().parse().unwrap()
    };
    let of_root = detached(host.run(&["run", "--detach", "/bin/sleep", "60"]));
    let own = detached(stranger(&host, &["run", "--detach", "/bin/sleep", "60"]));
    let refused = as_stranger(&host, of_root).unwrap_err();
    assert!(refused.contains("\"Stop\""), "{refused}");
    as_stranger(&host, own).unwrap();
    let waited = host.run(&["wait", &own.to_string()]);
    assert_eq!(waited.status.code(), Some(128 + 15));
    let running: Vec<i32> = host.admin().list().unwrap().iter().map(|p| p.pid).collect();
    assert_eq!(running, [of_root]);
}

/// Has the host send SIGTERM to a process, asked by a thread that is the stranger.
#[allow(unsafe_code)]
fn as_stranger(host: &TestHost, pid: i32) -> Result<(), String> {
    let socket = host.socket();
    let thread = std::thread::spawn(move || {
        for call in [nix::libc::SYS_setresgid, nix::libc::SYS_setresuid] {
            // SAFETY: integers only; as a system call it changes this thread alone.
            let changed = unsafe { nix::libc::syscall(call, STRANGER, STRANGER, STRANGER) };
            assert_eq!(changed, 0);
        }
        tao::admin::Admin::connect(&socket)
            .and_then(|mut admin| admin.signal(pid, nix::sys::signal::Signal::SIGTERM))
            .map_err(|error| error.to_string())
    });
    thread.join().unwrap()
}
