use super::*;

fn create(dir: &Path, guard_kind: GuardKind, original_keys: bool) -> Domain {
    let new = NewDomain {
        name: "test \"domain\"",
        guard_kind,
        password: b"pw",
        original_keys,
        today: 20_778,
    };
    Domain::create(dir, &new).unwrap()
}

#[test]
fn a_new_domain_loads_and_its_rules_change_only_with_the_password() {
    for (kind, original) in [(GuardKind::Datalog, true), (GuardKind::Acl, false)] {
        let dir = tempfile::tempdir().unwrap();
        let made = create(dir.path(), kind, original);
        let domain = Domain::load(dir.path()).unwrap();
        assert_eq!(domain.name, "test \"domain\"");
        assert_eq!(domain.policy_key, made.policy_key);
        let query = "Authorized(key([aa]), \"Execute\")";
        let mut guard = domain.guard().unwrap();
        assert_eq!(guard.query(&query.parse().unwrap()), Ok(false));
        guard.add_rule(query).unwrap();
        assert!(matches!(
            domain.unlock(b"pv"),
            Err(DomainError::Password(_))
        ));
        domain
            .save(guard.as_ref(), &domain.unlock(b"pw").unwrap())
            .unwrap();
        assert_eq!(
            domain.guard().unwrap().query(&query.parse().unwrap()),
            Ok(true)
        );
        let again = Domain::create(
            dir.path(),
            &NewDomain {
                name: "",
                guard_kind: kind,
                password: b"",
                original_keys: true,
                today: 0,
            },
        );
        assert!(matches!(again, Err(DomainError::Exists(_))));
    }
}

#[test]
fn the_recorded_domain_loads() {
    let recorded: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/vectors/domain_vectors.json")).unwrap();
    let text = |name: &str| recorded[name].as_str().unwrap().to_owned();
    let dir = tempfile::tempdir().unwrap();
    for (file, hex_text) in [
        ("policy_keys/cert", "policy_keys/cert(DER)"),
        ("policy_keys/keys", "policy_keys/keys"),
        ("rules", "rules"),
    ] {
        write(
            &dir.path().join(file),
            &hex::decode(text(hex_text)).unwrap(),
        )
        .unwrap();
    }
    write(&dir.path().join(CONFIG), text("tao.config").as_bytes()).unwrap();
    let domain = Domain::load(dir.path()).unwrap();
    assert_eq!(
        domain.policy_key.name().unwrap().to_string(),
        text("principal")
    );
    assert_eq!(domain.guard().unwrap().rules(), [text("rule_in_file")]);
    let signer = domain.unlock(text("password").as_bytes()).unwrap();
    assert_eq!(signer.verifier(), &domain.policy_key);
    assert!(domain.unlock(b"wrong").is_err());
}

#[test]
fn a_configuration_cannot_lead_out_of_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    create(dir.path(), GuardKind::Datalog, true);
    let path = dir.path().join(CONFIG);
    let good = fs::read_to_string(&path).unwrap();
    for bad in ["../rules", "/etc/passwd", "a/../../b"] {
        let config = good.replace("\"rules\"", &format!("\"{bad}\""));
        fs::write(&path, config).unwrap();
        let error = Domain::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("leads out"), "{error}");
    }
}
