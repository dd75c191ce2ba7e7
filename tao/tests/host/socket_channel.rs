//! Programs that reach the host over a socket.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::PathBuf,
    time::{Duration, Instant},
};

use tao::host::Measure;

use super::{
    common::{TestHost, command},
    isolation::{can, text},
};

const GET_NAME: &[u8] = b"\0\0\0\x12\x0a\x0eTao.GetTaoName\x10\0\0\0\0\0";

fn sockets(host: &TestHost) -> Vec<PathBuf> {
    let entries = fs::read_dir(host.path("programs")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_program_is_the_same_over_a_socket_and_gets_the_same() {
    let host = TestHost::start(140);
    let program = command("tao-report");
    let path = program.to_str().unwrap();
    let over_pipes = host.report(&program, &[]);
    let output = host.run(&["run", "--channel", "unix", path]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["name"], over_pipes["name"]);
    assert_eq!(report["attestation"]["verdict"]["verified"], true);
    let open = host.run(&["run", "--channel", "unix", "ls", "/proc/self/fd"]);
    // 3 is the folder that ls itself reads.
    assert_eq!(text(&open.stdout), "0\n1\n2\n3\n");
    let odd = host.run(&["run", "--channel", "tcp", "true"]);
    assert!(text(&odd.stderr).contains("expected pipe or unix"));
}

#[test]
fn nobody_but_the_program_speaks_over_its_socket() {
    let host = TestHost::start(141);
    let started = host.run(&["run", "--detach", "--channel", "unix", "sleep", "60"]);
    assert!(started.status.success(), "{}", text(&started.stderr));
    let found = sockets(&host);
    assert_eq!(found.len(), 1);
    let mode = fs::metadata(&found[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The same user, another process.
    let mut stranger = UnixStream::connect(&found[0]).unwrap();
    stranger
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    // It may be gone before this is written.
    stranger.write_all(GET_NAME).ok();
    let mut answer = Vec::new();
    match stranger.read_to_end(&mut answer) {
        Ok(_) => assert_eq!(answer, b""),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    // The socket goes with the program.
    let program = host.admin().list().unwrap().remove(0);
    host.admin().kill(&program.subprin).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !sockets(&host).is_empty() {
        assert!(Instant::now() < deadline, "the socket is left");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn all_connections_of_a_program_speak_for_the_same_name() {
    let host = TestHost::start(142);
    if !can(&host, Measure::Processes) {
        return;
    }
    let conformance = command("tao-conformance");
    let conformance = conformance.to_str().unwrap();
    // Children of the program, each with a connection of its own.
    let script = format!("{conformance} name; {conformance} extend; {conformance} name");
    let output = host.run(&["run", "--channel", "unix", "sh", "-c", &script]);
    let said = text(&output.stdout);
    let names: Vec<&str> = said.lines().collect();
    assert_eq!(names.len(), 3, "{said}");
    assert_eq!(names[1], format!("{}.Extended()", names[0]));
    assert_eq!(names[2], names[1]);
}

#[test]
fn connections_are_limited_and_one_that_ends_makes_room() {
    let host = TestHost::start(143);
    if !can(&host, Measure::Processes) {
        return;
    }
    let conformance = command("tao-conformance");
    let conformance = conformance.to_str().unwrap();
    let script = format!(
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do {conformance} name >/dev/null || exit 1; done; echo all"
    );
    let output = host.run(&["run", "--channel", "unix", "sh", "-c", &script]);
    assert_eq!(text(&output.stdout), "all\n");
}
