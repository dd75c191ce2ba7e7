//! `lcp build`: the same bytes every time, an offline key through openssl, and nothing written when
//! a check fails.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};

use lcp::{list::PolicyList, policy_data::PolicyData, sign};
use txt::policy::Policy;

use crate::{module, recorded};

const HASH: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A directory with keys, an executable with an MLE header, a SINIT module, and the spec.
fn directory(spec: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let vectors = recorded::vectors();
    for key in ["rsa2048", "rsa3072", "p256", "p384", "sm2"] {
        for name in [format!("{key}.pem"), format!("{key}.pub.pem")] {
            fs::copy(
                vectors.join("keys").join(&name),
                directory.path().join(&name),
            )
            .unwrap();
        }
    }
    let tboot = vectors.join("mlehash/cmd16.elf.gz");
    fs::copy(tboot, directory.path().join("tboot.gz")).unwrap();
    fs::write(directory.path().join("sinit.bin"), module::make(false)).unwrap();
    fs::write(directory.path().join("spec.toml"), spec).unwrap();
    directory
}

fn lcp(directory: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lcp"))
        .args(words)
        .current_dir(directory)
        .output()
        .unwrap()
}

fn built(directory: &Path, out: &str) -> BTreeMap<String, Vec<u8>> {
    let output = lcp(directory, &["build", "spec.toml", "--out", out]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    files(&directory.join(out))
}

fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

const FULL: &str = r#"
[policy]
type = "list"
hash = "sha256"
sinit_min_version = 40

[[list]]
name = "site"
[list.sign]
scheme = "rsapss"
hash = "sha384"
revocation_counter = 3
key = "rsa3072.pem"
public = "rsa3072.pub.pem"
[[list.element]]
type = "mle2"
tboot = [{ file = "tboot.gz", cmdline = "logging=none" }]
hashes = ["00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"]
[[list.element]]
type = "pconf2"
pcrs = { 0 = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", 7 = "10112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" }

[[list]]
name = "curve"
[list.sign]
scheme = "ecdsa"
key = "p384.pem"
[[list.element]]
type = "stm"
hashes = ["00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff 00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff"]

[check]
sinit = "sinit.bin"
tboot = [{ file = "tboot.gz", cmdline = "logging=none" }]
"#;

#[test]
fn the_same_spec_gives_the_same_bytes_and_they_fit_together() {
    let directory = directory(FULL);
    let first = built(directory.path(), "one");
    assert_eq!(first, built(directory.path(), "two"));
    let names: Vec<&str> = first.keys().map(String::as_str).collect();
    let expected = [
        "curve-0.elt",
        "curve.lst",
        "nv.json",
        "policy.data",
        "policy.pol",
        "site-0.elt",
        "site-1.elt",
        "site.lst",
    ];
    assert_eq!(names, expected);
    let policy = Policy::parse(&first["policy.pol"]).unwrap();
    let data = PolicyData::parse(&first["policy.data"]).unwrap();
    assert_eq!(
        &data.hash(policy.policy_hash().alg()).unwrap(),
        policy.policy_hash()
    );
    assert_eq!(policy.data_revocation_counters()[..2], [3, 0]);
    for list in data.lists() {
        sign::verify(list).unwrap();
    }
    let nv: serde_json::Value = serde_json::from_slice(&first["nv.json"]).unwrap();
    // The SINIT module reads the indices of set 1.
    assert_eq!(nv["index"], "0x01c10106");
    assert_eq!(nv["size"], 70);
    assert_eq!(nv["attributes"], "0x204000a");
    let output = lcp(
        directory.path(),
        &[
            "policy",
            "verify",
            "--json",
            "--policy",
            "one/policy.pol",
            "--data",
            "one/policy.data",
            "--tboot",
            "tboot.gz",
            "--cmdline",
            "logging=none",
            "--sinit",
            "sinit.bin",
            "--nv-size",
            "70",
        ],
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["accepted"], true, "{report}");
    assert_eq!(report["allowed_by"]["list"], 0);
    assert_eq!(report["allowed_by"]["hash"], 1);
}

#[test]
fn an_offline_key_signs_with_the_command_that_is_printed() {
    for (key, scheme) in [("rsa2048", "rsapss"), ("p256", "ecdsa"), ("p384", "ecdsa")] {
        let spec = format!(
            "[policy]\ntype = \"list\"\n[[list]]\nname = \"a\"\n[list.sign]\nscheme = \"{scheme}\"\npublic = \"{key}.pub.pem\"\nsignature = \"a.sig\"\n[[list.element]]\ntype = \"mle2\"\nhashes = [\"{HASH}\"]\n"
        );
        let directory = directory(&spec);
        let output = lcp(directory.path(), &["build", "spec.toml", "--out", "out"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(!directory.path().join("out/policy.pol").exists());
        let at = text.find("openssl ").unwrap();
        let line = text[at..].lines().next().unwrap();
        let line = line.replace("KEY", &format!("{key}.pem"));
        let signed = Command::new("sh")
            .args(["-c", &line])
            .current_dir(directory.path())
            .output();
        assert!(signed.unwrap().status.success(), "{line}");
        let files = built(directory.path(), "out");
        sign::verify(&PolicyList::parse(&files["a.lst"]).unwrap()).unwrap();
        // Somebody else's signature, or one over another list, never gets in.
        fs::write(
            directory.path().join("spec.toml"),
            spec.replace("0011", "0012"),
        )
        .unwrap();
        let output = lcp(directory.path(), &["build", "spec.toml", "--out", "other"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            text.contains("a.sig: the signature does not verify"),
            "{text}"
        );
        assert!(!directory.path().join("other").exists());
    }
}

#[test]
fn a_spec_for_tpm_1_2_gives_sha1_and_its_own_index() {
    let spec = format!(
        "tpm = \"1.2\"\n[policy]\ntype = \"list\"\n[[list]]\nname = \"a\"\n[list.sign]\nscheme = \"rsa\"\nkey = \"rsa2048.pem\"\n[[list.element]]\ntype = \"mle\"\nhashes = [\"{}\"]\n[[list.element]]\ntype = \"pconf\"\npcrs = {{ 0 = \"{}\" }}\n",
        &HASH[..40],
        &HASH[2..42]
    );
    let directory = directory(&spec);
    let files = built(directory.path(), "out");
    assert_eq!(files["policy.pol"].len(), 54);
    let nv: serde_json::Value = serde_json::from_slice(&files["nv.json"]).unwrap();
    assert_eq!(
        (&nv["index"], &nv["permissions"]),
        (&"0x40000001".into(), &"0x2".into())
    );
}

/// A change of [`FULL`] and the sentence that it must give.
const WRONG: &[(&str, &str, &str)] = &[
    ("type = \"list\"", "typ = \"list\"", "unknown field `typ`"),
    (
        "hash = \"sha256\"\nsinit",
        "hash = \"md5\"\nsinit",
        "\"md5\" is not a hash algorithm",
    ),
    (
        "hash = \"sha256\"\nsinit",
        "hash = \"sha384\"\nsinit",
        "this SINIT knows only sha1, sha256",
    ),
    (
        "sinit_min_version = 40",
        "sinit_min_version = 400",
        "invalid value: integer `400`",
    ),
    (
        "sinit_min_version = 40",
        "sinit_min_version = 99",
        "wants SINIT version 99",
    ),
    ("type = \"mle2\"", "type = \"stm\"", "takes no tboot"),
    (
        "type = \"mle2\"",
        "type = \"mle3\"",
        "not a type of element",
    ),
    (
        "hashes = [\"0011",
        "hashes = [\"zz11",
        "column 1: not a hexadecimal digit",
    ),
    ("hashes = [\"0011", "hashes = [\"11", "32 bytes, found 31"),
    (
        "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"]",
        "\"0000000000000000000000000000000000000000000000000000000000000000\"]",
        "all zeros",
    ),
    (
        "type = \"mle2\"\ntboot = [{ file = \"tboot.gz\", cmdline = \"logging=none\" }]",
        "type = \"mle2\"",
        "no list allows this MLE",
    ),
    (
        "file = \"tboot.gz\"",
        "file = \"missing.gz\"",
        "there is no file missing.gz",
    ),
    (
        "scheme = \"rsapss\"",
        "scheme = \"rsa\"",
        "takes rsapss, ecdsa or sm2",
    ),
    (
        "key = \"rsa3072.pem\"",
        "key = \"rsa2048.pem\"",
        "the public key does not belong",
    ),
    (
        "key = \"p384.pem\"",
        "key = \"sm2.pem\"",
        "cannot make a ecdsa signature",
    ),
    (
        "name = \"curve\"",
        "name = \"site\"",
        "another list has this name",
    ),
    ("name = \"curve\"", "name = \"../x\"", "letters, digits"),
    ("0 = \"0011", "24 = \"0011", "24 is not 0 to 23"),
    (
        "[check]",
        "[nv]\nset = 0\n[check]",
        "reads the indices of set 1",
    ),
    (
        "sinit_min_version = 40",
        "sign_algs = [\"ecdsa-p384\"]",
        "which lcp_sign_alg_mask",
    ),
    (
        "sinit_min_version = 40",
        "revocation_counters = [4]",
        "its revocation counter is 3, the policy wants 4",
    ),
    (
        "sinit_min_version = 40",
        "revocation_counters = [0, 0, 0, 0, 0, 0, 0, 0, 0]",
        "a policy has 8",
    ),
    (
        "name = \"curve\"\n",
        "name = \"curve\"\nversion = \"1.0\"\n",
        "rsa",
    ),
    (
        "sinit = \"sinit.bin\"",
        "sinit = \"rsa2048.pem\"",
        "module_type",
    ),
];

#[test]
fn what_is_wrong_is_one_sentence_and_nothing_is_written() {
    for (from, to, sentence) in WRONG {
        assert!(FULL.contains(from), "{from}");
        let spec = FULL.replacen(from, to, 1);
        let directory = directory(&spec);
        let output = lcp(directory.path(), &["build", "spec.toml", "--out", "out"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{from} -> {to}");
        assert!(text.contains(sentence), "{from} -> {to}: {text}");
        assert!(!directory.path().join("out").exists(), "{from} -> {to}");
    }
}

#[test]
fn counters_that_go_back_need_force() {
    let directory = directory(FULL);
    built(directory.path(), "old");
    let older = FULL
        .replace("revocation_counter = 3", "revocation_counter = 2")
        .replace("[policy]\n", "[policy]\nprevious = \"old/policy.pol\"\n");
    fs::write(directory.path().join("spec.toml"), older).unwrap();
    let output = lcp(directory.path(), &["build", "spec.toml", "--out", "new"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("goes back from 3 to 2"), "{text}");
    assert!(!directory.path().join("new").exists());
    let output = lcp(
        directory.path(),
        &["build", "spec.toml", "--out", "new", "--force"],
    );
    assert!(output.status.success());
}
