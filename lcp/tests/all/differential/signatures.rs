//! Signatures with fresh randomness cannot be compared, so each side verifies the other's: lists of
//! version 3.0 with RSAPSS. The original crashes when it verifies elliptic curves, also its own, so
//! that here only ours verifies both (and openssl ours, in signatures.rs).

use std::{collections::BTreeMap, fs, path::Path};

use test_support::required;

use crate::differential::{
    random::{Line, Random},
    tools::{Done, ours, real_tools, run},
};

/// Key, scheme, hash.
const KEYS: [(&str, &str, &str); 6] = [
    ("rsa2048", "rsapss", "sha256"),
    ("rsa2048", "rsapss", "sha384"),
    ("rsa3072", "rsapss", "sha256"),
    ("rsa3072", "rsapss", "sha384"),
    ("p256", "ecdsa", "sha256"),
    ("p384", "ecdsa", "sha384"),
];

fn line(words: &str, files: BTreeMap<String, Vec<u8>>) -> Line {
    Line {
        tool: "lcp2_crtpollist",
        words: words.split(' ').map(str::to_owned).collect(),
        files,
    }
}

/// Runs a line that must succeed.
fn succeed(tools: &Path, line: &Line) -> Done {
    let done = run(tools, line, &line.words);
    assert_eq!(done.rc, Some(0), "{:?}: {done}", line.words);
    done
}

/// Of one signature in 128 the original writes R or S, when it is a byte shorter than the key, at the wrong end of
/// its field (first byte 0 of a number whose last byte is the highest): nobody verifies that.
fn is_shifted(list: &[u8], key: &str) -> bool {
    let size = if key == "p384" { 48 } else { 32 };
    [2 * size, size]
        .iter()
        .any(|back| list[list.len() - back] == 0)
}

#[test]
fn each_side_verifies_the_others_signatures() {
    let found = required(real_tools(), "the real tools (cargo xtask setup)");
    let Some(real) = found else {
        return;
    };
    let ours = ours();
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/keys");
    let mut random = Random(7);
    for (key, scheme, hash) in KEYS {
        let element = [&[21, 0, 0, 0, 0x20, 0, 0, 0, 1, 0, 0, 0], &[9; 9][..]].concat();
        let create = line(
            "--create --listver 0x300 --out out in.elt",
            BTreeMap::from([("in.elt".to_owned(), element)]),
        );
        let list = succeed(&real, &create).files["out"].clone();
        let counter = random.below(65_536);
        let words = format!(
            "--sign --sigalg {scheme} --hashalg {hash} --rev {counter} --pub {key}.pub.pem --priv {key}.pem --out out"
        );
        let mut files = BTreeMap::from([("out".to_owned(), list)]);
        for name in [format!("{key}.pem"), format!("{key}.pub.pem")] {
            files.insert(name.clone(), fs::read(keys.join(name)).unwrap());
        }
        let sign = line(&words, files);
        let sides = [
            (real.as_path(), ours.path()),
            (ours.path(), real.as_path()),
            (ours.path(), ours.path()),
        ];
        for (signer, verifier) in sides {
            let mut signed = succeed(signer, &sign).files["out"].clone();
            while signer == real && scheme == "ecdsa" && is_shifted(&signed, key) {
                signed = succeed(signer, &sign).files["out"].clone();
            }
            if verifier == real && scheme == "ecdsa" {
                continue;
            }
            let verify = |list: Vec<u8>| {
                let files = BTreeMap::from([("out".to_owned(), list)]);
                let line = line("--verify out", files);
                run(verifier, &line, &line.words)
            };
            let done = verify(signed.clone());
            let text = String::from_utf8_lossy(&done.stdout).into_owned();
            assert_eq!(done.rc, Some(0), "{key} {scheme} {hash}: {done}");
            assert!(text.contains("verified positively"), "{text}");
            // A list that was changed since verifies on neither side (theirs still exits with 0).
            let mut changed = signed;
            changed[12 + 8] ^= 1;
            let text = String::from_utf8_lossy(&verify(changed).stdout).into_owned();
            assert!(!text.contains("verified positively"), "{text}");
        }
    }
}
