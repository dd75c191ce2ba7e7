//! By the owner's policy key, on a machine that need not be the one that boots.

use std::{fs, path::PathBuf, process::Command};

use serde_json::{Value, json};

use crate::{
    enroll_support::{Volume, refusal, taoboot},
    reseal::common::{Machine, pcrs, plain, said},
};

struct Keys {
    private: PathBuf,
    public: PathBuf,
}

fn keys(volume: &Volume, name: &str) -> Keys {
    let private = volume.directory.path().join(format!("{name}.pem"));
    let public = volume.directory.path().join(format!("{name}.pub.pem"));
    let output = plain(&[
        "policy-key",
        "new",
        "--private",
        private.to_str().unwrap(),
        "--public",
        public.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    Keys { private, public }
}

/// A volume that is enrolled with nothing but the policy key.
fn enrolled_with_key() -> (Machine, Keys) {
    let machine = Machine::enrolled(&[]);
    let keys = keys(&machine.volume, "owner");
    let wiped = taoboot("wipe", &machine.volume, &["--all"]);
    assert!(wiped.status.success(), "{wiped:?}");
    let tcti = machine.swtpm.tcti();
    let words = [
        "--policy-key",
        keys.public.to_str().unwrap(),
        "--tcti",
        &tcti,
        "--no-recovery-key",
    ];
    let output = taoboot("enroll", &machine.volume, &words);
    assert!(output.status.success(), "{output:?}");
    (machine, keys)
}

/// Signs, on "another machine": no TPM, no volume.
fn sign(machine: &Machine, keys: &Keys, kernel: &str, more: &[&str]) -> PathBuf {
    let directory = machine.volume.directory.path();
    let expect = directory.join(format!("{kernel}.json"));
    fs::write(
        &expect,
        json!({ "pcrs": { "sha256": pcrs(kernel) } }).to_string(),
    )
    .unwrap();
    let output = directory.join(format!("{kernel}.approved{}", more.len()));
    let mut words = vec![
        "policy-key",
        "sign",
        "--key",
        keys.private.to_str().unwrap(),
        "--expect",
        expect.to_str().unwrap(),
        "--label",
        kernel,
        "--output",
        output.to_str().unwrap(),
    ];
    words.extend(more);
    let signed = plain(&words);
    assert!(signed.status.success(), "{signed:?}");
    output
}

fn approve(machine: &Machine, file: &std::path::Path) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taoboot"));
    command
        .args(["approve", file.to_str().unwrap(), "--volume"])
        .arg(&machine.volume.image);
    crate::enroll_support::piped(&mut command, "")
}

#[test]
fn launches_signed_elsewhere_open_the_volume_and_others_do_not() {
    let (mut machine, keys) = enrolled_with_key();
    assert!(!machine.opens(), "nothing is approved yet");
    for kernel in ["new", "newer"] {
        let output = approve(&machine, &sign(&machine, &keys, kernel, &[]));
        assert!(output.status.success(), "{output:?}");
    }
    for (kernel, opens) in [("new", true), ("newer", true), ("old", false)] {
        machine.reboot(kernel);
        assert_eq!(machine.opens(), opens, "{kernel}");
    }
}

#[test]
fn a_whole_menu_is_signed_at_once() {
    let (mut machine, keys) = enrolled_with_key();
    let directory = machine.volume.directory.path();
    let (menu, approved) = (directory.join("menu.json"), directory.join("approved.json"));
    let entries = json!([
        machine.entry("0>0", "one", true),
        machine.entry("0>1", "two", false),
        { "entry": "1: memtest", "title": "memtest", "default": false, "tboot": false, "files": [] },
    ]);
    fs::write(&menu, entries.to_string()).unwrap();
    let words = [
        "policy-key",
        "sign",
        "--key",
        keys.private.to_str().unwrap(),
        "--predictions",
        menu.to_str().unwrap(),
        "--output",
        approved.to_str().unwrap(),
    ];
    let output = plain(&words);
    assert!(said(&output).contains("2 launch(es)"), "{output:?}");
    assert!(approve(&machine, &approved).status.success());
    let again = approve(&machine, &approved);
    assert!(said(&again).contains("was there already"), "{again:?}");
    machine.reboot("two");
    assert!(machine.opens());
}

#[test]
fn a_launch_that_does_not_depend_on_a_file_is_not_signed_and_the_others_files_are_named() {
    let (machine, keys) = enrolled_with_key();
    let directory = machine.volume.directory.path();
    let (menu, approved) = (directory.join("menu.json"), directory.join("approved.json"));
    let mut open = machine.entry("0>1", "two", false);
    let kernel = open["files"][1].clone();
    open["files"].as_array_mut().unwrap().push(kernel);
    let mut unnamed = machine.entry("0>2", "three", false);
    unnamed["files"] = json!([]);
    let entries = json!([machine.entry("0>0", "one", true), open, unnamed]);
    fs::write(&menu, entries.to_string()).unwrap();
    let output = plain(&[
        "policy-key",
        "sign",
        "--key",
        keys.private.to_str().unwrap(),
        "--predictions",
        menu.to_str().unwrap(),
        "--output",
        approved.to_str().unwrap(),
    ]);
    let text = said(&output);
    assert!(text.contains("1 launch(es)"), "{text}");
    for words in [
        "0>1: Linux two: not signed",
        "is loaded but not measured",
        "0>2: Linux three: not signed, the prediction names no files",
        "/boot/vmlinuz-one",
        entries[0]["files"][1]["sha256"].as_str().unwrap(),
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_launch_with_a_file_that_is_not_in_the_list_is_not_signed() {
    let (machine, keys) = enrolled_with_key();
    let directory = machine.volume.directory.path();
    let file = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let entries = json!([
        machine.entry("0>0", "one", true),
        machine.entry("0>1", "two", false)
    ]);
    fs::write(file("menu.json"), entries.to_string()).unwrap();
    let listed = |entry: &Value| -> String {
        let files = entry["files"].as_array().unwrap().iter();
        let lines = files.map(|file| format!("{}  any name\n", file["sha256"].as_str().unwrap()));
        lines.collect()
    };
    let sign = |known: &str, output: &str| {
        fs::write(file("known"), known).unwrap();
        plain(&[
            "policy-key",
            "sign",
            "--key",
            keys.private.to_str().unwrap(),
            "--predictions",
            &file("menu.json"),
            "--known",
            &file("known"),
            "--output",
            &file(output),
        ])
    };
    let text = said(&sign(&listed(&entries[0]), "some"));
    assert!(text.contains("1 launch(es)"), "{text}");
    assert!(
        text.contains("0>1: Linux two: not signed") && text.contains("is not in the list"),
        "{text}"
    );
    let both = listed(&entries[0]) + &listed(&entries[1]);
    assert!(said(&sign(&both, "both")).contains("2 launch(es)"));
    for (known, words) in [
        ("", "names no file"),
        ("tboot.gz\n", "line 1 is not a line of sha256sum"),
    ] {
        let sentence = refusal(&sign(known, "none"));
        assert!(sentence.contains(words), "{sentence}");
    }
    let other = format!("{}  x\n", "ab".repeat(32));
    assert!(!sign(&other, "none").status.success());
    assert!(!directory.join("none").exists());
}

#[test]
fn a_signature_made_by_openssl_with_a_key_that_taoboot_never_sees_is_attached() {
    let (mut machine, keys) = enrolled_with_key();
    let directory = machine.volume.directory.path().to_owned();
    let file = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    fs::write(file("p.json"), json!({ "sha256": pcrs("new") }).to_string()).unwrap();
    let digest = plain(&["policy-key", "digest", "--expect", &file("p.json")]);
    let digest = hex::decode(said(&digest).trim()).unwrap();
    fs::write(file("digest"), &digest).unwrap();
    let openssl = Command::new("openssl")
        .args(["pkeyutl", "-sign", "-inkey"])
        .arg(&keys.private)
        .args(["-in", &file("digest"), "-out", &file("sig")])
        .output()
        .unwrap();
    assert!(openssl.status.success(), "{openssl:?}");
    let attach = |expect: &str, output: &str| {
        plain(&[
            "policy-key",
            "attach",
            "--public",
            keys.public.to_str().unwrap(),
            "--signature",
            &file("sig"),
            "--expect",
            expect,
            "--output",
            output,
        ])
    };
    let attached = attach(&file("p.json"), &file("approval"));
    assert!(attached.status.success(), "{attached:?}");
    assert!(
        approve(&machine, file("approval").as_ref())
            .status
            .success()
    );
    machine.reboot("new");
    assert!(machine.opens());
    // The same signature for another launch is refused before it reaches a machine.
    fs::write(
        file("q.json"),
        json!({ "sha256": pcrs("evil") }).to_string(),
    )
    .unwrap();
    let refused = refusal(&attach(&file("q.json"), &file("other")));
    assert!(refused.contains("not a signature"), "{refused}");
    assert!(!directory.join("other").exists());
}

#[test]
fn an_approval_that_was_changed_is_refused_and_if_stored_anyway_opens_nothing() {
    let (mut machine, keys) = enrolled_with_key();
    let file = sign(&machine, &keys, "new", &[]);
    let mut list: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    for pcr in ["17", "18"] {
        list[0]["pcrs"][pcr] = pcrs("evil")[pcr].clone();
    }
    fs::write(&file, list.to_string()).unwrap();
    let refused = refusal(&approve(&machine, &file));
    assert!(refused.contains("signature"), "{refused}");
    // The attacker writes to the disk himself.
    let import = Command::new("cryptsetup")
        .args(["token", "import", "--json-file", "-"])
        .arg(&machine.volume.image)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .and_then(|mut child| {
            use std::io::Write;
            let stdin = child.stdin.as_mut().unwrap();
            stdin.write_all(list[0].to_string().as_bytes())?;
            child.wait()
        });
    assert!(import.unwrap().success());
    machine.reboot("evil");
    let tcti = machine.swtpm.tcti();
    let status = crate::enroll_support::taoboot("status", &machine.volume, &["--tcti", &tcti]);
    assert_eq!(status.status.code(), Some(1), "{status:?}");
    let text = String::from_utf8_lossy(&status.stdout);
    assert!(text.contains("signature is not one"), "{text}");
    let error = crate::enroll_support::unsealed(&machine.volume, &machine.swtpm);
    let error = error.map(drop).unwrap_err().to_string();
    assert!(error.contains("signature is not one"), "{error}");
}

#[test]
fn another_key_s_approval_is_refused() {
    let (machine, _) = enrolled_with_key();
    let stranger = keys(&machine.volume, "stranger");
    let file = sign(&machine, &stranger, "new", &[]);
    let refused = refusal(&approve(&machine, &file));
    assert!(refused.contains("not enrolled with"), "{refused}");
    assert_eq!(machine.volume.header().metadata().tokens.len(), 1);
}

#[test]
fn a_key_that_exists_is_not_overwritten() {
    let machine = Machine::enrolled(&[]);
    let keys = keys(&machine.volume, "owner");
    let before = fs::read(&keys.private).unwrap();
    let output = plain(&[
        "policy-key",
        "new",
        "--private",
        keys.private.to_str().unwrap(),
        "--public",
        "/nonexistent/x",
    ]);
    assert!(refusal(&output).contains("cannot write"));
    assert_eq!(before, fs::read(&keys.private).unwrap());
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(&keys.private).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Where the public half cannot be written no private one is left behind.
    let new = machine.volume.directory.path().join("new.pem");
    let words = [
        "--private",
        new.to_str().unwrap(),
        "--public",
        "/nonexistent/x",
    ];
    let output = plain(&[&["policy-key", "new"][..], &words].concat());
    assert!(refusal(&output).contains("/nonexistent/x"));
    assert!(!new.exists());
}

#[test]
fn a_signed_launch_keeps_the_secret_of_the_volume() {
    let machine = Machine::enrolled(&[]);
    let id = machine.secret_id();
    let keys = keys(&machine.volume, "owner");
    let tcti = machine.swtpm.tcti();
    let words = [
        "--policy-key",
        keys.public.to_str().unwrap(),
        "--tcti",
        &tcti,
        "--no-recovery-key",
        "--new-host-secret",
    ];
    assert!(taoboot("enroll", &machine.volume, &words).status.success());
    let mut machine = machine;
    assert!(
        approve(&machine, &sign(&machine, &keys, "new", &[]))
            .status
            .success()
    );
    machine.reboot("new");
    assert_eq!(machine.secret_id(), id);
    let status = machine.run("status", &json!([]), &["--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    let signed = &status["records"][1];
    assert!(
        signed["policy_key"].as_str().unwrap().starts_with("000b"),
        "{status}"
    );
}
