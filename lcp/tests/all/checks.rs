//! What is checked before anything is written: each check, with a policy that passes all others.

use std::fs;

use lcp::{
    check::{Severity, Target, against_previous, check},
    list::{ListVersion, PolicyList},
    policy_data::PolicyData,
    sign::{PrivateKey, Scheme, SigningPlan, sign},
};
use txt::{
    element::{Body, Custom, Element, HashList, LegacyMle, Mle2, TBOOT_UUID},
    hash::{Digest, HashAlg},
    policy::{Policy, Policy12, Policy20, PolicyType, PolicyVersion20, SignMask},
};

use crate::recorded;

const SHA256: HashAlg = HashAlg::Sha256;

fn mle(minimum: u8, hashes: &[&[u8]]) -> Element {
    let hashes = hashes.iter().map(|text| SHA256.digest(text)).collect();
    element(Body::Mle2(Mle2 {
        sinit_min_version: minimum,
        hashes: HashList::new(SHA256, hashes).unwrap(),
    }))
}

fn element(body: Body) -> Element {
    Element { control: 1, body }
}

fn list(version: ListVersion, elements: Vec<Element>) -> PolicyList {
    PolicyList::new(version, elements)
}

fn signed(list: PolicyList, key: &str, scheme: Scheme, counter: u16) -> PolicyList {
    let path = recorded::vectors().join("keys").join(key);
    let key = PrivateKey::from_pem(&fs::read_to_string(path).unwrap()).unwrap();
    let plan = SigningPlan {
        scheme,
        hash: None,
        revocation_counter: counter,
    };
    sign(list, &key, &plan).unwrap()
}

/// A policy that names these lists and takes RSA 2048 with SHA-256.
fn policy(data: &PolicyData) -> Policy20 {
    let hash = data.hash(SHA256).unwrap();
    let mask = SignMask::named("rsa-2048-sha256").unwrap();
    Policy20::new(PolicyVersion20::V3_2, PolicyType::List, hash, mask)
}

/// The sentences of a check, with their weights.
fn findings(policy: Policy20, data: &PolicyData, target: &Target) -> Vec<(Severity, String)> {
    let report = check(&Policy::Tpm20(policy), Some(data), target).unwrap();
    let findings = report.findings.into_iter();
    findings
        .map(|finding| (finding.severity, finding.text))
        .collect()
}

fn one(policy: Policy20, data: &PolicyData, target: &Target, severity: Severity, part: &str) {
    let found = findings(policy, data, target);
    assert_eq!(found.len(), 1, "{part}: {found:?}");
    assert_eq!(found[0].0, severity, "{found:?}");
    assert!(found[0].1.contains(part), "{part}: {found:?}");
}

/// A policy that is right.
fn right() -> (Policy20, PolicyData, Target) {
    let plain = list(ListVersion::V3_0, vec![mle(10, &[b"tboot", b"old tboot"])]);
    let data = PolicyData::new(vec![signed(plain, "rsa2048.pem", Scheme::RsaPss, 5)]).unwrap();
    let target = Target {
        mle_hashes: vec![SHA256.digest(b"tboot")],
        sinit_version: Some(20),
        sinit_hashes: vec![SHA256],
        nv_size: Some(70),
    };
    let mut policy = policy(&data);
    policy.data_revocation_counters[0] = 5;
    policy.sinit_min_version = 15;
    (policy, data, target)
}

#[test]
fn a_policy_that_is_right_has_no_findings() {
    let (policy, data, target) = right();
    assert_eq!(findings(policy.clone(), &data, &target), []);
    let report = check(&Policy::Tpm20(policy), Some(&data), &target).unwrap();
    let place = report.allowed_by.unwrap();
    assert_eq!((place.list, place.element, place.hash), (0, 0, 0));
}

#[test]
fn each_wrong_field_is_found_alone() {
    use Severity::{Refused, Warning};
    let (base, data, target) = right();
    let with = |change: &dyn Fn(&mut Policy20)| {
        let mut policy = base.clone();
        change(&mut policy);
        policy
    };
    let bad = |change: &dyn Fn(&mut Policy20), severity, part| {
        one(with(change), &data, &target, severity, part);
    };
    bad(
        &|p| p.data_revocation_counters[0] = 6,
        Refused,
        "revocation counter is 5, the policy wants 6",
    );
    bad(
        &|p| p.sinit_min_version = 21,
        Refused,
        "SINIT version 21 or later, this is 20",
    );
    bad(
        &|p| p.sign_mask = SignMask(0x40),
        Refused,
        "lcp_sign_alg_mask 0x40 does not have",
    );
    bad(
        &|p| p.sign_mask.0 |= 1 << 30,
        Warning,
        "no known signature: 0x40000000",
    );
    bad(&|p| p.hash_mask |= 0x100, Warning, "no known hash: 0x100");
    let other = list(ListVersion::V3_0, vec![mle(0, &[b"x"])]);
    let other = policy(&PolicyData::new(vec![other]).unwrap());
    let found = findings(other, &data, &target);
    assert!(
        found
            .iter()
            .any(|(s, t)| *s == Refused && t.contains("but these hash to"))
    );
    // A mask without the elements' hash: SINIT ignores them, and the MLE is not allowed any more.
    let found = findings(
        with(&|p| p.hash_mask = HashAlg::Sha384.mask()),
        &data,
        &target,
    );
    let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
    assert!(
        texts.iter().any(|text| text.contains("SINIT ignores it")),
        "{texts:?}"
    );
    assert!(
        texts
            .iter()
            .any(|text| text.contains("no list allows this MLE")),
        "{texts:?}"
    );
}

#[test]
fn each_wrong_target_is_found_alone() {
    use Severity::{Refused, Warning};
    let (policy, data, right) = right();
    let bad = |change: &dyn Fn(&mut Target), severity, part| {
        let mut target = right.clone();
        change(&mut target);
        one(policy.clone(), &data, &target, severity, part);
    };
    bad(
        &|t| t.nv_size = Some(58),
        Refused,
        "the policy has 70 bytes, the NV index 58",
    );
    bad(
        &|t| t.nv_size = Some(102),
        Warning,
        "deleted and defined anew",
    );
    bad(
        &|t| t.sinit_hashes = vec![HashAlg::Sha1],
        Refused,
        "this SINIT knows only sha1",
    );
    bad(
        &|t| t.mle_hashes = vec![SHA256.digest(b"other")],
        Refused,
        "no list allows this MLE",
    );
    let mut low = policy.clone();
    low.sinit_min_version = 0;
    let target = Target {
        sinit_version: Some(9),
        ..right.clone()
    };
    one(
        low,
        &data,
        &target,
        Refused,
        "SINIT version 10 or later only",
    );
}

#[test]
fn lists_that_do_not_fit_are_found() {
    use Severity::{Refused, Warning};
    let unknown = Target::default();
    let bad = |list: PolicyList, severity, part| {
        let data = PolicyData::new(vec![list]).unwrap();
        one(policy(&data), &data, &unknown, severity, part);
    };
    let v3 = |elements| list(ListVersion::V3_0, elements);
    let zero = HashList::new(SHA256, vec![Digest::zero(SHA256)]).unwrap();
    bad(
        v3(vec![element(Body::Stm(zero)), mle(0, &[b"a"])]),
        Warning,
        "all zeros",
    );
    bad(v3(vec![mle(0, &[b"a", b"b", b"a"])]), Warning, "twice");
    let sha1 = HashList::new(HashAlg::Sha1, vec![HashAlg::Sha1.digest(b"a")]).unwrap();
    let legacy = element(Body::LegacyMle(LegacyMle::new(0, sha1).unwrap()));
    let data = PolicyData::new(vec![v3(vec![legacy.clone()])]).unwrap();
    let found = findings(policy(&data), &data, &unknown);
    assert!(
        found[0]
            .1
            .contains("does not go into a list of version 3.0"),
        "{found:?}"
    );
    // A list of TPM 1.2 under a policy of TPM 2.0, and the other way round.
    let old = list(ListVersion::V1_0, vec![legacy]);
    let data = PolicyData::new(vec![old]).unwrap();
    let found = findings(policy(&data), &data, &unknown);
    assert!(
        found[0]
            .1
            .contains("a list of version 1.0 in a policy for TPM 2.0"),
        "{found:?}"
    );
    let new = PolicyData::new(vec![v3(vec![mle(0, &[b"a"])])]).unwrap();
    let old = Policy12::new(4, PolicyType::List, new.hash(HashAlg::Sha1).unwrap()).unwrap();
    let report = check(&Policy::Tpm12(old), Some(&new), &unknown).unwrap();
    assert!(
        report.findings[0]
            .text
            .contains("version 3.0 in a policy for TPM 1.2")
    );
    assert!(!report.accepted());
    // A key that is too short, and a counter for a list that has none.
    let short = signed(
        list(ListVersion::V2_0, vec![mle(0, &[b"a"])]),
        "rsa1024.pem",
        Scheme::Rsa,
        0,
    );
    let data = PolicyData::new(vec![short]).unwrap();
    let found = findings(policy(&data), &data, &unknown);
    assert!(
        found.iter().any(|(_, text)| text.contains("1024 bits")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|(severity, _)| *severity == Refused),
        "{found:?}"
    );
    let data = PolicyData::new(vec![v3(vec![mle(0, &[b"a"])])]).unwrap();
    let mut policy = policy(&data);
    policy.data_revocation_counters[0] = 1;
    one(
        policy,
        &data,
        &unknown,
        Warning,
        "it is unsigned and has none",
    );
}

#[test]
fn more_data_than_tboot_takes_is_refused() {
    let big = element(Body::Custom(Custom {
        uuid: TBOOT_UUID,
        data: vec![1; 65_500],
    }));
    let error = PolicyData::new(vec![list(ListVersion::V2_1, vec![big])]).unwrap_err();
    assert!(
        error.to_string().contains("tboot takes at most 65536"),
        "{error}"
    );
    let lists = vec![list(ListVersion::V2_1, vec![mle(0, &[b"a"])]); 9];
    assert!(
        PolicyData::new(lists)
            .unwrap_err()
            .to_string()
            .contains("1 to 8")
    );
}

#[test]
fn what_was_withdrawn_does_not_come_back_unnoticed() {
    let (new, ..) = right();
    let mut old = new.clone();
    old.data_revocation_counters = [5, 0, 1, 0, 0, 0, 0, 0];
    old.sinit_min_version = 16;
    let (old, new) = (Policy::Tpm20(old), Policy::Tpm20(new));
    let found = against_previous(&old, &new);
    let texts: Vec<&str> = found.iter().map(|finding| finding.text.as_str()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("goes back from 1 to 0") && found[0].list == Some(2));
    assert!(texts[1].contains("SINIT version goes back from 16 to 15"));
    assert_eq!(against_previous(&new, &new), []);
}
