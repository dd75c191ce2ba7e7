//! Hosted programs that try to administer their host.

use std::process::Output;

use sha2::{Digest as _, Sha256};
use tao::guard::GuardSource;
use tao_host::{Confinement, ProgramPolicy};

use super::{
    common::{Setup, TestHost, command},
    isolation::{can, text},
};

fn hash(path: &std::path::Path) -> String {
    hex::encode(Sha256::digest(std::fs::read(path).unwrap()))
}

/// A host whose guard lets only `sh` and `tao` run, and whose programs are kept apart by
/// `confinements`.
fn host(secret: u8, confinements: Vec<Confinement>) -> TestHost {
    let mut setup = Setup::new(secret);
    setup.guard = GuardSource::Local(setup.dir.path().join("rules"));
    setup.programs = ProgramPolicy {
        confinements,
        ..ProgramPolicy::default()
    };
    let host = setup.start();
    for program in [command("tao"), std::fs::canonicalize("/bin/sh").unwrap()] {
        let name = host.admin().host_name().unwrap();
        add(
            &host,
            &format!(
                "Authorized({name}.Program([{}]), \"Execute\")",
                hash(&program)
            ),
        );
    }
    host
}

fn add(host: &TestHost, rule: &str) {
    let output = host.run(&["guard", "add", rule]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// `tao` as a hosted program of the host that it talks to.
fn hosted(host: &TestHost, words: &[&str]) -> Output {
    let (tao, socket) = (command("tao"), host.socket());
    let mut all = vec![
        "run",
        tao.to_str().unwrap(),
        "--socket",
        socket.to_str().unwrap(),
    ];
    all.extend(words);
    host.run(&all)
}

const OPERATIONS: [&[&str]; 8] = [
    &["guard", "add", "A(1)"],
    &["guard", "retract", "A(1)"],
    &["guard", "query", "A(1)"],
    &["run", "/bin/true"],
    &["list"],
    &["stop", ".Program([00])"],
    &["logs", "1"],
    &["host", "shutdown"],
];

#[test]
fn a_hosted_program_administers_nothing_whoever_it_runs_as() {
    // Without any confinement it is of the host's own user and sees the socket.
    let host = host(83, Vec::new());
    for words in OPERATIONS {
        let output = hosted(&host, words);
        let said = text(&output.stderr);
        assert!(!output.status.success(), "{words:?}");
        assert!(
            said.contains("a hosted program may not administer"),
            "{words:?}: {said}"
        );
    }
    assert_eq!(host.admin().guard_show().unwrap().1.len(), 2);
    // Nor does what it leaves behind, which has another parent.
    let (tao, socket) = (command("tao"), host.socket());
    let said = host.path("said");
    let script = format!(
        "(setsid sh -c 'while [ -e /proc/'$$' ]; do :; done; {} --socket {} host shutdown >{said} 2>&1; echo done >>{said}' </dev/null >/dev/null 2>&1 3<&- 4>&- &)",
        tao.display(),
        socket.display(),
        said = said.display()
    );
    assert!(host.run(&["run", "sh", "-c", &script]).status.success());
    let answer = super::own_processes::patiently("the orphan has not tried", || {
        std::fs::read_to_string(&said)
            .ok()
            .filter(|text| text.contains("done"))
    });
    assert!(
        answer.contains("seems to belong to a hosted program"),
        "{answer}"
    );
    assert!(host.admin().list().unwrap().is_empty());
}

#[test]
fn a_program_whose_name_the_guard_says_does_that_operation_and_no_other() {
    let host = host(84, Vec::new());
    let name = host.admin().host_name().unwrap();
    let tao = hash(&command("tao"));
    add(
        &host,
        &format!("Authorized({name}.Program([{tao}]), \"List\")"),
    );
    let listed = hosted(&host, &["list"]);
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    assert!(text(&listed.stdout).contains(&tao));
    let said = text(&hosted(&host, &["host", "shutdown"]).stderr);
    assert!(said.contains("\"Shutdown\""), "{said}");
}

#[test]
fn a_liberal_guard_names_no_program_as_an_administrator() {
    let mut setup = Setup::new(85);
    setup.programs.confinements = Vec::new();
    let host = setup.start();
    let said = text(&hosted(&host, &["list"]).stderr);
    assert!(
        said.contains("a hosted program may not administer"),
        "{said}"
    );
}

#[test]
fn the_administrators_socket_is_out_of_a_programs_sight() {
    let host = TestHost::start(86);
    if !can(&host, Confinement::Namespaces) {
        return;
    }
    let output = hosted(&host, &["list"]);
    let said = text(&output.stderr);
    assert!(!output.status.success());
    assert!(
        !said.contains("may not administer"),
        "it reached the host: {said}"
    );
    let test = format!("test -S {}", host.socket().display());
    assert!(!host.run(&["run", "sh", "-c", &test]).status.success());
}
