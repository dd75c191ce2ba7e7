//! The guard of a booted machine: only what its owner's policy key has signed for is started.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::disk::orders::shell;
use harness::tool::Tool;
use harness::world::{CarriedOut, Plan, Userland, World};

/// Every host may run what the domain trusts: which host this will be is not known yet.
const ANY_HOST: &str = "forall P: forall H: forall E: TrustedProgramHash(E) and Subprin(P, H, E) \
     implies Authorized(P, \"Execute\")";

/// A domain of an operator, by the `tao` command: the policy key's certificate and signed rules
/// for tao-report.
fn domain(directory: &Path) -> (String, Vec<u8>) {
    let password = directory.join("password");
    std::fs::write(&password, "correct horse battery staple\n").unwrap();
    let domain = directory.join("domain");
    let report = harness::programs::path("tao-report").unwrap();
    let tao = |words: &[&str]| {
        Tool::new(harness::programs::path("tao").unwrap().to_str().unwrap())
            .args(words)
            .run()
            .unwrap();
    };
    let (domain_arg, password) = (domain.to_str().unwrap(), password.to_str().unwrap());
    let key = ["--password-file", password];
    tao(&[&["domain", "init"], &key[..], &[domain_arg]].concat());
    let report = report.to_str().unwrap();
    tao(&[&["domain", "add-program"], &key[..], &[domain_arg, report]].concat());
    tao(&[
        &["guard", "--domain", domain_arg],
        &key[..],
        &["add", ANY_HOST],
    ]
    .concat());
    let certificate = std::fs::read(domain.join("policy_keys/cert")).unwrap();
    let rules = std::fs::read(domain.join("rules")).unwrap();
    (STANDARD.encode(certificate), rules)
}

#[test]
fn a_booted_machine_starts_what_the_policy_key_signed_for_and_nothing_while_the_signature_is_bad() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, rules) = domain(directory.path());
    let mut plan = Plan::new(Userland::Debian);
    plan.config = format!(
        "[tao]\nguard = \"datalog\"\nrules = \"/etc/tao/rules\"\npolicy_key = \"{certificate}\"\n"
    );
    let world = World::make("guard", &plan).unwrap();
    let commands = vec![
        shell("host", "tao host show --json"),
        shell("no rules", "tao run /usr/bin/tao-report; echo status $?"),
        shell(
            "signed for",
            &format!(
                "mkdir /etc/tao && echo {} | base64 -d >/etc/tao/rules && tao run /usr/bin/tao-report",
                STANDARD.encode(rules)
            ),
        ),
        shell(
            "not signed for",
            "tao run /usr/bin/sealed-counter; echo status $?",
        ),
        shell(
            "changed",
            "cp /usr/bin/tao-report /run/changed && printf x >>/run/changed && tao run /run/changed; echo status $?",
        ),
        shell(
            "bad signature",
            "cp /etc/tao/rules /run/good && printf x >>/etc/tao/rules && tao run /usr/bin/tao-report; echo status $?",
        ),
        shell(
            "put back",
            "cp /run/good /etc/tao/rules && tao run /usr/bin/tao-report >/dev/null && echo started",
        ),
        shell(
            "too little memory",
            "tao host show >/dev/null; before=$?; \
             for bytes in 4096 16384 65536 131072 262144 524288 1048576; do \
                 tao run --memory $bytes /usr/bin/tao-report >/dev/null; echo $bytes: $?; \
             done; \
             tao run /usr/bin/tao-report >/dev/null; echo before $before after $?",
        ),
    ];
    let CarriedOut { probe, console } = world.carry_out(commands).unwrap();
    let said = |command: &str| {
        let result = &probe["commands"][command];
        let text = |stream: &str| result[stream].as_str().unwrap().to_owned();
        text("stdout") + &text("stderr")
    };
    let host: serde_json::Value = serde_json::from_str(&said("host")).unwrap();
    let name = host["name"].as_str().unwrap();
    assert!(
        name.starts_with("tpm2([") && name.contains(".DatalogGuard("),
        "{name}"
    );
    let none = said("no rules");
    assert!(
        none.contains("are missing") && none.contains("status 125"),
        "{none}"
    );
    let report: tao_tools::report::Report = serde_json::from_str(&said("signed for")).unwrap();
    assert!(report.name.starts_with(name), "{report:?}");
    for refused in ["not signed for", "changed"] {
        let said = said(refused);
        let denied =
            said.contains("denied authorization to execute") && said.contains("status 125");
        assert!(denied, "{refused}: {said}");
    }
    let bad = said("bad signature");
    assert!(
        bad.contains("status 125") && !bad.contains("\"name\""),
        "{bad}"
    );
    assert!(said("put back").contains("started"), "{}", said("put back"));
    // No set of processes that waits for a program holds the machine up.
    assert!(!console.contains("Waiting for process"), "{console}");
    // Less memory than any program needs ends that program, or its start, and nothing else.
    let little = said("too little memory");
    let killed = little.contains("65536: 137\n");
    assert!(killed && little.contains("before 0 after 0\n"), "{little}");
}
