//! Files that lie about their sizes: refused with file, offset, field, expected and found; quickly,
//! and without memory that is only claimed.

use std::{fs, path::Path, process::Command};

use lcp::{list::PolicyList, policy_data::PolicyData};
use txt::{
    acm::Acm,
    codec::FormatError,
    element::Element,
    policy::{Policy, PolicyDataV1, PolicyV1},
};

use crate::{module, recorded};

type Parse = fn(&[u8]) -> Result<(), FormatError>;

/// Every format with one real file of it.
fn formats() -> Vec<(&'static str, Vec<u8>, Parse)> {
    let find = |group: &str, case: &str, file: &str| {
        let cases = recorded::group(group);
        let case = cases.iter().find(|known| known.name == case).unwrap();
        let mut files = case.files();
        files.find(|(name, _)| *name == file).unwrap().1
    };
    let element = |bytes: &[u8]| Element::parse(bytes).map(drop);
    let list = |bytes: &[u8]| PolicyList::parse(bytes).map(drop);
    let policy = |bytes: &[u8]| Policy::parse(bytes).map(drop);
    vec![
        ("sbios", find("old183", "elt-sbios", "o3.elt"), element),
        ("mle", find("old183", "elt-mle", "o3.elt"), element),
        ("pconf", find("old183", "elt-pconf", "two.elt"), element),
        ("custom", find("old183", "elt-custom", "o.elt"), element),
        ("pconf2", find("elt", "pconf2-sha256-0", "o.elt"), element),
        ("list 1.0", find("sign", "v100-rsa2048-rsa", "l.lst"), list),
        ("list 2.0", find("sign", "v200-rsa2048", "l.lst"), list),
        (
            "list 2.0 EC",
            find("sign", "v200-p256-ecdsa", "l.lst"),
            list,
        ),
        ("list 3.0", find("sign", "v300-rsa2048-pss", "l.lst"), list),
        (
            "list 3.0 EC",
            find("sign", "v300-p384-ecdsa", "l.lst"),
            list,
        ),
        ("policy 2.2", find("old183", "pol-any", "o2.pol"), policy),
        (
            "policy 3.0",
            find("pol", "list-3.0-sha256", "o.pol"),
            policy,
        ),
        (
            "policy 1",
            find("old183", "v1-crtpol", "hash.pol"),
            |bytes| PolicyV1::parse(bytes).map(drop),
        ),
        ("data 1", find("old183", "v1-crtpol", "uns.data"), |bytes| {
            PolicyDataV1::parse(bytes).map(drop)
        }),
        ("data", find("old183", "pol-list", "us.data"), |bytes| {
            PolicyData::parse(bytes).map(drop)
        }),
        ("module", module::make(false), |bytes| {
            Acm::parse(bytes).map(drop)
        }),
        ("module 3.0", module::make(true), |bytes| {
            Acm::parse(bytes).map(drop)
        }),
    ]
}

#[test]
fn every_format_cut_at_any_byte_is_refused_with_its_place() {
    for (name, file, parse) in formats() {
        parse(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        for end in 0..file.len() {
            let error = parse(&file[..end]).expect_err(name);
            let text = error.to_string();
            // A module's header knows the file's length; everything else runs out of bytes.
            assert!(text.contains("at offset 0x"), "{name} cut at {end}: {text}");
        }
        let error = parse(&[file.as_slice(), &[0]].concat()).expect_err(name);
        assert!(
            error.to_string().contains("at offset 0x"),
            "{name}: {error}"
        );
    }
}

#[test]
fn sizes_that_lie_are_refused_or_harmless() {
    for (name, file, parse) in formats() {
        let mut refused = 0;
        for at in 0..file.len().saturating_sub(4) {
            for lie in [
                &[0xff; 4][..],
                &[0xff; 2],
                &[0; 4],
                &[0, 0, 0, 0x80],
                &[0xff, 0xff, 0xff, 0x7f],
            ] {
                let mut changed = file.clone();
                changed[at..at + lie.len()].copy_from_slice(lie);
                refused += usize::from(parse(&changed).is_err());
            }
        }
        assert!(refused >= 10, "{name}: {refused}");
    }
}

/// The program's sentence about a file.
fn sentence(directory: &Path, words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_lcp"))
        .args(words)
        .current_dir(directory)
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1), "{words:?}");
    assert!(output.stdout.is_empty(), "{words:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn the_program_names_file_offset_field_expected_and_found() {
    let directory = tempfile::tempdir().unwrap();
    let files = formats();
    let file = |name: &str| {
        files
            .iter()
            .find(|known| known.0 == name)
            .unwrap()
            .1
            .clone()
    };
    let with = |name: &str, at: usize, bytes: &[u8]| {
        let mut changed = file(name);
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        fs::write(directory.path().join("f"), changed).unwrap();
    };
    let check = |words: &[&str], expected: &str| {
        assert_eq!(
            sentence(directory.path(), words),
            format!("lcp: f: {expected}\n")
        );
    };
    with("mle", 0, &[0; 4]);
    check(
        &["element", "show", "f"],
        "element size at offset 0x0 is 0x0, expected at least 12 (its header)",
    );
    // 2^32 - 1 bytes of elements.
    with("list 3.0", 4, &[0xff; 4]);
    let text = sentence(directory.path(), &["list", "show", "f"]);
    assert!(
        text.contains("f: the list's elements at offset 0x8 needs 4294967295 bytes, but only"),
        "{text}"
    );
    with("policy 3.0", 0, &[9, 9]);
    check(
        &["policy", "show", "f"],
        "version at offset 0x0 is 0x909, expected 0x200 to 0x204 (TPM 1.2) or 0x300 to 0x302 (TPM 2.0)",
    );
    with("data", 35, &[0xff]);
    check(
        &["policy", "show", "f"],
        "num_lists at offset 0x23 is 0xff, expected 1 to 8",
    );
    with("module", module::USER + 0x30, &[0xff; 4]);
    let text = sentence(directory.path(), &["acm", "f"]);
    assert!(
        text.contains("count of chipsets at offset 0x4f0 is 0xffffffff, expected at most"),
        "{text}"
    );
    fs::write(directory.path().join("f"), b"\x1f\x8b\x08").unwrap();
    assert!(sentence(directory.path(), &["mlehash", "f"]).starts_with("lcp: f: "));
    fs::write(
        directory.path().join("f"),
        "[policy]\ntype = \"any\"\ncontrol = 4294967296\n",
    )
    .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lcp"))
        .args(["build", "f", "--out", "o"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("line 3, column 11") && text.contains("4294967296"),
        "{text}"
    );
    let text = sentence(directory.path(), &["element", "show", "missing"]);
    assert!(text.contains("cannot open missing: No such file"), "{text}");
}
