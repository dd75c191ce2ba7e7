use serde::Deserialize;

use super::*;
use crate::{
    keys::{Secret, Signer, Verifier},
    logic::Pred,
};

#[derive(Deserialize)]
struct Vectors {
    acl: Acl,
    datalog: Vec<Policy>,
    datalog_signed: Signed,
    liberal_subprincipal: String,
    conservative_subprincipal: String,
    unsigned_datalog_subprincipal: String,
}

#[derive(Deserialize)]
struct Acl {
    rules: Vec<String>,
    unsigned_rules: Vec<String>,
    aclset_proto: String,
    signed_file: String,
    policy_spki_der: String,
    subprincipal: String,
    unsigned_subprincipal: String,
}

#[derive(Deserialize)]
struct Policy {
    name: String,
    rules: Vec<String>,
    rule_results: Vec<String>,
    datalog_translation: Vec<String>,
    queries: Vec<Query>,
}

#[derive(Deserialize)]
struct Query {
    query: String,
    answer: String,
}

#[derive(Deserialize)]
struct Signed {
    rules: Vec<String>,
    rules_proto: String,
    signed_file: String,
    policy_spki_der: String,
    subprincipal: String,
    translation: Vec<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../tests/vectors/guard_vectors.json")).unwrap()
}

fn verifier(hex_spki: &str) -> Verifier {
    Verifier::from_spki(&hex::decode(hex_spki).unwrap()).unwrap()
}

fn pred(text: &str) -> Pred {
    text.parse().unwrap()
}

#[test]
fn the_recorded_policies_answer_as_recorded() {
    for policy in vectors().datalog {
        let mut guard = DatalogGuard::new();
        for (rule, result) in policy.rules.iter().zip(&policy.rule_results) {
            assert_eq!(guard.add_rule(rule).is_ok(), result == "ok", "{rule}");
        }
        assert_eq!(
            guard.translations().unwrap(),
            policy.datalog_translation,
            "{}",
            policy.name
        );
        for query in &policy.queries {
            let answer = guard.query(&pred(&query.query)).unwrap();
            assert_eq!(
                answer.to_string(),
                query.answer,
                "{}: {}",
                policy.name,
                query.query
            );
            let why = guard.why(&pred(&query.query)).unwrap();
            assert_eq!(why.allowed, answer, "{}", query.query);
            assert!(!why.steps.is_empty());
        }
    }
}

#[test]
fn the_recorded_signed_rules_load_and_are_named_as_recorded() {
    let signed = vectors().datalog_signed;
    let file = hex::decode(&signed.signed_file).unwrap();
    let key = verifier(&signed.policy_spki_der);
    let guard = DatalogGuard::from_signed(&file, &key).unwrap();
    assert_eq!(guard.rules(), signed.rules);
    assert_eq!(guard.translations().unwrap(), signed.translation);
    assert_eq!(guard.subprincipal().to_string(), signed.subprincipal);
    assert_eq!(hex::encode(guard.serialized().unwrap()), signed.rules_proto);
    // What the rules say of a program in a guarded Linux host.
    let host = "key([aa]).LinuxHost([bb])";
    for (query, answer) in [
        (
            format!("Authorized({host}.Program([71]), \"Execute\")"),
            true,
        ),
        (
            format!("Authorized({host}.Program([73]), \"Execute\")"),
            false,
        ),
        (
            format!("Authorized({host}.DatalogGuard(key([cc])).Program([72]), \"Execute\")"),
            true,
        ),
        (
            "Authorized(tpm([e0]).PCRs(\"17,18\", \"aa,bb\"), \"Execute\")".to_owned(),
            true,
        ),
        (
            "Authorized(tpm([e0]).PCRs(\"17,18\", \"aa,bc\"), \"Execute\")".to_owned(),
            false,
        ),
        ("Authorized(key([aa]), \"Execute\")".to_owned(), false),
    ] {
        assert_eq!(guard.query(&pred(&query)), Ok(answer), "{query}");
    }
    // Somebody else's signature, another purpose, a changed byte.
    let other = Signer::new(Secret::new([1; 32])).unwrap();
    let serialized = guard.serialized().unwrap();
    let forged = signed::sign_datalog(&other, serialized.clone()).unwrap();
    assert!(matches!(
        DatalogGuard::from_signed(&forged, &key),
        Err(GuardError::Signature(_))
    ));
    let mut changed = file.clone();
    changed[20] ^= 1;
    assert!(DatalogGuard::from_signed(&changed, &key).is_err());
    let ours = Verifier::from_spki(other.spki()).unwrap();
    assert!(DatalogGuard::from_signed(&forged, &ours).is_ok());
    let list = signed::sign_acl(&other, serialized).unwrap();
    assert!(DatalogGuard::from_signed(&list, &ours).is_err());
}

#[test]
fn the_recorded_list_loads_and_answers() {
    let acl = vectors().acl;
    let key = verifier(&acl.policy_spki_der);
    let guard = AclGuard::from_signed(&hex::decode(&acl.signed_file).unwrap(), &key).unwrap();
    assert_eq!(guard.rules(), acl.rules);
    assert_eq!(guard.subprincipal().to_string(), acl.subprincipal);
    assert_eq!(hex::encode(guard.serialized().unwrap()), acl.aclset_proto);
    assert_eq!(guard.query(&pred(&acl.rules[0])), Ok(true));
    assert_eq!(
        guard.query(&pred("Authorized(key([00]), \"Execute\")")),
        Ok(false)
    );
    let mut unsigned = AclGuard::new();
    for rule in &acl.unsigned_rules {
        unsigned.add_rule(rule).unwrap();
    }
    assert_eq!(
        unsigned.subprincipal().to_string(),
        acl.unsigned_subprincipal
    );
    unsigned.retract_rule(&acl.unsigned_rules[0]).unwrap();
    assert!(unsigned.rules().is_empty());
    assert!(unsigned.retract_rule("P()").is_err());
}

#[test]
fn guards_are_named_as_recorded() {
    let vectors = vectors();
    for (guard, name) in [
        (TrivialGuard::Liberal, &vectors.liberal_subprincipal),
        (
            TrivialGuard::Conservative,
            &vectors.conservative_subprincipal,
        ),
    ] {
        assert_eq!(&guard.subprincipal().to_string(), name);
    }
    // The rules that the recorded hash is of are those of the signed file.
    let serialized = hex::decode(&vectors.datalog_signed.rules_proto).unwrap();
    let guard = DatalogGuard::from_serialized(&serialized).unwrap();
    let name = guard.subprincipal().to_string();
    assert!(
        name.starts_with(".DatalogGuard([")
            && name.len() == vectors.unsigned_datalog_subprincipal.len()
    );
}

#[test]
fn trivial_guards_can_only_be_told_what_they_do_anyway() {
    let everything = pred("Authorized(key([00]), \"Execute\")");
    let (mut liberal, mut conservative) = (TrivialGuard::Liberal, TrivialGuard::Conservative);
    assert_eq!(liberal.query(&everything), Ok(true));
    assert_eq!(conservative.query(&everything), Ok(false));
    assert!(liberal.add_rule("P()").is_ok() && liberal.retract_rule("P()").is_err());
    assert!(conservative.add_rule("P()").is_err() && conservative.retract_rule("P()").is_ok());
    assert!(liberal.clear().is_err() && conservative.clear().is_ok());
    assert_eq!(liberal.rules(), ["Allow All"]);
    assert_eq!(conservative.rules(), ["Deny All"]);
}

#[test]
fn names_that_only_look_alike_are_told_apart() {
    // In the original both were printed [00].
    let mut list = AclGuard::new();
    let mut rules = DatalogGuard::new();
    for guard in [&mut list as &mut dyn Guard, &mut rules] {
        guard.add_rule("Authorized(key([]), \"Execute\")").unwrap();
        assert_eq!(
            guard.query(&pred("Authorized(key([]), \"Execute\")")),
            Ok(true)
        );
        assert_eq!(
            guard.query(&pred("Authorized(key([00]), \"Execute\")")),
            Ok(false)
        );
        assert_eq!(
            guard.query(&pred("Authorized( key( [ ] ),\"Execute\" )")),
            Ok(true)
        );
    }
    rules.add_rule("P(1)").unwrap();
    assert_eq!(rules.query(&pred("P(\"1\")")), Ok(false));
}

#[test]
fn a_machine_with_a_tpm_2_can_be_trusted_by_its_name() {
    // The original could not: its parser did not know tpm2(...).
    let signed = vectors().datalog_signed;
    let file = hex::decode(&signed.signed_file).unwrap();
    let mut guard = DatalogGuard::from_signed(&file, &verifier(&signed.policy_spki_der)).unwrap();
    let query =
        pred("Authorized(tpm2([e1]).PCRs(\"17,18\", \"aa,bb\").Program([71]), \"Execute\")");
    assert_eq!(guard.query(&query), Ok(false));
    guard.add_rule("TrustedTPM(tpm2([e1]))").unwrap();
    assert_eq!(guard.query(&query), Ok(true));
    guard.retract_rule("TrustedTPM(tpm2([e1]))").unwrap();
    assert_eq!(guard.query(&query), Ok(false));
}
