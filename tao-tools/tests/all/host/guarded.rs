//! Who may start what, and who may administer.

use sha2::{Digest, Sha256};
use tao::guard::{GuardSource, RulesFile};
use tao::{
    guard::{DatalogGuard, Guard as _, signed},
    keys::{Secret, Signer, Verifier},
};

use super::common::{Setup, command};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn report_hash() -> String {
    hex::encode(Sha256::digest(
        std::fs::read(command("tao-report")).unwrap(),
    ))
}

#[test]
fn a_local_guard_starts_what_it_was_told_to_and_nothing_after_it_was_retracted() {
    let mut setup = Setup::new(50);
    setup.guard = GuardSource::Local(setup.dir.path().join("rules"));
    let host = setup.start();
    let report = command("tao-report");
    let run = || host.run(&["run", report.to_str().unwrap()]);
    let refused = run();
    assert_eq!(refused.status.code(), Some(125));
    let sentence = text(&refused.stderr);
    assert!(
        sentence.contains("denied authorization to execute on host")
            && sentence.contains("missing"),
        "{sentence}"
    );
    let host_name = host.admin().host_name().unwrap();
    assert!(host_name.to_string().ends_with(".LocalGuard(\"Datalog\")"));
    let rules = [
        "forall P: forall H: forall E: TrustedHost(H) and TrustedProgramHash(E) and Subprin(P, H, E) implies Authorized(P, \"Execute\")".to_owned(),
        format!("TrustedHost({host_name})"),
        format!("TrustedProgramHash(ext.Program([{}]))", report_hash()),
    ];
    for rule in &rules {
        let added = host.run(&["guard", "add", rule]);
        assert!(added.status.success(), "{}", text(&added.stderr));
    }
    assert!(run().status.success());
    let query = format!(
        "Authorized({host_name}.Program([{}]), \"Execute\")",
        report_hash()
    );
    let asked = host.run(&["guard", "query", &query]);
    assert_eq!(
        (asked.status.code(), text(&asked.stdout).trim()),
        (Some(0), "yes")
    );
    let why = host.run(&["guard", "why", "--json", &query]);
    let why: serde_json::Value = serde_json::from_slice(&why.stdout).unwrap();
    assert_eq!(why["allowed"], true);
    assert_eq!(why["why"][0]["reason"], rules[0].as_str());
    let shown = host.run(&["guard", "show", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["rules"].as_array().unwrap().len(), 3);
    assert!(host.run(&["guard", "retract", &rules[2]]).status.success());
    assert!(!host.run(&["guard", "retract", &rules[2]]).status.success());
    assert_eq!(run().status.code(), Some(125));
    let why = host.run(&["guard", "why", &query]);
    assert_eq!(why.status.code(), Some(1));
    assert!(
        text(&why.stdout).contains("TrustedProgramHash"),
        "{}",
        text(&why.stdout)
    );
    // The rules outlive the host.
    let dir = host.dir();
    drop(host);
    let mut again = Setup::new(50);
    again.guard = GuardSource::Local(dir.path().join("rules"));
    assert_eq!(again.start().admin().guard_show().unwrap().1.len(), 2);
}

#[test]
fn signed_rules_count_from_the_moment_the_file_is_replaced_and_unsigned_ones_never() {
    let policy = Signer::new(Secret::new([7; 32])).unwrap();
    let other = Signer::new(Secret::new([8; 32])).unwrap();
    let mut setup = Setup::new(51);
    let file = setup.dir.path().join("signed rules");
    let key = Verifier::from_spki(policy.spki()).unwrap();
    setup.guard = GuardSource::SignedDatalog(file.clone().into(), key);
    let host = setup.start();
    let host_name = host.admin().host_name().unwrap();
    let ending = format!(".DatalogGuard({})", policy.name());
    assert!(host_name.to_string().ends_with(&ending), "{host_name}");
    let report = command("tao-report");
    let run = || host.run(&["run", report.to_str().unwrap()]);
    assert!(text(&run().stderr).contains("are missing"));
    let mut guard = DatalogGuard::new();
    let fact = format!(
        "Authorized({host_name}.Program([{}]), \"Execute\")",
        report_hash()
    );
    guard.add_rule(&fact).unwrap();
    let rules = guard.serialized().unwrap();
    let put = |bytes: Vec<u8>| tao::state_file::replace(&file, &bytes).unwrap();
    put(signed::sign_datalog(&other, rules.clone()).unwrap());
    assert!(text(&run().stderr).contains("not signed by the policy key"));
    put(signed::sign_datalog(&policy, rules.clone()).unwrap());
    assert!(run().status.success());
    let changed = host.run(&["guard", "add", "P(1)"]);
    assert!(text(&changed.stderr).contains("signed by the policy key"));
    guard.retract_rule(&fact).unwrap();
    put(signed::sign_datalog(&policy, guard.serialized().unwrap()).unwrap());
    assert_eq!(run().status.code(), Some(125));
    // As in the original, the signature has no date: who may write the file can bring back
    // what the key has signed before.
    put(signed::sign_datalog(&policy, rules).unwrap());
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
    let older = std::fs::File::options().write(true).open(&file).unwrap();
    older.set_modified(old).unwrap();
    assert!(run().status.success());
}

#[test]
fn rules_that_the_host_was_started_with_need_no_file_and_must_be_signed() {
    let policy = Signer::new(Secret::new([7; 32])).unwrap();
    let key = || Verifier::from_spki(policy.spki()).unwrap();
    let signed = |name: &str| {
        let mut guard = DatalogGuard::new();
        let program = format!("{name}.Program([{}])", report_hash());
        guard
            .add_rule(&format!("Authorized({program}, \"Execute\")"))
            .unwrap();
        signed::sign_datalog(&policy, guard.serialized().unwrap()).unwrap()
    };
    let fixed = |rules: Vec<u8>| GuardSource::SignedDatalog(RulesFile::Fixed(rules.into()), key());
    // The name does not depend on the rules, only on who signs them.
    let mut setup = Setup::new(54);
    setup.guard = fixed(signed("key([00])"));
    let host = setup.start();
    let name = host.admin().host_name().unwrap().to_string();
    let report = command("tao-report");
    let refused = host.run(&["run", report.to_str().unwrap()]);
    assert!(text(&refused.stderr).contains("denied authorization to execute"));
    drop(host);
    let mut setup = Setup::new(54);
    setup.guard = fixed(signed(&name));
    let host = setup.start();
    assert_eq!(host.admin().host_name().unwrap().to_string(), name);
    assert!(
        host.run(&["run", report.to_str().unwrap()])
            .status
            .success()
    );
    let other = Signer::new(Secret::new([8; 32])).unwrap();
    let forged = signed::sign_datalog(&other, DatalogGuard::new().serialized().unwrap()).unwrap();
    let error = fixed(forged).check().unwrap_err();
    assert!(
        error.to_string().contains("not signed by the policy key"),
        "{error}"
    );
}

#[test]
fn another_guard_is_another_host() {
    let name = |guard: GuardSource| {
        let mut setup = Setup::new(52);
        setup.guard = guard;
        setup.start().admin().host_name().unwrap()
    };
    let liberal = name(GuardSource::Liberal);
    let conservative = name(GuardSource::Conservative);
    // Not only the name's end: the keys are others.
    assert_ne!(liberal.id, conservative.id);
}

#[test]
fn a_conservative_host_starts_nothing() {
    let mut setup = Setup::new(53);
    setup.guard = GuardSource::Conservative;
    let refused = setup.start().run(&["run", "true"]);
    assert_eq!(refused.status.code(), Some(125));
    assert!(text(&refused.stderr).contains("Deny All"));
}
