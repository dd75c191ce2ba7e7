//! A development host and a domain, by commands only.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // as in any test

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A folder that programs may use, whoever they run as.
fn open_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(dir.path(), all).unwrap();
    dir
}

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
        let dir = open_dir();
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
    assert!(held >= 100, "{held}");
    println!("{held} properties hold");
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
fn a_domain_can_trust_a_program_with_its_libraries_and_a_script_with_its_interpreter() {
    let world = World::new();
    let (domain, password) = (world.path("domain"), world.path("pw"));
    let (domain, password) = (domain.to_str().unwrap(), password.to_str().unwrap());
    world.good(&["domain", "init", "--password-file", password, domain]);
    let measuring = ["--libraries", "measure", "--scripts", "measure"];
    let script = world.path("script");
    std::fs::write(&script, "#!/bin/sh\nexit 0\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
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
    let refused = world.tao(&["run", REPORT]);
    assert_eq!(refused.status.code(), Some(125));
    // What is missing is that the host is trusted, and not that the program be a host.
    let why = text(&refused.stderr);
    assert!(
        why.contains(&format!("misses TrustedHost({name})")),
        "{why}"
    );
    assert!(
        !why.contains(&format!("misses TrustedHost({name}.Program")),
        "{why}"
    );
    with_key("add-host", &name);
    // The running host sees it at once.
    assert!(world.tao(&["run", REPORT]).status.success());
    let refused = world.tao(&["run", "true"]);
    assert_eq!(refused.status.code(), Some(125));
    let why = text(&refused.stderr);
    assert!(
        why.contains("misses TrustedProgramHash(ext.Program(["),
        "{why}"
    );
    let query = format!(
        "Authorized({name}{}, \"Execute\")",
        program.split(' ').next().unwrap()
    );
    let guard = |more: &[&str]| {
        let changes = ["add", "retract"].contains(&more[0]);
        let key = ["--password-file", password];
        let key = if changes { &key[..] } else { &[] };
        world.tao(&[&["guard", "--domain", domain], key, more].concat())
    };
    assert_eq!(text(&guard(&["query", &query]).stdout), "yes");
    let fact = format!("TrustedHost({name})");
    assert!(guard(&["retract", &fact]).status.success());
    assert_eq!(guard(&["why", &query]).status.code(), Some(1));
    assert_eq!(world.tao(&["run", REPORT]).status.code(), Some(125));
    // Whom the domain trusts, an attestation can be demanded to be from.
    with_key("add-host", &name);
    let report = json(&world.tao(&["run", REPORT]));
    let attestation = world.path("attestation");
    std::fs::write(&attestation, report["attestation"]["hex"].as_str().unwrap()).unwrap();
    let verify = || {
        let file = attestation.to_str().unwrap();
        let words = ["attestation", "verify", "--domain", domain, file];
        world.tao(&words).status.code()
    };
    assert_eq!(verify(), Some(0));
    assert!(guard(&["retract", &fact]).status.success());
    assert_eq!(verify(), Some(1));
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
    let line = world.good(&["list"]);
    assert!(world.good(&["logs", &line]).contains("Tao host: "));
    assert!(world.good(&["logs", &pid]).contains("Tao host: "));
    assert!(world.tao_at(&inner, &["host", "shutdown"]).status.success());
    assert_eq!(world.tao(&["wait", &pid]).status.code(), Some(0));
    assert_eq!(world.tao(&["wait", &line]).status.code(), Some(0));
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

#[test]
fn programs_are_stopped_waited_for_and_read_by_process_name_or_line() {
    let world = World::new();
    world.start(&[]);
    let start = |script: &str| {
        let line = world.good(&["run", "--detach", "sh", "-c", script]);
        let (pid, name) = line.split_once("  ").unwrap();
        (pid.to_owned(), name.to_owned(), line)
    };
    let code = |words: &[&str]| world.tao(words).status.code();
    let by_pid = start("exec sleep 100").0;
    assert_eq!(code(&["stop", &by_pid]), Some(0));
    assert_eq!(code(&["wait", &by_pid]), Some(128 + 15));
    let by_line = start("exec sleep 100").0;
    let line = world.good(&["list"]);
    // As a shell takes it apart, too.
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(code(&[&["kill"], words.as_slice()].concat()), Some(0));
    assert_eq!(code(&["wait", &line]), Some(128 + 9));
    // A process that is another program is left alone.
    let (pid, name, _) = start("exec sleep 100");
    let other = format!("{pid}  .Program([00])");
    assert_eq!(code(&["stop", &other]), Some(1));
    let (second, ..) = start("exec sleep 100");
    let several = world.tao(&["wait", &name]);
    let said = text(&several.stderr);
    assert!(said.contains(&pid) && said.contains(&second), "{said}");
    assert_eq!(code(&["stop", &name]), Some(0));
    for ended in [&pid, &second] {
        assert_eq!(code(&["wait", ended]), Some(128 + 15));
    }
    assert_eq!(world.good(&["list"]), "");
    let (last, ..) = start("echo said; exit 7");
    assert_eq!(code(&["wait", &last]), Some(7));
    assert_eq!(code(&["wait", &name]), Some(7), "the last of that name");
    assert_eq!(world.good(&["logs", &name]), "said");
    // The list of those that have ended, and each of its lines is taken again.
    let all = world.good(&["list", "--all"]);
    let ended = |pid: &str| {
        all.lines()
            .find(|line| line.trim().starts_with(pid))
            .unwrap()
    };
    assert!(ended(&by_line).contains("signal 9"), "{all}");
    assert!(ended(&last).contains("exit 7"), "{all}");
    assert_eq!(code(&["wait", ended(&last)]), Some(7));
    let shown = json(&world.tao(&["list", "--all", "--json"]));
    let found = shown.as_array().unwrap().iter();
    let found = found
        .filter(|one| one["pid"] == last.parse::<i64>().unwrap())
        .collect::<Vec<_>>();
    assert_eq!(
        (&found[0]["exit_code"], &found[0]["runs"]),
        (&7.into(), &false.into())
    );
}

#[test]
fn the_output_of_a_program_is_followed_until_it_ends() {
    let world = World::new();
    world.start(&[]);
    let go = world.path("go");
    let script = format!(
        "echo first; until [ -e {} ]; do sleep 0.05; done; echo second; i=0; while [ $i -lt 3000 ]; do echo 0123456789; i=$((i+1)); done; exit 3",
        go.display()
    );
    let line = world.good(&["run", "--detach", "sh", "-c", &script]);
    let pid = line.split(' ').next().unwrap();
    let mut follower = Command::new(TAO)
        .arg("--socket")
        .arg(world.path("admin.sock"))
        .args(["logs", "-f", pid])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(follower.stdout.take().unwrap());
    let mut first = String::new();
    std::io::BufRead::read_line(&mut output, &mut first).unwrap();
    assert_eq!(first, "first\n");
    std::fs::write(&go, "").unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut output, &mut rest).unwrap();
    assert!(follower.wait().unwrap().success());
    // What was written at once and is no longer kept is the beginning of it at most.
    assert!(
        rest.ends_with("0123456789\n") && rest.len() > 16_000,
        "{}",
        rest.len()
    );
    assert!(rest.len() <= 7 + 3000 * 11, "{}", rest.len());
    assert_eq!(world.tao(&["wait", pid]).status.code(), Some(3));
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
    let mut host = None;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains("host\0start") && line.contains(state.to_str().unwrap()) {
            host = entry.file_name().to_str().unwrap().parse::<i32>().ok();
        }
    }
    let host = nix::unistd::Pid::from_raw(host.unwrap());
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
            said.contains("can't do") && said.contains("limits"),
            "{said}"
        );
        assert!(!socket.exists());
    }
}

#[test]
fn a_program_sees_neither_state_nor_socket_of_other_hosts() {
    let world = World::new();
    let (states, sockets) = (world.path("states"), world.path("sockets"));
    for folder in [&states, &sockets] {
        std::fs::create_dir_all(folder.join("tao")).unwrap();
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
    // Those of the machine's hosts, where there are any: an empty folder, not a closed one.
    for state in ["/var/lib/tao", "/var/lib/taoboot/tao"] {
        let seen = format!("[ -n \"$(ls -A {state} 2>&1)\" ]");
        let is_there = root && Path::new(state).is_dir();
        assert!(!is_there || fails(&seen), "{state}");
    }
}

#[test]
fn a_users_own_host_is_in_the_folders_of_the_xdg_base_directories() {
    use std::os::unix::process::CommandExt as _;
    let world = World::new();
    let program = world.path("tao");
    std::fs::copy(TAO, &program).unwrap();
    for name in ["home", "states", "run", "other run"] {
        let folder = world.path(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
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
