//! The `tao` command as people and scripts call it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // as in any test

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde::Deserialize;

fn tao(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tao"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec())
        .unwrap()
        .trim_end()
        .to_owned()
}

#[derive(Deserialize)]
struct Vector {
    kind: String,
    input: String,
    ok: bool,
    marshal_hex: Option<String>,
}

#[test]
fn recorded_texts_are_encoded_and_decoded_as_recorded() {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("vectors/auth_text_vectors.json")).unwrap();
    // One of each kind and the refused ones; the library's tests have all of them.
    for vector in vectors
        .iter()
        .filter(|vector| vector.kind != "form_bare")
        .step_by(7)
    {
        let output = tao(&["logic", "encode", "--kind", &vector.kind], &vector.input);
        assert_eq!(output.status.success(), vector.ok, "{}", vector.input);
        if let Some(hex) = &vector.marshal_hex {
            assert_eq!(&text(&output.stdout), hex);
            let decoded = tao(&["logic", "decode", "--kind", &vector.kind], hex);
            let again = tao(
                &["logic", "check", "--kind", &vector.kind],
                &text(&decoded.stdout),
            );
            assert_eq!(again.stdout, decoded.stdout);
        } else {
            assert_eq!(text(&output.stderr).lines().count(), 1, "{}", vector.input);
        }
    }
}

#[test]
fn what_follows_a_value_is_refused_by_check_and_named_by_encode() {
    let checked = tao(&["logic", "check"], "P(1))");
    assert_eq!(checked.status.code(), Some(1));
    assert_eq!(
        text(&checked.stderr),
        "tao: expected the end at byte 4, found \")\""
    );
    let encoded = tao(&["logic", "encode"], "P(1))");
    assert!(encoded.status.success());
    assert!(text(&encoded.stderr).contains("left aside"));
    assert!(!tao(&["logic", "encode"], "P(1) P(2)").status.success());
}

#[derive(Deserialize)]
struct Recorded {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    attestation: String,
    result: std::collections::BTreeMap<String, String>,
}

#[test]
fn recorded_attestations_are_verified_or_refused_from_a_file() {
    let recorded: Recorded =
        serde_json::from_str(include_str!("vectors/attestation_vectors.json")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("attestation");
    let path = file.to_str().unwrap();
    for case in &recorded.cases {
        std::fs::write(&file, hex::decode(&case.attestation).unwrap()).unwrap();
        let at = "1795252751296796906";
        let output = tao(&["attestation", "verify", "--at", at, "--json", path], "");
        let good = case.result.contains_key("ok") && case.name != "expiration_before_time";
        assert_eq!(
            output.status.code(),
            Some(i32::from(!good)),
            "{}",
            case.name
        );
        let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(line["verified"], good);
        if good {
            assert_eq!(line["statement"], case.result["ok"]);
        }
        let shown = tao(&["attestation", "show", path], "");
        assert!(shown.status.success() && text(&shown.stdout).contains("not verified"));
    }
}

#[test]
fn without_a_host_the_sentence_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("absent.sock");
    for arguments in [&["list"][..], &["host", "show"], &["run", "true"]] {
        let mut all = vec!["--socket", socket.to_str().unwrap()];
        all.extend(arguments);
        let output = tao(&all, "");
        assert_eq!(
            output.status.code(),
            Some(if arguments[0] == "run" { 125 } else { 1 })
        );
        assert!(text(&output.stderr).starts_with("tao: no Tao host answers at"));
    }
    let output = tao(&["name"], "");
    assert!(text(&output.stderr).contains("not started by a Tao host"));
}
