//! Hostile LUKS2 headers: none panics, none that would give a key away is accepted.

use std::{fs, sync::OnceLock};

use agent::unlock::{
    BinaryHeaderError, CheckedHeader, HeaderCheckError, HeaderError, MemoryCopy, VolumeHeader,
    find_records, test_passphrase,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::enroll_support::*;

const COPY: usize = 16 << 10;

const BINARY: usize = 4096;

/// A freshly formatted image, made once.
pub fn pristine() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| fs::read(Volume::new().image).unwrap())
}

pub fn written(image: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk.img");
    fs::write(&path, image).unwrap();
    (directory, path)
}

/// The pristine image with other metadata in both copies, checksums right.
pub fn forged(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut image = pristine().to_vec();
    let area = &image[BINARY..COPY];
    let end = area.iter().position(|byte| *byte == 0).unwrap();
    let mut tree: Value = serde_json::from_slice(&area[..end]).unwrap();
    change(&mut tree);
    let text = tree.to_string();
    for start in [0, COPY] {
        let area = &mut image[start + BINARY..start + COPY];
        area.fill(0);
        area[..text.len()].copy_from_slice(text.as_bytes());
        restamp(&mut image[start..start + COPY]);
    }
    image
}

fn restamp(copy: &mut [u8]) {
    copy[448..512].fill(0);
    let sum = Sha256::digest(&*copy);
    copy[448..480].copy_from_slice(&sum);
}

pub fn refusal_of(image: &[u8]) -> HeaderCheckError {
    let (_directory, path) = written(image);
    let error = match VolumeHeader::read(&path).unwrap().checked() {
        Err(error) => error,
        Ok(header) => {
            assert!(test_passphrase(&header, PASSPHRASE.as_bytes(), Some(0)).is_err());
            match MemoryCopy::new(&header, Some(0)).unwrap_err() {
                agent::unlock::MemoryCopyError::Header(error) => error,
                other => panic!("{other}"),
            }
        }
    };
    let HeaderError::Refused { reason, .. } = error else {
        panic!("{error}")
    };
    reason
}

#[test]
fn the_copy_in_memory_opens_like_the_volume_itself() {
    let volume = Volume::new();
    let header = volume.header();
    assert_eq!(
        test_passphrase(&header, PASSPHRASE.as_bytes(), None).unwrap(),
        0
    );
    assert!(test_passphrase(&header, b"wrong", None).is_err());
    // What is changed on the device after the header was read has no effect.
    let mut image = fs::read(&volume.image).unwrap();
    image[..2 * COPY].fill(0);
    fs::write(&volume.image, image).unwrap();
    assert_eq!(
        test_passphrase(&header, PASSPHRASE.as_bytes(), Some(0)).unwrap(),
        0
    );
}

#[test]
fn reencryption_metadata_is_refused() {
    let required =
        forged(|t| t["config"]["requirements"] = json!({"mandatory": ["online-reencrypt-v2"]}));
    assert!(matches!(
        refusal_of(&required),
        HeaderCheckError::Requirement(_)
    ));
    let second = forged(|t| {
        let segment = t["segments"]["0"].clone();
        t["segments"]["1"] = segment;
    });
    assert!(matches!(
        refusal_of(&second),
        HeaderCheckError::Segments { found: 2 }
    ));
    let flagged = forged(|t| t["segments"]["0"]["flags"] = json!(["in-reencryption"]));
    assert!(matches!(
        refusal_of(&flagged),
        HeaderCheckError::SegmentKind(_)
    ));
    let linear = forged(|t| t["segments"]["0"]["type"] = "linear".into());
    assert!(matches!(
        refusal_of(&linear),
        HeaderCheckError::SegmentKind(_)
    ));
}

#[test]
fn numbers_out_of_bounds_are_refused() {
    let argon = |memory: u32, time: u32, cpus: u32| json!({"type": "argon2id", "time": time, "memory": memory, "cpus": cpus, "salt": "AAAA"});
    let cases: Vec<(&str, Value)> = vec![
        ("/keyslots/0/kdf", argon(4 << 20, 4, 1)),
        ("/keyslots/0/kdf", argon(1024, u32::MAX, 1)),
        ("/keyslots/0/kdf", argon(1024, 4, 5000)),
        ("/keyslots/0/kdf/iterations", u32::MAX.into()),
        ("/keyslots/0/kdf/hash", "whirlpool".into()),
        ("/keyslots/0/af/stripes", 1.into()),
        ("/keyslots/0/area/offset", "0".into()),
        ("/keyslots/0/area/offset", "18446744073709547520".into()),
        ("/keyslots/0/area/size", "18446744073709551615".into()),
        ("/keyslots/0/area/size", "4096".into()),
        ("/digests/0/iterations", u32::MAX.into()),
        ("/digests/0/segments", json!([])),
        ("/digests/0/type", "none".into()),
        ("/segments/0/offset", "4096".into()),
        ("/segments/0/offset", "18446744073709551104".into()),
        ("/segments/0/size", "18446744073709551104".into()),
        ("/segments/0/sector_size", 65536.into()),
        ("/segments/0/iv_tweak", "18446744073709551615".into()),
        ("/config/json_size", "4096".into()),
        ("/config/json_size", "18446744073709551615".into()),
        ("/config/keyslots_size", "18446744073709551615".into()),
    ];
    for (place, value) in cases {
        let image = forged(|t| *t.pointer_mut(place).unwrap() = value.clone());
        let reason = refusal_of(&image);
        assert!(!reason.to_string().is_empty(), "{place}: {value}");
    }
}

#[test]
fn a_changed_data_segment_is_another_volume() {
    let volume = Volume::new();
    let swtpm = launched("kernel", "initramfs");
    enroll_current(&volume, &swtpm);
    let mut image = fs::read(&volume.image).unwrap();
    for start in [0, COPY] {
        let area = &mut image[start + BINARY..start + COPY];
        let text = b"\"iv_tweak\":\"0\"";
        let at = area
            .windows(text.len())
            .position(|window| window == text)
            .unwrap();
        area[at..at + text.len()].copy_from_slice(b"\"iv_tweak\":\"8\"");
        restamp(&mut image[start..start + COPY]);
    }
    fs::write(&volume.image, image).unwrap();
    let error = find_records(&volume.header()).remove(0).1.unwrap_err();
    assert!(error.to_string().contains("IV tweak"), "{error}");
}

#[test]
fn the_newer_valid_copy_wins_and_one_valid_copy_is_enough() {
    let uuid = VolumeHeader::read(&written(pristine()).1)
        .unwrap()
        .uuid()
        .to_owned();
    for broken in [0, COPY] {
        let mut image = pristine().to_vec();
        image[broken + BINARY + 10] ^= 1;
        let (_directory, path) = written(&image);
        assert_eq!(VolumeHeader::read(&path).unwrap().uuid(), uuid);
    }
    for magic in [6, 4] {
        let mut image = pristine().to_vec();
        image[..magic].fill(0);
        let (_directory, path) = written(&image);
        assert_eq!(
            VolumeHeader::read(&path).unwrap().uuid(),
            uuid,
            "found behind a lost start"
        );
    }
    // A newer secondary: its label byte differs, which nothing reads, its sequence id is higher.
    let mut image = pristine().to_vec();
    image[COPY + 16..COPY + 24].copy_from_slice(&1000_u64.to_be_bytes());
    image[COPY + 168] = if image[COPY + 168] == b'0' {
        b'1'
    } else {
        b'0'
    };
    restamp(&mut image[COPY..2 * COPY]);
    let (_directory, path) = written(&image);
    assert_ne!(VolumeHeader::read(&path).unwrap().uuid(), uuid);
    let mut image = pristine().to_vec();
    image[BINARY + 10] ^= 1;
    image[COPY + BINARY + 10] ^= 1;
    let error = VolumeHeader::read(&written(&image).1).unwrap_err();
    assert!(matches!(
        error,
        HeaderError::Binary {
            reason: BinaryHeaderError::Checksum,
            ..
        }
    ));
}

/// Whatever it is: no panic, and what is accepted has one checked segment.
fn read_without_panic(image: &[u8]) {
    let (_directory, path) = written(image);
    if let Ok(header) = CheckedHeader::read(&path) {
        find_records(&header);
        if let Ok(copy) = MemoryCopy::new(&header, None) {
            assert!(copy.path().exists());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn flipped_bits_never_panic(flips in prop::collection::vec((0..2 * COPY, 0..8u8), 1..8), valid: bool) {
        let mut image = pristine().to_vec();
        for (at, bit) in flips {
            image[at] ^= 1 << bit;
        }
        if valid {
            restamp(&mut image[..COPY]);
            restamp(&mut image[COPY..2 * COPY]);
        }
        read_without_panic(&image);
    }

    #[test]
    fn truncation_never_panics(length in 0..3 * COPY) {
        read_without_panic(&pristine()[..length]);
    }

    #[test]
    fn any_value_anywhere_in_the_metadata_never_panics(
        place in 0..60usize,
        value in prop_oneof![
            Just(Value::Null), any::<i64>().prop_map(Value::from), ".{0,20}".prop_map(Value::from),
            any::<u64>().prop_map(|n| n.to_string().into()), Just(json!([])), Just(json!({})),
        ],
    ) {
        let image = forged(|tree| {
            let mut places = Vec::new();
            collect(tree, String::new(), &mut places);
            let place = &places[place % places.len()];
            *tree.pointer_mut(place).unwrap() = value.clone();
        });
        read_without_panic(&image);
    }
}

fn collect(tree: &Value, at: String, places: &mut Vec<String>) {
    if let Value::Object(map) = tree {
        for (key, value) in map {
            collect(value, format!("{at}/{key}"), places);
        }
    }
    places.push(at);
}

/// What a disk would say to draw a question of its own, or to forge a line of a report.
const DRAWN: &str = "\u{1b}[2J\u{1b}[HPassphrase:\r\nforged line\u{7f}\u{9b}1A\u{202e}\u{200b}";

/// Every place in the metadata: of each string, and of each name of a member.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let nested: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(k, v)| (k.clone(), v)).collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(number, item)| (number.to_string(), item))
            .collect(),
        _ => Vec::new(),
    };
    for (name, value) in nested {
        let place = format!("{at}/{name}");
        places(value, &place, found);
        found.push(place);
    }
}

#[test]
fn no_text_of_a_header_reaches_the_terminal_as_controls() {
    let mut all = Vec::new();
    drop(forged(|t| {
        t["tokens"]["0"] = json!({"type": "x", "keyslots": ["0"], "words": "y"});
        places(t, "", &mut all);
    }));
    assert!(all.len() > 30, "{all:?}");
    let mut shown = 0;
    for place in all {
        for rename in [false, true] {
            let image = forged(|t| {
                t["tokens"]["0"] = json!({"type": "x", "keyslots": ["0"], "words": "y"});
                let (parent, name) = place.rsplit_once('/').unwrap();
                let parent = if parent.is_empty() {
                    Some(t)
                } else {
                    t.pointer_mut(parent)
                };
                match parent.unwrap() {
                    Value::Object(members) if rename => {
                        let value = members.remove(name).unwrap();
                        members.insert(DRAWN.into(), value);
                    }
                    Value::Array(items) => items[name.parse::<usize>().unwrap()] = DRAWN.into(),
                    parent => parent[name] = DRAWN.into(),
                }
            });
            let (_directory, path) = written(&image);
            for more in [&[][..], &["--json"]] {
                let nowhere = ["--tcti", "device:/nonexistent/tpmrm0"];
                let output = taoboot_on("status", &path, &[&nowhere, more].concat());
                for stream in [&output.stdout, &output.stderr] {
                    let text = std::str::from_utf8(stream).unwrap();
                    let safe = |c| printable::is_printable(c) || c == '\n' || c == '\t';
                    assert!(text.chars().all(safe), "{place}: {text:?}");
                    assert!(
                        !text.lines().any(|line| line.starts_with("forged line")),
                        "{place}: {text}"
                    );
                    shown += usize::from(text.contains("\\u001b"));
                }
            }
        }
    }
    // The control: some of it is shown, escaped.
    assert!(shown > 5, "{shown}");
}
