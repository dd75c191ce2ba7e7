use std::path::Path;

use super::{super::section::GuardKind, *};
use tao::domain::{Domain, GuardKind as DomainGuard, NewDomain};

fn parsed(text: &str) -> Result<TaoConfig, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

fn domain(dir: &Path) -> (Domain, String) {
    let domain = Domain::create(
        dir,
        &NewDomain {
            name: "test",
            guard_kind: DomainGuard::Datalog,
            password: b"password",
            original_keys: false,
            today: 20_000,
        },
    )
    .unwrap();
    let cert = std::fs::read(dir.join("policy_keys/cert")).unwrap();
    (domain, BASE64.encode(cert))
}

#[test]
fn an_empty_section_is_a_liberal_host_with_the_default_policy() {
    let config = parsed("").unwrap();
    assert_eq!(config.guard(), GuardKind::Liberal);
    assert_eq!(*config.programs(), ProgramPolicy::default());
}

#[test]
fn keys_that_do_not_fit_together_and_unknown_ones_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_, key) = domain(dir.path());
    for (text, words) in [
        ("guard = \"anything\"".to_owned(), "unknown variant"),
        ("gard = \"liberal\"".to_owned(), "unknown field"),
        ("guard = \"datalog\"".to_owned(), "needs rules"),
        (
            "guard = \"acl\"\nrules = \"/r\"".to_owned(),
            "needs policy_key",
        ),
        ("rules = \"/r\"".to_owned(), "are for guard"),
        (format!("policy_key = \"{key}\""), "is for guard"),
        (
            "guard = \"acl\"\nrules = \"/r\"\nimage_rules = \"/r\"".to_owned(),
            "exclude each other",
        ),
        (
            format!("guard = \"acl\"\nrules = \"r\"\npolicy_key = \"{key}\""),
            "absolute",
        ),
        (
            "guard = \"acl\"\nrules = \"/r\"\npolicy_key = \"AAAA\"".to_owned(),
            "not a certificate or public key",
        ),
        (
            "guard = \"acl\"\nrules = \"/r\"\npolicy_key = \"~\"".to_owned(),
            "PEM or base64",
        ),
        ("isolation = \"some\"".to_owned(), "expected best"),
        ("memory = \"lots\"".to_owned(), "amount of memory"),
        ("read = [\"usr\"]".to_owned(), "absolute path"),
    ] {
        let error = parsed(&text).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn signed_rules_of_the_image_reach_the_host_and_others_are_refused() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (domain, key) = domain(dir.path());
    domain_rules_are_refused_under_another_key(dir.path(), other.path());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{key}\n-----END CERTIFICATE-----\n");
    let text = format!(
        "guard = \"datalog\"\nimage_rules = \"{}\"\npolicy_key = \"\"\"\n{pem}\"\"\"\nadmin_group = 7\n",
        dir.path().join("rules").display()
    );
    let settings = HostSettings::read(parsed(&text).unwrap()).unwrap();
    let passed = HostSettings::from_bytes(&settings.to_bytes().unwrap()).unwrap();
    assert_eq!(passed.config.text, settings.config.text);
    assert_eq!(passed.admin_group(), Some(7));
    // The same host as one that reads the rules from the domain's directory.
    let name = |source: &GuardSource| source.subprincipal().unwrap().to_string();
    assert_eq!(name(passed.guard()), name(&domain.guard_source()));
    assert!(passed.guard().check().is_ok());
}

fn domain_rules_are_refused_under_another_key(dir: &Path, other: &Path) {
    let (_, key) = domain(other);
    let rules = dir.join("rules");
    let text = format!(
        "guard = \"datalog\"\nimage_rules = \"{}\"\npolicy_key = \"{key}\"\n",
        rules.display()
    );
    let error = HostSettings::read(parsed(&text).unwrap()).unwrap_err();
    assert!(error.to_string().contains("image_rules"), "{error}");
    let text = text.replace("/rules", "/absent");
    let error = HostSettings::read(parsed(&text).unwrap()).unwrap_err();
    assert!(
        error.to_string().contains("taoboot-image --file"),
        "{error}"
    );
}

#[test]
fn every_key_of_the_section_is_read_and_reaches_the_resident_process() {
    let dir = tempfile::tempdir().unwrap();
    let (_, key) = domain(dir.path());
    let text = format!(
        r#"guard = "acl"
rules = "/rules"
policy_key = "{key}"
admin_group = 7
isolation = "strict"
network = false
name_arguments = true
libraries = "measure"
scripts = "measure"
environment = "name"
memory = "64M"
processes = 9
cpu = "50%"
largest = "1M"
read = ["/usr"]
write = ["/srv"]
user = "1000:100"
devices = ["/dev/kvm"]
"#
    );
    let config = parsed(&text).unwrap();
    let written = serde_json::to_value(&config.text).unwrap();
    let unset = |(key, value): (&String, &serde_json::Value)| {
        (value.is_null() || value == &serde_json::json!([])).then(|| key.clone())
    };
    let unset: Vec<_> = written
        .as_object()
        .unwrap()
        .iter()
        .filter_map(unset)
        .collect();
    assert_eq!(unset, ["image_rules"]);
    let settings = HostSettings::read(config).unwrap();
    let passed = HostSettings::from_bytes(&settings.to_bytes().unwrap()).unwrap();
    assert_eq!(passed.config.text, settings.config.text);
    assert_eq!(passed.programs(), settings.programs());
}

#[test]
fn a_refused_key_or_value_is_named_with_its_line() {
    for (text, words) in [
        (
            "guard = \"local\"\nprocesses = \"many\"",
            ["line 2", "processes = \"many\"", "expected"],
        ),
        (
            "network = true\nread = \"/usr\"",
            ["line 2", "read = \"/usr\"", "sequence"],
        ),
        (
            "network = true\ngard = \"local\"",
            ["line 2", "gard", "expected one of"],
        ),
    ] {
        let error = parsed(text).unwrap_err();
        for word in words {
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
