//! Every element, list, policy and data file that the original tools made is read and written back
//! byte for byte; cut or changed ones are refused or read, but never crash.

use lcp::{list::PolicyList, policy_data::PolicyData};
use proptest::prelude::*;
use txt::{
    codec::FormatError,
    element::Element,
    policy::{ListTypeV1, Policy, PolicyDataV1, PolicyType, PolicyV1},
};

use crate::recorded;

/// Reads a file of a known kind and writes it again.
fn round_trip(name: &str, bytes: &[u8]) -> Option<Result<Vec<u8>, FormatError>> {
    let extension = name.rsplit('.').next().unwrap();
    Some(match extension {
        "elt" => Element::parse(bytes).and_then(|element| element.to_bytes()),
        "lst" => PolicyList::parse(bytes).and_then(|list| list.to_bytes()),
        "pol" => Policy::parse(bytes).map(|policy| policy.to_bytes()),
        "data" => PolicyData::parse(bytes).and_then(|data| data.to_bytes()),
        _ => return None,
    })
}

/// Files that the originals made or took although they are wrong: (group/case, file, part of our
/// sentence).
const REFUSED: &[(&str, &str, &str)] = &[
    ("elt/neg-show-trunc", "t.elt", "element size"),
    ("elt/show-mle2-numhash-lie", "t.elt", "num_hashes"),
    ("list/mal-eltsize-big", "l.lst", "element size"),
    ("list/mal-eltsize0", "l.lst", "at least 12"),
    ("list/mal-extra", "l.lst", "bytes too many"),
    ("list/mal-sigalg", "l.lst", "sig_alg"),
    ("list/mal-signed-nosig", "l.lst", "revocation_counter"),
    ("list/mal-trunc", "l.lst", "elements"),
    ("list/mal-ver9", "l.lst", "list version"),
    ("list/neg-badelt", "mle.elt", "bytes too many"),
    ("old183/list-nosig-addsig", "nosig.lst", "sig_block"),
    ("pol/neg-show-2x-badver", "t.pol", "version"),
    ("pol/neg-show-2x-trunc", "t.pol", "policy_hash"),
    ("pol/neg-show-data-n2", "t.data", "list version"),
    ("pol/neg-show-data-res", "t.data", "reserved"),
    ("pol/neg-show-extra", "t.pol", "bytes too many"),
    ("pol/neg-show-reserved", "t.pol", "reserved"),
    ("pol/neg-show-trunc", "t.pol", "policy_hash"),
];

#[test]
fn every_recorded_file_is_written_back_unchanged_or_refused_by_name() {
    let (mut equal, mut refused) = (0, 0);
    for group in recorded::GROUPS {
        for case in recorded::group(group) {
            let name = format!("{group}/{}", case.name);
            for (file, bytes) in case.files() {
                if name == "old183/v1-crtpol" {
                    continue;
                }
                let Some(result) = round_trip(file, &bytes) else {
                    continue;
                };
                let known = REFUSED
                    .iter()
                    .find(|known| known.0 == name && known.1 == file);
                match (result, known) {
                    (Ok(written), None) => {
                        assert_eq!(hex::encode(written), hex::encode(bytes), "{name}/{file}");
                        equal += 1;
                    }
                    (Err(error), Some((_, _, part))) => {
                        let text = error.to_string();
                        assert!(text.contains(part), "{name}/{file}: {text}");
                        refused += 1;
                    }
                    (Ok(_), Some(_)) => panic!("{name}/{file} is accepted"),
                    (Err(error), None) => panic!("{name}/{file}: {error}"),
                }
            }
        }
    }
    assert_eq!(refused, REFUSED.len());
    assert!(equal > 250, "{equal}");
}

#[test]
fn policies_hold_the_hash_of_their_data() {
    let mut checked = 0;
    for group in ["pol", "old183"] {
        for case in recorded::group(group) {
            let (Some(policy), Some(data)) = (case.made("o.pol"), case.made("o.data")) else {
                continue;
            };
            let policy = Policy::parse(&policy).unwrap();
            assert_eq!(policy.policy_type(), PolicyType::List);
            let data = PolicyData::parse(&data).unwrap();
            let alg = policy.policy_hash().alg();
            assert_eq!(
                &data.hash(alg).unwrap(),
                policy.policy_hash(),
                "{}",
                case.name
            );
            checked += 1;
        }
    }
    assert!(checked >= 10, "{checked}");
}

#[test]
fn policies_of_before_2008_are_read() {
    let cases = recorded::group("old183");
    let case = cases.iter().find(|case| case.name == "v1-crtpol").unwrap();
    let mut read = 0;
    for (file, bytes) in case.files() {
        if file.ends_with(".pol") {
            let policy = PolicyV1::parse(&bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(policy.version <= 1);
            assert!(PolicyV1::parse(&bytes[..33]).is_err());
            read += 1;
        }
        if file.ends_with(".data") {
            let data = PolicyDataV1::parse(&bytes).unwrap();
            assert_eq!(data.lists[0].list_type, ListTypeV1::Mle);
            assert_eq!(data.lists[0].hashes.len(), 3);
            for end in 0..bytes.len() {
                assert!(PolicyDataV1::parse(&bytes[..end]).is_err());
            }
            read += 1;
        }
    }
    assert_eq!(read, 9);
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    let mut cut = 0;
    for group in recorded::GROUPS {
        for case in recorded::group(group) {
            for (file, bytes) in case.files() {
                let Some(Ok(_)) = round_trip(file, &bytes) else {
                    continue;
                };
                for end in 0..bytes.len() {
                    let result = round_trip(file, &bytes[..end]).unwrap();
                    // The data of a custom element have no length of their own, but its size has.
                    assert!(result.is_err(), "{group}/{}/{file} cut at {end}", case.name);
                    cut += 1;
                }
            }
        }
    }
    assert!(cut > 10_000);
}

#[test]
fn a_changed_byte_is_refused_or_kept() {
    for case in recorded::group("sign")
        .iter()
        .chain(&recorded::group("pol"))
    {
        for (file, bytes) in case.files() {
            for at in 0..bytes.len().min(300) {
                for flip in [1, 0x80, 0xff] {
                    let mut changed = bytes.clone();
                    changed[at] ^= flip;
                    if let Some(Ok(written)) = round_trip(file, &changed) {
                        assert_eq!(written, changed, "{}/{file} at {at}", case.name);
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_refused_or_written_back(
        start in 0usize..8,
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let starts: [&[u8]; 8] = [
            b"", &[0, 3], &[0, 2, 0x10, 0], &[0, 1, 0, 0], &[0, 3, 0, 0], &[2, 3, 11, 0],
            b"Intel(R) TXT LCP_POLICY_DATA\0\0\0\0\0\0\0\x01", &[20, 0, 0, 0, 0x10, 0, 0, 0],
        ];
        let input = [starts[start], &bytes].concat();
        for name in ["x.elt", "x.lst", "x.pol", "x.data"] {
            if let Some(Ok(written)) = round_trip(name, &input) {
                prop_assert_eq!(&written, &input);
            }
        }
    }
}
