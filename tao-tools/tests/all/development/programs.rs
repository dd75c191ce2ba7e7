//! Programs: a host that is one, a shell script, and what administrators do with them.

use std::{
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use crate::development::world::*;

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
