//! How programs are kept apart, as programs find it.

use std::os::unix::fs::PermissionsExt as _;

use tao_host::{Confinement, Libraries, ProgramPolicy};

use super::common::{Setup, TestHost, command};

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn with(secret: u8, policy: ProgramPolicy) -> TestHost {
    let mut setup = Setup::new(secret);
    setup.programs = policy;
    setup.start()
}

/// The confinements that this machine can provide; the tests of the others have nothing to see.
pub fn can(host: &TestHost, confinement: Confinement) -> bool {
    let described = host.admin().describe().unwrap();
    let listed = |list: &[String]| list.iter().any(|name| name == confinement.name());
    assert_ne!(listed(&described.isolation), listed(&described.lacking));
    let is_possible = listed(&described.isolation);
    if !is_possible {
        eprintln!(
            "skipped: this machine, or this user, has no {}",
            confinement.name()
        );
    }
    is_possible
}

#[test]
fn a_program_of_root_has_no_capabilities_and_a_filter() {
    let host = TestHost::start(70);
    let status = text(&host.run(&["run", "cat", "/proc/self/status"]).stdout);
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    if can(&host, Confinement::Capabilities) {
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(set), "0000000000000000", "{set}");
        }
    }
    if can(&host, Confinement::Seccomp) {
        assert_eq!(field("Seccomp:"), "2");
    }
    assert_eq!(field("NoNewPrivs"), "1");
}

#[test]
fn a_program_has_name_spaces_of_its_own() {
    let host = TestHost::start(71);
    let own = |kind: &str| {
        let link = format!("/proc/self/ns/{kind}");
        let program = text(&host.run(&["run", "readlink", &link]).stdout);
        program.trim() != std::fs::read_link(&link).unwrap().to_str().unwrap()
    };
    if can(&host, Confinement::Namespaces) {
        assert!(own("mnt") && own("ipc") && own("uts"));
    }
    assert!(!own("net"));
    let mut policy = ProgramPolicy::default();
    policy.confinements.push(Confinement::Network);
    let host = with(72, policy);
    if can(&host, Confinement::Network) {
        let devices = text(&host.run(&["run", "cat", "/proc/net/dev"]).stdout);
        let names: Vec<_> = devices.lines().skip(2).map(str::trim_start).collect();
        assert!(
            names.iter().all(|name| !name.starts_with("eth")),
            "{devices}"
        );
    }
}

#[test]
fn a_program_can_not_signal_another_program() {
    // Where it could see the other's number.
    let mut policy = ProgramPolicy::default();
    policy
        .confinements
        .retain(|confinement| *confinement != Confinement::Processes);
    let host = with(73, policy);
    let victim = host.raw();
    let pid = victim.program.pid.to_string();
    if can(&host, Confinement::Scopes) {
        let output = host.run(&["run", "sh", "-c", &format!("kill -9 {pid}")]);
        assert!(!output.status.success());
        assert_eq!(
            host.admin().list().unwrap(),
            std::slice::from_ref(&victim.program)
        );
    }
    // Its own children it can.
    let output = host.run(&["run", "sh", "-c", "sleep 9 & kill $!; wait $!; echo $?"]);
    assert_eq!(text(&output.stdout).trim(), "143");
}

#[test]
fn a_program_can_not_mount_nor_leave_its_name_spaces() {
    let host = TestHost::start(74);
    if can(&host, Confinement::Seccomp) {
        for words in [
            ["mount", "-t", "tmpfs", "none", "/mnt"],
            ["unshare", "-m", "true", "", ""],
        ] {
            let words = words.iter().copied().filter(|word| !word.is_empty());
            let all: Vec<&str> = std::iter::once("run").chain(words).collect();
            assert!(!host.run(&all).status.success(), "{all:?}");
        }
    }
}

#[test]
fn without_measures_nothing_is_taken_and_the_host_says_so() {
    let policy = ProgramPolicy {
        confinements: Vec::new(),
        ..ProgramPolicy::default()
    };
    let host = with(75, policy);
    let described = host.admin().describe().unwrap();
    assert!(described.isolation.is_empty() && described.lacking.is_empty());
    let status = text(&host.run(&["run", "cat", "/proc/self/status"]).stdout);
    assert!(status.contains("Seccomp:\t0"), "{status}");
}

#[test]
fn arguments_are_part_of_the_name_where_the_policy_says_so() {
    let policy = ProgramPolicy {
        name_arguments: true,
        ..ProgramPolicy::default()
    };
    let host = with(76, policy);
    let output = host.run(&["run", "--json", "true", "--flag", "a \"b\""]);
    let line: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    let name = line["program"].as_str().unwrap();
    assert!(
        name.ends_with(".Args(\"--flag\", \"a \\\"b\\\"\")"),
        "{name}"
    );
    let output = host.run(&["run", "--json", "true"]);
    let line: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert!(line["program"].as_str().unwrap().ends_with(".Args()"));
}

#[test]
fn a_program_with_dynamic_libraries_is_refused_where_only_static_ones_may_run() {
    let policy = ProgramPolicy {
        libraries: Libraries::Refused,
        ..ProgramPolicy::default()
    };
    let host = with(77, policy);
    let refused = host.run(&["run", "cat", "/dev/null"]);
    assert_eq!(refused.status.code(), Some(125));
    assert!(text(&refused.stderr).contains("dynamic libraries"));
    let busybox = std::path::Path::new("/bin/busybox");
    if busybox.exists() {
        assert!(host.run(&["run", "/bin/busybox", "true"]).status.success());
    }
}

#[test]
fn a_program_is_measured_before_it_runs_whatever_happens_to_its_file() {
    let host = TestHost::start(78);
    let copy = host.path("program");
    std::fs::copy(command("tao-report"), &copy).unwrap();
    let before = host.report(&copy, &[])["name"].clone();
    // The same file with other bytes is another program; the first goes on as it was.
    let running = host
        .tao(&["run", "--detach", "sleep", "60"])
        .output()
        .unwrap();
    assert!(running.status.success());
    let mut bytes = std::fs::read(&copy).unwrap();
    bytes.push(1);
    std::fs::write(&copy, bytes).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o711)).unwrap();
    assert_ne!(host.report(&copy, &[])["name"], before);
}

#[test]
fn what_is_lacking_is_refused_or_declared_as_the_policy_says() {
    // A host that is itself a hosted program can confine in few of these ways.
    let outer = TestHost::start(79);
    if !can(&outer, Confinement::Seccomp) {
        return;
    }
    let tao = command("tao");
    for (mode, refused) in [("strict", true), ("declare", false)] {
        let (socket, state) = (outer.path(&format!("{mode}/admin.sock")), outer.path(mode));
        let started = outer.run(&[
            "run",
            "--detach",
            tao.to_str().unwrap(),
            "--socket",
            socket.to_str().unwrap(),
            "host",
            "start",
            "--soft",
            "--isolation",
            mode,
            "--state",
            state.to_str().unwrap(),
        ]);
        assert!(started.status.success(), "{}", text(&started.stderr));
        if refused {
            // It says so at its start, and is not a host.
            let line = text(&started.stdout);
            assert_eq!(outer.run(&["wait", &line]).status.code(), Some(1));
            let said = text(&outer.run(&["logs", &line]).stdout);
            assert!(said.contains("cannot be confined"), "{said}");
            assert!(!socket.exists());
            continue;
        }
        for _ in 0..500 {
            if tao::admin::Admin::connect(&socket).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let inner = |arguments: &[&str]| {
            std::process::Command::new(&tao)
                .arg("--socket")
                .arg(&socket)
                .args(arguments)
                .output()
                .unwrap()
        };
        let output = inner(&["run", "--json", "true"]);
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(said.contains(".Lacking("), "{said}");
        inner(&["host", "shutdown"]);
    }
}
