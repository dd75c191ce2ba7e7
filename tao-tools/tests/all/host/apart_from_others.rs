//! What other processes of the machine get of a host: nothing of its memory, its log or its state.

use std::{
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::unistd::{chown, geteuid};
use tao::admin::Admin;

use super::{
    common::command,
    exhausted::run,
    host_process::{HostProcess, Place},
    isolation::text,
};

/// A user that nobody is.
const STRANGER: u32 = 54321;

#[test]
fn two_hosts_do_not_share_a_state_directory() {
    let place = Place::new();
    let mut first = HostProcess::start(&place);
    let other = place.path("other");
    std::fs::create_dir(&other).unwrap();
    let second = |socket: &str| {
        let mut host = Command::new(command("tao"));
        host.arg("--socket").arg(other.join(socket));
        host.args(["host", "start", "--soft", "--state"]);
        host.arg(place.path("state")).stderr(Stdio::piped());
        host
    };
    let mut refused = second("admin.sock").spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while refused.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            refused.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let refused = refused.wait_with_output().unwrap();
    assert_eq!(
        refused.status.code(),
        Some(1),
        "it was started, or was waited for in vain"
    );
    let said = text(&refused.stderr);
    assert!(
        said.contains("another Tao host uses the state directory"),
        "{said}"
    );
    assert!(first.admin().list().is_ok());
    // One that was killed holds nothing.
    first.kill();
    let mut host = second("admin.sock").spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut admin = loop {
        match Admin::connect(&other.join("admin.sock")) {
            Ok(admin) => break admin,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    admin.shutdown().unwrap();
    assert!(host.wait().unwrap().success());
}

#[test]
fn the_log_of_a_host_in_the_background_is_its_owners_only() {
    let place = Place::new();
    let mut start = Command::new(command("tao"));
    start.arg("--socket").arg(place.path("admin.sock"));
    start.args(["host", "start", "--soft", "--background", "--state"]);
    let started = start.arg(place.path("state")).output().unwrap();
    assert!(started.status.success(), "{}", text(&started.stderr));
    let mode = |name: &str| {
        let metadata = std::fs::metadata(place.path(name)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!((mode("state"), mode("state/host.log")), (0o700, 0o600));
    let mut admin = Admin::connect(&place.path("admin.sock")).unwrap();
    admin.shutdown().unwrap();
}

/// The host's keys are in its memory: another process of the same user does not read it.
#[test]
fn a_host_that_is_not_root_is_not_looked_into_by_its_own_user() {
    let place = Place::new();
    let as_user = |command: &mut Command| {
        if geteuid().is_root() {
            command.uid(STRANGER).gid(STRANGER);
        }
    };
    if geteuid().is_root() {
        let owner = (Some(STRANGER.into()), Some(STRANGER.into()));
        chown(&place.path(""), owner.0, owner.1).unwrap();
    }
    let mut start = place.host("");
    as_user(&mut start);
    let host = HostProcess::run(&place, &mut start);
    for file in ["environ", "mem", "maps", "fd"] {
        let mut look = Command::new("sh");
        look.args(["-c", "cat \"$0\" >/dev/null || ls \"$0/\"/*"]);
        look.arg(format!("/proc/{}/{file}", host.pid()));
        as_user(&mut look);
        let looked = look.output().unwrap();
        assert!(!looked.status.success(), "{file}");
        assert!(
            text(&looked.stderr).contains("Permission denied"),
            "{looked:?}"
        );
    }
    // And it does what a host does.
    assert_eq!(run(&mut host.admin(), &["/bin/true"]), 0);
    assert!(host.program().tao_name().is_ok());
}
