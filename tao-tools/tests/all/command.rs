//! The `tao` command as people and scripts call it.

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
    let vectors: Vec<Vector> = serde_json::from_str(include_str!(
        "../../../tao/tests/vectors/auth_text_vectors.json"
    ))
    .unwrap();
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
    assert!(text(&encoded.stderr).contains("ignored"));
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
    let recorded: Recorded = serde_json::from_str(include_str!(
        "../../../tao/tests/vectors/attestation_vectors.json"
    ))
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("attestation");
    let path = file.to_str().unwrap();
    for case in &recorded.cases {
        std::fs::write(&file, hex::decode(&case.attestation).unwrap()).unwrap();
        let at = "1795252751296796906";
        let words = ["attestation", "verify", "--at", at, "--json"];
        let output = tao(&[words.as_slice(), &[path]].concat(), "");
        let good = case.result.contains_key("ok") && case.name != "expiration_before_time";
        assert_eq!(
            output.status.code(),
            Some(if good { 3 } else { 1 }),
            "{}",
            case.name
        );
        let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(line["verified"], good);
        if good {
            assert_eq!(line["statement"], case.result["ok"]);
            assert_eq!(line["trusted"], false);
            assert!(text(&output.stderr).contains("say whom you trust"));
            // Whom one trusts decides.
            let (root, speaker) = (&line["root"], &line["speaker"]);
            let (root, speaker) = (root.as_str().unwrap(), speaker.as_str().unwrap());
            for (trust, code) in [
                (["--root", root], 0),
                (["--root", speaker], 0),
                (["--speaker", speaker], 0),
                (["--root", "key([00])"], 1),
                (["--speaker", "key([00])"], 1),
            ] {
                let output = tao(&[words.as_slice(), &trust, &[path]].concat(), "");
                assert_eq!(output.status.code(), Some(code), "{trust:?}");
            }
        }
        let shown = tao(&["attestation", "show", path], "");
        assert!(shown.status.success() && text(&shown.stdout).contains("not verified"));
    }
}

#[test]
fn without_a_host_the_sentence_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("absent.sock");
    for arguments in [
        &["list"][..],
        &["host", "show"],
        &["run", "true"],
        &["stop", "1"],
    ] {
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

#[test]
fn every_command_says_its_version() {
    for (command, name) in [
        (env!("CARGO_BIN_EXE_tao"), "tao"),
        (env!("CARGO_BIN_EXE_tao-conformance"), "tao-conformance"),
        (env!("CARGO_BIN_EXE_tao-report"), "tao-report"),
    ] {
        let output = Command::new(command).arg("--version").output().unwrap();
        assert!(output.status.success(), "{name}");
        let expected = format!("{name} {}", env!("CARGO_PKG_VERSION"));
        assert_eq!(text(&output.stdout), expected);
    }
}

/// An option that would do nothing is a mistake of who relies on it.
#[test]
fn options_without_their_partner_are_refused_before_anything_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (socket, state, domain) = (path("admin.sock"), path("state"), path("domain"));
    std::fs::write(path("pw"), "secret\n").unwrap();
    let made = tao(
        &["domain", "init", "--password-file", &path("pw"), &domain],
        "",
    );
    assert!(made.status.success(), "{made:?}");
    let start = [
        "--socket", &socket, "host", "start", "--soft", "--state", &state,
    ];
    let add = [
        "domain",
        "add-program",
        "--password-file",
        &path("pw"),
        "--host",
        "key([00])",
    ];
    let (guard, tao_file) = (["guard", "--domain", &domain], env!("CARGO_BIN_EXE_tao"));
    for (words, more, sentence) in [
        (
            &start[..],
            &["--domain", &domain][..],
            "say --guard domain too",
        ),
        (
            &start,
            &["--domain", &domain, "--guard", "local"],
            "say --guard domain too",
        ),
        (&start, &["--guard", "domain"], "needs --domain"),
        (&start, &["--stacked"], "--soft or --stacked"),
        (
            &start,
            &["--static-only", "--libraries", "measure"],
            "contradict",
        ),
        (
            &start,
            &["--isolation", "none", "--read", "/usr"],
            "read does nothing",
        ),
        (&start, &["--isolation", "none", "--memory", "1M"], "memory"),
        (
            &start,
            &["--isolation", "none", "--device", "/dev/kvm"],
            "devices",
        ),
        (&start, &["--isolation", "none", "--user", "own"], "user"),
        (
            &["guard"],
            &["--password-file", "-", "show"],
            "needs --domain",
        ),
        (&guard, &["--password-file", "-", "show"], "add or retract"),
        (&add, &[&domain, tao_file], "--host does nothing"),
    ] {
        for background in [false, true] {
            let mut all = [words, more].concat();
            if words == start && background {
                all.push("--background");
            }
            let output = tao(&all, "");
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{all:?}: {said}");
            assert!(said.contains(sentence), "{all:?}: {said}");
            assert!(!dir.path().join("state").exists(), "{all:?}");
        }
    }
}

#[test]
fn a_program_in_this_directory_is_hinted_at() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("here"), "").unwrap();
    // Something that answers like a host does not matter: the connection comes first.
    let socket = dir.path().join("admin.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (name, hint) in [("here", true), ("absent-everywhere", false)] {
        let output = Command::new(env!("CARGO_BIN_EXE_tao"))
            .args(["--socket", socket.to_str().unwrap(), "run", name])
            .current_dir(dir.path())
            .output()
            .unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(125));
        assert!(said.contains("no such program in PATH"), "{said}");
        assert_eq!(said.contains("./here"), hint, "{said}");
    }
}
