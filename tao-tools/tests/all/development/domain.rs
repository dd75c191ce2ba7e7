//! A domain and its rules.

use crate::development::world::*;

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
