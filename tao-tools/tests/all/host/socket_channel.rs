//! Programs that reach the host over a socket.

use std::{
    fs,
    io::{IoSlice, IoSliceMut, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{fs::PermissionsExt as _, net::UnixStream},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::{
        signal::{Signal, kill},
        socket::{
            ControlMessage, ControlMessageOwned, MsgFlags, getsockopt, recvmsg, sendmsg,
            sockopt::PeerPidfd,
        },
    },
    unistd::Pid,
};
use tao::limits::Limits;
use tao::{admin::Start, descriptors::received};
use tao_host::Confinement;

use super::{
    common::{TestHost, command},
    host_process::{HostProcess, Place},
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
    // 3 is the directory that ls itself reads.
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

/// A stranger connects and ends; then one of the program's own processes gets its number. Until
/// the host looks, the number says that the program has connected.
#[test]
fn a_number_that_the_program_has_only_now_is_not_the_one_that_connected() {
    const NEXT: &str = "/proc/sys/kernel/ns_last_pid";
    let place = Place::new();
    let host = HostProcess::start(&place);
    let recent = host.admin().describe().unwrap().isolation;
    let processes = recent.iter().any(|confinement| confinement == "processes");
    if !processes || !knows_peer_processes() || fs::write(NEXT, "300").is_err() {
        eprintln!("skipped: not on this machine, or not by this user");
        return;
    }
    let go = place.path("go");
    let script =
        "n=0; while :; do while [ ! -e \"$0$n\" ]; do :; done; sleep 60 & n=$((n+1)); done";
    let mut admin = host.admin();
    let program = admin
        .start(&Start {
            path: "/bin/sh",
            args: &[
                "-c".to_owned(),
                script.to_owned(),
                go.to_str().unwrap().to_owned(),
            ],
            dir: "/",
            environment: &[],
            socket: true,
            limits: Limits::default(),
            stdio: None,
        })
        .unwrap();
    let socket = fs::read_dir(place.path("programs"))
        .unwrap()
        .next()
        .unwrap();
    let socket = socket.unwrap().path();
    let pid = Pid::from_raw(host.pid());
    let mut forged = 0;
    for attempt in 0..400 {
        kill(pid, Signal::SIGSTOP).unwrap();
        // It connects, leaves the connection to us, and is gone.
        let (number, stream) = connect_and_end(&socket);
        fs::write(NEXT, (number - 1).to_string()).unwrap();
        fs::write(place.path(&format!("go{attempt}")), "").unwrap();
        let deadline = Instant::now() + Duration::from_millis(500);
        let reused = loop {
            match fs::read_to_string(format!("/proc/{number}/comm")) {
                Ok(name) if name == "sleep\n" || name == "sh\n" => break true,
                _ if Instant::now() > deadline => break false,
                _ => std::thread::yield_now(),
            }
        };
        kill(pid, Signal::SIGCONT).unwrap();
        if !reused {
            continue;
        }
        forged += 1;
        let mut stream = UnixStream::from(stream);
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream.write_all(GET_NAME).ok();
        let mut answer = [0; 64];
        match stream.read(&mut answer) {
            Ok(0) => {}
            Ok(count) => panic!("a stranger was answered: {:?}", &answer[..count]),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        if forged == 3 {
            break;
        }
    }
    admin.kill(&program.subprin).unwrap();
    assert!(forged > 0, "no number was used again");
}

/// Does the kernel say which process has connected (Linux 6.5)?
fn knows_peer_processes() -> bool {
    let (one, _other) = UnixStream::pair().unwrap();
    getsockopt(&one, PeerPidfd).is_ok()
}

const CONNECT_TO: &str = "TAO_TEST_CONNECT_TO";

/// The process of [`connect_and_end`] runs this.
#[test]
#[ignore = "no test: the process that the test above lets connect"]
fn connects() {
    let stream = UnixStream::connect(std::env::var(CONNECT_TO).unwrap()).unwrap();
    let numbers = [stream.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&numbers)];
    let sent = sendmsg::<()>(0, &[IoSlice::new(b"x")], &rights, MsgFlags::empty(), None);
    assert_eq!(sent.unwrap(), 1);
}

/// A process that connects and ends: the number it had, and the connection.
fn connect_and_end(socket: &Path) -> (u32, OwnedFd) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "host::socket_channel::connects"])
        .env(CONNECT_TO, socket)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut control = nix::cmsg_space!([i32; 1]);
    let mut byte = [0];
    let mut slices = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(ours.as_raw_fd(), &mut slices, Some(&mut control), flags).unwrap();
    let stream = message.cmsgs().unwrap().find_map(|control| match control {
        ControlMessageOwned::ScmRights(numbers) => received(numbers).pop(),
        _ => None,
    });
    let number = child.id();
    assert!(child.wait().unwrap().success());
    (number, stream.unwrap())
}

#[test]
fn all_connections_of_a_program_speak_for_the_same_name() {
    let host = TestHost::start(142);
    if !can(&host, Confinement::Processes) {
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
    if !can(&host, Confinement::Processes) {
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
