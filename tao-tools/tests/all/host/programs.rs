//! Hosted programs: what they are called, what they get, how they start and end.

use std::{
    io::Write,
    os::unix::process::ExitStatusExt,
    process::Stdio,
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use tao::logic::Prin;

use super::common::{TestHost, command, executable};

#[test]
fn a_program_is_named_by_its_bytes_and_gets_what_the_host_offers() {
    let host = TestHost::start(1);
    let program = command("tao-report");
    let report = host.report(&program, &[]);
    let hash = hex::encode(Sha256::digest(std::fs::read(&program).unwrap()));
    let host_name = host.admin().host_name().unwrap();
    assert_eq!(report["name"], format!("{host_name}.Program([{hash}])"));
    assert_eq!(report["random_bytes"], 32);
    for policy in ["self", "few", "any"] {
        assert_eq!(report["seal"][policy]["ok"], true, "{report}");
    }
    let verdict = &report["attestation"]["verdict"];
    assert_eq!(verdict["verified"], true, "{report}");
    assert_eq!(verdict["speaker"], report["name"]);
    let root = verdict["root"].as_str().unwrap();
    assert_eq!(
        host_name.to_string(),
        format!("{root}.TrivialGuard(\"Liberal\")")
    );
}

#[test]
fn sealed_data_opens_for_the_same_program_after_a_restart_and_for_no_changed_one() {
    let program = command("tao-report");
    let first = TestHost::start(2);
    let report = first.report(&program, &[]);
    let blob = |policy: &str| {
        report["seal"][policy]["sealed"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    // A changed byte behind the end of the ELF: it runs, and is another program.
    let changed = first.path("changed");
    let mut bytes = std::fs::read(&program).unwrap();
    bytes.push(0);
    executable(&changed, &bytes);
    drop(first);
    let second = TestHost::start(2);
    let other = TestHost::start(3);
    let changed_program = second.path("changed");
    let mut bytes = std::fs::read(&program).unwrap();
    bytes.push(0);
    executable(&changed_program, &bytes);
    for policy in ["self", "few", "any"] {
        let unsealed = &second.report(&program, &[&blob(policy)])["unseal"];
        assert_eq!(unsealed["ours"], true, "{policy} {unsealed}");
        assert_eq!(unsealed["policy"], policy);
        let unsealed = &second.report(&changed_program, &[&blob(policy)])["unseal"];
        assert_eq!(unsealed["ok"], policy == "any", "{policy} {unsealed}");
        if policy != "any" {
            assert_eq!(unsealed["error"], "principal not authorized for unseal");
        }
        assert_eq!(
            other.report(&program, &[&blob(policy)])["unseal"]["ok"],
            false
        );
    }
}

#[test]
fn the_exit_status_is_the_programs() {
    let host = TestHost::start(4);
    assert_eq!(
        host.run(&["run", "sh", "-c", "exit 7"]).status.code(),
        Some(7)
    );
    assert_eq!(
        host.run(&["run", "sh", "-c", "kill -9 $$"]).status.code(),
        Some(137)
    );
    let output = host.run(&["run", "--json", "sh", "-c", "exit 3"]);
    let line: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(line["exit_code"], 3);
    assert!(line["program"].as_str().unwrap().starts_with(".Program(["));
}

#[test]
fn input_output_and_errors_are_the_callers() {
    let host = TestHost::start(5);
    let mut child = host
        .tao(&["run", "sh", "-c", "cat; echo problem >&2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"through and through")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"through and through");
    assert_eq!(output.stderr, b"problem\n");
}

#[test]
fn a_signal_to_tao_run_reaches_the_program() {
    let host = TestHost::start(6);
    let script = "trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = host
        .tao(&["run", "sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    // The program may be up before `tao run` has learnt of it; the signal waits for that.
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(42));
}

#[test]
fn a_program_gets_its_channel_and_nothing_else_of_the_host() {
    let host = TestHost::start(7);
    let output = host.run(&["run", "ls", "/proc/self/fd"]);
    let descriptors = String::from_utf8(output.stdout).unwrap();
    // 5 is the directory that ls itself reads.
    assert_eq!(
        descriptors.split_whitespace().collect::<Vec<_>>(),
        ["0", "1", "2", "3", "4", "5"]
    );
    let output = host.run(&["run", "env"]);
    let environment = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<_> = environment
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "CLOUDPROXY_TAO_HOST_CHANNEL_TYPE",
            "CLOUDPROXY_TAO_HOST_SPEC",
            "HOME",
            "LANG",
            "PATH"
        ]
    );
    let output = host.run(&[
        "run",
        "grep",
        "-E",
        "NoNewPrivs|SigIgn|SigBlk",
        "/proc/self/status",
    ]);
    let status = String::from_utf8(output.stdout).unwrap();
    // 32 and 33 belong to the C library; who started this test may have them ignored.
    let status = status.replace("SigIgn:\t0000000080000000", "SigIgn:\t0000000000000000");
    let expected = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nNoNewPrivs:\t1\n";
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&status), sorted(expected));
}

#[test]
fn what_cannot_be_measured_is_refused_with_a_sentence() {
    let host = TestHost::start(8);
    let (script, text) = (host.path("script"), host.path("text"));
    executable(&text, b"text");
    executable(&script, b"#!/bin/sh\nexit 0\n");
    for (program, words) in [
        (script.to_str().unwrap(), "a script"),
        ("/absent/program", "No such file"),
        ("/dev/null", "not a regular file"),
        ("/etc/passwd", "no permission to execute"),
        (text.to_str().unwrap(), "not an ELF program"),
    ] {
        let output = host.run(&["run", program]);
        assert_eq!(output.status.code(), Some(125));
        let sentence = String::from_utf8(output.stderr).unwrap();
        assert!(
            sentence.contains(words) && sentence.contains(program),
            "{sentence}"
        );
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
    }
}

#[test]
fn programs_are_listed_stopped_killed_and_waited_for() {
    let host = TestHost::start(9);
    let (one, two) = (host.raw(), host.raw());
    let mut admin = host.admin();
    let mut listed = admin.list().unwrap();
    listed.sort_by_key(|program| program.pid);
    let mut expected = vec![one.program.clone(), two.program.clone()];
    expected.sort_by_key(|program| program.pid);
    assert_eq!(listed, expected);
    admin.begin_wait(&one.program).unwrap();
    host.admin().kill(&one.program.subprin).unwrap();
    let status = std::process::ExitStatus::from_raw(admin.finish_wait().unwrap());
    assert_eq!(status.signal(), Some(9));
    // A wait that comes after the end still gets the status.
    admin.begin_wait(&two.program).unwrap();
    assert_eq!(admin.finish_wait().unwrap(), 9);
    assert!(admin.list().unwrap().is_empty());
    let error = admin.stop(&one.program.subprin).unwrap_err();
    assert_eq!(error.to_string(), "no such hosted program");
    let absent = tao::admin::HostedProgram {
        pid: 1,
        ..one.program.clone()
    };
    admin.begin_wait(&absent).unwrap();
    assert_eq!(
        admin.finish_wait().unwrap_err().to_string(),
        "no such hosted program"
    );
}

#[test]
fn the_host_has_one_name_for_one_secret() {
    let name = |secret| -> Prin { TestHost::start(secret).admin().host_name().unwrap() };
    assert_eq!(name(10), name(10));
    assert_ne!(name(10), name(11));
}

#[test]
fn shutting_down_ends_the_programs_and_removes_the_socket() {
    let host = TestHost::start(12);
    let program = host.raw();
    let socket = host.socket();
    assert!(host.run(&["host", "shutdown"]).status.success());
    let deadline = Instant::now() + Duration::from_secs(9);
    while socket.exists() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(host);
    assert!(!std::path::Path::new(&format!("/proc/{}", program.program.pid)).exists());
    let output = std::process::Command::new(command("tao"))
        .args(["--socket", socket.to_str().unwrap(), "host", "show"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("no Tao host answers at")
    );
}

#[test]
fn a_second_host_does_not_take_the_socket_of_a_running_one() {
    let host = TestHost::start(13);
    let error = tao_host::serve(tao_host::HostConfig {
        root: Box::new(tao_host::SoftRoot),
        host_secret: tao::keys::Hidden::with(|| tao::keys::Secret::new([1; 32])),
        socket_dir: host.socket().parent().unwrap().to_owned(),
        admin_group: None,
        state_dir: None,
        guard: tao::guard::GuardSource::Liberal,
        programs: tao_host::ProgramPolicy::default(),
    })
    .unwrap_err();
    assert!(
        error.to_string().contains("another Tao host listens here"),
        "{error}"
    );
    assert!(host.admin().list().is_ok());
}
