//! A development host and a domain, by commands only.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // as in any test

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

struct World {
    dir: tempfile::TempDir,
}

const REPORT: &str = env!("CARGO_BIN_EXE_tao-report");
const TAO: &str = env!("CARGO_BIN_EXE_tao");

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec())
        .unwrap()
        .trim_end()
        .to_owned()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pw"), "secret\n").unwrap();
        World { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn tao_at(&self, socket: &Path, arguments: &[&str]) -> Output {
        Command::new(TAO)
            .arg("--socket")
            .arg(socket)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn tao(&self, arguments: &[&str]) -> Output {
        self.tao_at(&self.path("admin.sock"), arguments)
    }

    fn good(&self, arguments: &[&str]) -> String {
        let output = self.tao(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        text(&output.stdout)
    }

    /// Starts a soft host; gives its name.
    fn start(&self, more: &[&str]) -> String {
        let state = self.path("state");
        let mut all = vec!["host", "start", "--soft", "--background", "--state"];
        all.push(state.to_str().unwrap());
        all.extend(more);
        self.good(&all)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A test may have ended its host itself.
        drop(self.tao(&["host", "shutdown"]));
    }
}

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

/// Black-box tests, as anybody can run them against any host.
fn conforms(socket: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_tao-conformance"))
        .arg(socket)
        .output()
        .unwrap();
    let lines = text(&output.stdout);
    let failed: Vec<_> = lines
        .lines()
        .filter(|line| !line.starts_with("ok"))
        .collect();
    assert!(output.status.success(), "{failed:#?}");
    let held = lines
        .lines()
        .filter(|line| line.starts_with("ok\t"))
        .count();
    assert!(held >= 60, "{held}");
}

#[test]
fn a_soft_host_conforms() {
    let world = World::new();
    world.start(&[]);
    conforms(&world.path("admin.sock"));
}

#[test]
fn a_domain_can_trust_a_program_with_its_libraries_and_a_script_with_its_interpreter() {
    let world = World::new();
    let (domain, password) = (world.path("domain"), world.path("pw"));
    let (domain, password) = (domain.to_str().unwrap(), password.to_str().unwrap());
    world.good(&["domain", "init", "--password-file", password, domain]);
    let measuring = ["--libraries", "measure", "--scripts", "measure"];
    let script = world.path("script");
    std::fs::write(&script, "#!/bin/sh\nexit 0\n").unwrap();
    let script = script.to_str().unwrap();
    let words = ["domain", "add-program", "--password-file", password];
    let trust = |what: &str| {
        let all: Vec<&str> = words.iter().chain(&measuring).copied().collect();
        world.good(&[all.as_slice(), &[domain, what]].concat())
    };
    let found = trust(script);
    assert!(
        found.contains(".Script([") && found.contains(".Libraries("),
        "{found}"
    );
    trust(REPORT);
    let guard = ["--guard", "domain", "--domain", domain];
    let name = world.start(&[guard.as_slice(), &measuring].concat());
    world.good(&[
        "domain",
        "add-host",
        "--password-file",
        password,
        domain,
        &name,
    ]);
    let shown = json(&world.tao(&["host", "show", "--json"]));
    let said = |key: &str, word: &str| {
        let words = shown[key].as_array().unwrap();
        words.iter().any(|found| found == word)
    };
    assert!(said("policy", "libraries = \"measure\""), "{shown}");
    if said("isolation", "namespaces") {
        world.good(&["run", REPORT]);
        world.good(&["run", script]);
    }
    // The same interpreter with another script is another program.
    std::fs::write(script, "#!/bin/sh\nexit 1\n").unwrap();
    let refused = world.tao(&["run", script]);
    assert_eq!(
        refused.status.code(),
        Some(125),
        "{}",
        text(&refused.stderr)
    );
}

#[test]
fn a_domains_rules_decide_what_a_host_starts() {
    let world = World::new();
    let (domain, password) = (world.path("domain"), world.path("pw"));
    let (domain, password) = (domain.to_str().unwrap(), password.to_str().unwrap());
    let key = world.good(&["domain", "init", "--password-file", password, domain]);
    let with_key = |verb: &str, what: &str| {
        world.good(&["domain", verb, "--password-file", password, domain, what])
    };
    let program = with_key("add-program", REPORT);
    assert!(program.starts_with(".Program(["), "{program}");
    let name = world.start(&["--guard", "domain", "--domain", domain]);
    assert!(name.ends_with(&format!(".DatalogGuard({key})")), "{name}");
    assert_eq!(world.tao(&["run", REPORT]).status.code(), Some(125));
    with_key("add-host", &name);
    // The running host sees it at once.
    assert!(world.tao(&["run", REPORT]).status.success());
    assert_eq!(world.tao(&["run", "true"]).status.code(), Some(125));
    let query = format!(
        "Authorized({name}{}, \"Execute\")",
        program.split(' ').next().unwrap()
    );
    let asked = ["guard", "--domain", domain, "--password-file", password];
    let guard = |more: &[&str]| world.tao(&[&asked[..], more].concat());
    assert_eq!(text(&guard(&["query", &query]).stdout), "yes");
    let fact = format!("TrustedHost({name})");
    assert!(guard(&["retract", &fact]).status.success());
    assert_eq!(guard(&["why", &query]).status.code(), Some(1));
    assert_eq!(world.tao(&["run", REPORT]).status.code(), Some(125));
    std::fs::write(password, "wrong").unwrap();
    let refused = guard(&["add", &fact]);
    assert!(
        text(&refused.stderr).contains("password is wrong"),
        "{refused:?}"
    );
    let shown = json(&world.tao(&["domain", "show", "--json", domain]));
    assert_eq!(shown["policy_key"], key.as_str());
    let cert = format!("{domain}/policy_keys/cert");
    let shown = json(&world.tao(&["key", "show", "--json", &cert]));
    assert_eq!(
        (shown["name"].as_str(), shown["private"].as_bool()),
        (Some(key.as_str()), Some(false))
    );
}

#[test]
fn a_stacked_host_rests_on_the_host_that_started_it() {
    let world = World::new();
    let name = world.start(&[]);
    let (inner, state) = (world.path("inner/admin.sock"), world.path("inner state"));
    let started = world.good(&[
        "run",
        "--detach",
        TAO,
        "--socket",
        inner.to_str().unwrap(),
        "host",
        "start",
        "--stacked",
        "--state",
        state.to_str().unwrap(),
        "--guard",
        "liberal",
    ]);
    assert!(started.contains(".Program(["), "{started}");
    for _ in 0..500 {
        if inner.exists() && world.tao_at(&inner, &["host", "show"]).status.success() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let shown = json(&world.tao_at(&inner, &["host", "show", "--json"]));
    let inner_name = shown["name"].as_str().unwrap();
    assert!(
        inner_name.starts_with(&format!("{name}.Program([")),
        "{inner_name}"
    );
    assert!(inner_name.ends_with(".TrivialGuard(\"Liberal\")"));
    assert!(shown["anchor"].as_str().unwrap().contains("parent"));
    let report = json(&world.tao_at(&inner, &["run", REPORT]));
    let verdict = &report["attestation"]["verdict"];
    assert_eq!(verdict["verified"], true, "{report}");
    assert_eq!(verdict["chain"], 2);
    assert!(name.starts_with(verdict["root"].as_str().unwrap()));
    assert_eq!(report["seal"]["self"]["ok"], true);
    conforms(&inner);
    // The log of a detached program is kept, and its end can be waited for.
    let listed = json(&world.tao(&["list", "--json"]));
    let pid = listed[0]["pid"].to_string();
    assert!(world.good(&["logs", &pid]).contains("Tao host: "));
    assert!(world.tao_at(&inner, &["host", "shutdown"]).status.success());
    assert_eq!(world.tao(&["wait", &pid]).status.code(), Some(0));
    assert!(world.good(&["logs", &pid]).contains("Tao host: "));
}

#[test]
fn a_hosted_shell_script_seals_unseals_attests_and_draws_random_bytes() {
    let world = World::new();
    let tao = env!("CARGO_BIN_EXE_tao");
    let script = world.path("script");
    let text_of = format!(
        "#!/bin/sh\nset -e\nsealed=$(printf 'a secret' | {tao} seal | base64 -w0)\n\
         case $(printf %s \"$sealed\" | base64 -d) in *secret*) exit 6 ;; esac\n\
         printf %s \"$sealed\" | base64 -d | {tao} unseal\necho\n\
         {tao} attest 'Ready(\"yes\")'\n{tao} random 8\n\
         if printf x | {tao} unseal 2>&1; then exit 7; fi\n"
    );
    std::fs::write(&script, text_of).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = script.to_str().unwrap();
    world.start(&["--scripts", "measure", "--libraries", "measure"]);
    let shown = json(&world.tao(&["host", "show", "--json"]));
    if !shown["isolation"]
        .as_array()
        .unwrap()
        .iter()
        .any(|found| found == "namespaces")
    {
        return; // Scripts need them, and this machine has none.
    }
    let said = world.good(&["run", script]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "a secret");
    assert_eq!(lines[2].len(), 16, "{said}");
    let attestation = world.path("attestation");
    std::fs::write(&attestation, lines[1]).unwrap();
    let shown = world.good(&["attestation", "show", attestation.to_str().unwrap()]);
    assert!(
        shown.contains("says Ready(\"yes\")") && shown.contains(".Script(["),
        "{shown}"
    );
}

#[test]
fn a_rule_is_signed_for_no_file_that_a_host_would_not_start() {
    let world = World::new();
    let (domain, password) = (world.path("domain"), world.path("pw"));
    let (domain, password) = (domain.to_str().unwrap(), password.to_str().unwrap());
    world.good(&["domain", "init", "--password-file", password, domain]);
    for (content, words) in [
        ("#!/bin/sh\nexit 0\n", "--scripts measure"),
        ("text\n", "neither an ELF program nor a script"),
        ("", "neither an ELF program nor a script"),
    ] {
        let file = world.path("file");
        std::fs::write(&file, content).unwrap();
        let file = file.to_str().unwrap();
        let refused = world.tao(&[
            "domain",
            "add-program",
            "--password-file",
            password,
            domain,
            file,
        ]);
        assert_eq!(refused.status.code(), Some(1));
        let sentence = text(&refused.stderr);
        assert!(sentence.contains(words), "{sentence}");
    }
    assert!(
        !world
            .good(&["domain", "show", domain])
            .contains("TrustedProgramHash(ext")
    );
}
