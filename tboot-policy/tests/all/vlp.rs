//! The verified launch policy and module hashes against recorded outputs of tboot's `tb_polgen`.

use std::{fs, path::PathBuf};

use proptest::prelude::*;
use tboot_policy::{
    module::Module,
    vlp::{self, Check, Entry, ModuleNumber, Object, Policy, PolicyType, VlpError},
};
use tpm::pcr::PcrIndex;
use txt::hash::{Digest, HashAlg};

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/vlp")
}

fn cases(file: &str) -> Vec<serde_json::Value> {
    serde_json::from_slice(&fs::read(vectors().join(file)).unwrap()).unwrap()
}

#[test]
fn every_recorded_policy_is_read_and_written_back_unchanged() {
    let mut read = 0;
    for case in cases("policies.json") {
        let name = case["name"].as_str().unwrap();
        let bytes = hex::decode(case["hex"].as_str().unwrap()).unwrap();
        if case["valid"].as_bool().unwrap() {
            let policy = Policy::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(policy.to_bytes(), bytes, "{name}");
            read += 1;
        } else {
            assert!(
                Policy::parse(&bytes).is_err(),
                "{name}: tb_polgen calls it corrupt"
            );
        }
    }
    assert!(read >= 40, "{read}");
}

#[test]
fn module_hashes_are_those_of_the_original() {
    let mut equal = 0;
    for case in cases("modules.json") {
        let name = case["name"].as_str().unwrap();
        let bytes = fs::read(vectors().join(case["image"].as_str().unwrap())).unwrap();
        let module = Module::new(name, case["cmdline"].as_str().unwrap(), bytes);
        let alg: HashAlg = case["alg"].as_str().unwrap().parse().unwrap();
        if name == "image-gztrunc" || case["rc"] != 0 {
            // The original hashes what it gets of a truncated gzip file; GRUB would not load it.
            assert!(module.hash(alg).is_err(), "{name}");
            continue;
        }
        let policy = hex::decode(case["policy"].as_str().unwrap()).unwrap();
        let policy = Policy::parse(&policy).unwrap();
        let hash = module.hash(alg).unwrap();
        let known = policy
            .entries()
            .iter()
            .any(|entry| entry.hashes.contains(&hash));
        assert!(
            known,
            "{name}: {hash} is not in the policy that tb_polgen made"
        );
        equal += 1;
    }
    assert!(equal >= 12, "{equal}");
}

#[test]
fn the_built_in_policies_are_tboots_bytes() {
    assert_eq!(Policy::default_tpm2().to_bytes(), vlp::DEFAULT_TPM2);
    assert_eq!(Policy::default_tpm12().to_bytes(), vlp::DEFAULT_TPM12);
    assert_eq!(
        Policy::parse(&vlp::DEFAULT_TPM2).unwrap(),
        Policy::default_tpm2()
    );
}

#[test]
fn a_policy_cut_at_any_byte_is_refused() {
    for case in cases("policies.json") {
        let bytes = hex::decode(case["hex"].as_str().unwrap()).unwrap();
        for end in 0..bytes.len() {
            assert!(
                Policy::parse(&bytes[..end]).is_err(),
                "{} cut at {end}",
                case["name"]
            );
        }
    }
}

#[test]
fn bytes_behind_the_policy_are_only_allowed_in_an_nv_index() {
    let mut bytes = vlp::DEFAULT_TPM2.to_vec();
    bytes.extend([0xff; 220]);
    assert_eq!(Policy::parse(&bytes), Err(VlpError::Trailing(220)));
    assert_eq!(
        Policy::parse_prefix(&bytes),
        Ok((Policy::default_tpm2(), 36))
    );
}

#[test]
fn a_policy_longer_than_tboot_reads_is_refused() {
    let entry = |hashes| Entry {
        check: Check::Image,
        hashes: vec![HashAlg::Sha256.digest(b""); hashes],
        ..Entry::measure(Object::AnyModule, None)
    };
    let make = |hashes| Policy::new(PolicyType::Halt, HashAlg::Sha256, 1, vec![entry(hashes)]);
    assert!(make(65).is_ok());
    assert_eq!(make(66), Err(VlpError::TooLong(2132)));
    // The same as bytes: 66 hashes, more than tboot's buffer.
    let mut bytes = make(65).unwrap().to_bytes();
    bytes[19] = 66;
    bytes.extend([0; 32]);
    assert_eq!(Policy::parse(&bytes), Err(VlpError::TooLong(2132)));
}

#[test]
fn digests_of_another_algorithm_are_refused() {
    let mut entry = Entry::measure(Object::AnyModule, None);
    entry.hashes = vec![Digest::zero(HashAlg::Sha1)];
    let result = Policy::new(PolicyType::Halt, HashAlg::Sha256, 1, vec![entry]);
    assert!(matches!(result, Err(VlpError::DigestAlg { entry: 0, .. })));
    assert_eq!(
        Policy::new(PolicyType::Halt, HashAlg::Sm3, 1, vec![]),
        Err(VlpError::Alg(HashAlg::Sm3))
    );
}

#[test]
fn the_first_entry_that_fits_a_module_counts() {
    let entry = |object, pcr| Entry::measure(object, PcrIndex::try_from(pcr).ok());
    let numbered = |number| Object::Module(ModuleNumber::new(number).unwrap());
    let entries = vec![
        entry(numbered(1), 19),
        entry(Object::AnyModule, 20),
        entry(numbered(2), 21),
    ];
    let policy = Policy::new(PolicyType::Halt, HashAlg::Sha256, 1, entries).unwrap();
    let pcr = |module| policy.entry_for(module).unwrap().pcr.unwrap().get();
    // The entry for module 2 stands behind "any" and so never counts.
    assert_eq!([pcr(0), pcr(1), pcr(2), pcr(300)], [20, 19, 20, 20]);
    assert!(ModuleNumber::new(128).is_none());
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let object = prop_oneof![
        (0u8..128).prop_map(|number| Object::Module(ModuleNumber::new(number).unwrap())),
        Just(Object::AnyModule),
        Just(Object::NvHashed),
        Just(Object::NvRaw),
    ];
    let pcr = proptest::option::of(0u8..24)
        .prop_map(|pcr| pcr.map(|number| PcrIndex::try_from(number).unwrap()));
    let check = prop_oneof![Just(Check::Any), Just(Check::Image)];
    let hashes = proptest::collection::vec(any::<[u8; 8]>(), 0..4);
    (object, pcr, check, any::<u32>(), hashes).prop_map(|(object, pcr, check, nv_index, hashes)| {
        let hashes = hashes
            .iter()
            .map(|seed| HashAlg::Sha384.digest(seed))
            .collect();
        Entry {
            object,
            pcr,
            check,
            nv_index,
            hashes,
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        entries in proptest::collection::vec(any_entry(), 0..8),
        control in any::<u32>(),
    ) {
        let policy = Policy::new(PolicyType::Continue, HashAlg::Sha384, control, entries).unwrap();
        prop_assert_eq!(Policy::parse(&policy.to_bytes()), Ok(policy));
    }

    #[test]
    fn what_is_read_is_written_back_unchanged(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        header in any::<bool>(),
    ) {
        let mut input = if header { vlp::DEFAULT_TPM2[..11].to_vec() } else { Vec::new() };
        input.extend(bytes);
        if let Ok((policy, len)) = Policy::parse_prefix(&input) {
            prop_assert_eq!(&policy.to_bytes()[..], &input[..len]);
        }
    }
}
