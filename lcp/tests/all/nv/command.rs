//! `lcp nv` as it is typed.

use std::{
    io::{Read, Write},
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use tpm::{family::Family, swtpm::Swtpm};

use crate::nv::machine::{Machine, PASSWORD, launch_policy, policy};

struct Place {
    machine: Machine,
    directory: TempDir,
}

impl Place {
    fn new(family: Family) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(directory.path().join(name), bytes);
        write("po.pol", &policy(family, 7, [0; 8])).unwrap();
        write("vl.pol", &launch_policy()).unwrap();
        write("password", PASSWORD.as_bytes()).unwrap();
        write("wrong", b"wrong\n").unwrap();
        Self {
            machine: Machine::new(family),
            directory,
        }
    }

    fn run(&self, line: &str) -> Output {
        run(self.directory.path(), &self.machine.swtpm.tcti(), line, "")
    }

    fn json(&self, line: &str) -> Value {
        let output = self.run(&format!("{line} --json"));
        assert!(output.status.success(), "{line}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn text(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it says when it refuses: one sentence on standard error (warnings are before it).
    fn refusal(&self, line: &str) -> String {
        sentence(&self.run(line))
    }
}

fn run(directory: &Path, tcti: &str, line: &str, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lcp"))
        .arg("nv")
        .args(line.split(' '))
        .args(["--tcti", tcti])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it reads.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

fn sentence(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let warning = |line: &&str| line.starts_with("lcp: warning: ");
    let lines: Vec<&str> = text.lines().skip_while(warning).collect();
    let [sentence] = lines.as_slice() else {
        panic!("{text}");
    };
    assert!(sentence.starts_with("lcp: "), "{text}");
    (*sentence).to_owned()
}

#[test]
fn plan_apply_read_list_and_release_work_on_both_tpms() {
    for (family, version, number, size) in [
        (Family::Tpm20, "2.0", "0x01c10106", 70),
        (Family::Tpm12, "1.2", "0x40000001", 54),
    ] {
        let place = Place::new(family);
        let plan = place.json("plan --policy po.pol --vlp vl.pol --error");
        assert_eq!(plan["tpm"], version);
        assert_eq!(plan["needs_password"], true);
        assert_eq!(plan["indices"][0]["index"], number);
        assert_eq!(
            plan["indices"][0]["steps"],
            serde_json::json!(["define", "write"])
        );
        let done =
            place.text("apply --policy po.pol --vlp vl.pol --error --owner-password-file password");
        assert_eq!(done.lines().count(), 8, "{done}");
        assert!(
            done.starts_with(&format!("{number} defined\n{number} written\n")),
            "{done}"
        );
        let plan = place.json("plan --policy po.pol --vlp vl.pol --error");
        assert_eq!(plan["done"], true);
        let again = place.text("apply --policy po.pol --owner-password-file password");
        assert!(!again.contains("written"), "{again}");
        let read = place.json("read owner --out back.pol");
        assert_eq!(
            (&read["role"], &read["size"]),
            (&"owner".into(), &size.into())
        );
        assert_eq!(read["policy"]["type"], "list");
        let file = |name: &str| std::fs::read(place.directory.path().join(name)).unwrap();
        assert_eq!(file("back.pol"), file("po.pol"));

        // swtpm_setup leaves none behind.
        let indices = &place.json("list")["indices"];
        assert_eq!(indices.as_array().unwrap().len(), 3);
        let listed = place.text("list");
        assert!(
            listed.contains(&format!("{number} owner (the owner's launch")),
            "{listed}"
        );
        place.text("release owner --owner-password-file password");
        let refusal = place.refusal("read owner");
        assert!(refusal.contains("there is no NV index"), "{refusal}");
    }
}

#[test]
fn a_wrong_password_and_a_wrong_tpm_are_one_sentence() {
    for family in [Family::Tpm20, Family::Tpm12] {
        let place = Place::new(family);
        let refusal = place.refusal("apply --policy po.pol --owner-password-file wrong");
        assert!(refusal.contains("password is wrong; "), "{refusal}");
        assert!(
            refusal.contains(" tries are left before the lockout ("),
            "{refusal}"
        );
        let other = if family == Family::Tpm20 {
            "1.2"
        } else {
            "2.0"
        };
        let refusal = place.refusal(&format!("list --tpm {other}"));
        assert!(
            refusal.contains(&format!("--tpm {other} was asked for")),
            "{refusal}"
        );
        let refusal = place.refusal("plan --policy vl.pol");
        assert!(
            refusal.contains("vl.pol: no launch control policy"),
            "{refusal}"
        );
        let refusal = place.refusal("plan --json");
        assert!(refusal.contains("nothing to write"), "{refusal}");
        let refusal = place.refusal("read policy");
        assert!(refusal.contains("is not an index"), "{refusal}");
    }
    let output = run(Path::new("/"), "device:/nonexistent/tpm0", "list", "");
    let refusal = sentence(&output);
    assert!(
        refusal.contains("no TPM at device:/nonexistent/tpm0"),
        "{refusal}"
    );
}

#[test]
fn the_password_comes_from_standard_input_too_but_never_without_being_asked() {
    let place = Place::new(Family::Tpm20);
    let line = "apply --policy po.pol --owner-password-file -";
    let directory = place.directory.path();
    let tcti = place.machine.swtpm.tcti();
    let output = run(directory, &tcti, line, "ownerpw\n");
    assert!(output.status.success(), "{output:?}");
    // Nothing left to do: nothing is read.
    let output = run(directory, &tcti, line, "");
    assert!(output.status.success(), "{output:?}");
}

/// Runs `apply` on a terminal of its own (`script` of Debian's bsdutils), types `keys` when it asks,
/// and returns all that the terminal showed.
fn typed(place: &Place, keys: &[u8]) -> String {
    let tcti = place.machine.swtpm.tcti();
    let lcp = env!("CARGO_BIN_EXE_lcp");
    let mut child = Command::new("script")
        .args([
            "-qec",
            &format!("{lcp} nv apply --policy po.pol --tcti {tcti}"),
        ])
        .arg("/dev/null")
        .current_dir(place.directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let (mut shown, mut byte) = (Vec::new(), [0]);
    while !shown.ends_with(b"owner's password of the TPM: ") {
        assert_eq!(out.read(&mut byte).unwrap(), 1, "never asked");
        shown.push(byte[0]);
    }
    let mut keyboard = child.stdin.take().unwrap();
    keyboard.write_all(keys).unwrap();
    keyboard.flush().unwrap();
    out.read_to_end(&mut shown).unwrap();
    drop(keyboard);
    child.wait().unwrap();
    let shown = String::from_utf8(shown).unwrap();
    // The first that it shows behind its question is the line's end: nothing of what was typed.
    let (_, behind) = shown.split_once("of the TPM: ").unwrap();
    assert!(behind.starts_with("\r\n"), "{shown}");
    behind.to_owned()
}

#[test]
fn a_typed_password_is_taken_and_never_shown() {
    let place = Place::new(Family::Tpm20);
    let shown = typed(&place, b"own\x03");
    assert!(shown.contains("no password was given"), "{shown}");
    let shown = typed(&place, b"wrong\n");
    assert!(shown.contains("the owner's password is wrong"), "{shown}");
    let shown = typed(&place, b"ownerpx\x7fw\n");
    assert!(shown.contains("0x01c10106 written"), "{shown}");
}

#[test]
fn locking_needs_a_yes_and_shows() {
    let place = Place::new(Family::Tpm12);
    let refusal = place.refusal("lock");
    assert!(refusal.contains("--yes"), "{refusal}");
    assert!(place.text("lock --yes").contains("from now on"));
    assert!(place.text("lock --yes").contains("already"));
    let place = Place::new(Family::Tpm20);
    assert!(place.text("lock").contains("always"));
    place.text("apply --policy po.pol --owner-password-file password");
    let refusal = place.refusal("lock owner --yes --owner-password-file password");
    assert!(refusal.contains("writedefine"), "{refusal}");
}

#[test]
fn the_plan_of_lcp_build_is_taken_and_checked() {
    let place = Place::new(Family::Tpm20);
    let directory = place.directory.path();
    std::fs::copy(directory.join("po.pol"), directory.join("policy.pol")).unwrap();
    let policy = std::fs::read(directory.join("policy.pol")).unwrap();
    let sha256 = txt::hash::HashAlg::Sha256.digest(&policy).to_string();
    let built = serde_json::json!({
        "tpm": "2.0", "index": "0x01400001", "size": 70, "file": "policy.pol",
        "sha256": sha256, "attributes": "0x204000a",
    });
    std::fs::write(directory.join("nv.json"), built.to_string()).unwrap();
    let plan = place.json("plan --built nv.json");
    assert_eq!(plan["indices"][0]["index"], "0x01400001");
    place.text("apply --built nv.json --owner-password-file password");
    assert_eq!(place.json("read owner --set 0")["size"], 70);
    std::fs::write(directory.join("policy.pol"), &policy[..60]).unwrap();
    let refusal = place.refusal("plan --built nv.json");
    assert!(refusal.contains("build again"), "{refusal}");
    std::fs::write(
        directory.join("nv.json"),
        built.to_string().replace("2.0", "1.2"),
    )
    .unwrap();
    let refusal = place.refusal("plan --built nv.json");
    assert!(refusal.contains("was built for a TPM 1.2"), "{refusal}");
}

#[test]
fn a_platforms_index_makes_the_plan_fail_with_its_reason() {
    let place = Place::new(Family::Tpm20);
    drop(place.machine);
    let swtpm = Swtpm::start().unwrap();
    swtpm
        .define_platform_index(0x01c1_0106, 0x4206_0001, &[1; 70])
        .unwrap();
    let output = run(
        place.directory.path(),
        &swtpm.tcti(),
        "plan --policy po.pol",
        "",
    );
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("cannot be done") && text.contains("obstacle: the platform"),
        "{text}"
    );
    let output = run(place.directory.path(), &swtpm.tcti(), "release owner", "");
    assert!(sentence(&output).contains("cannot be released by the owner"));
    let line = "apply --vlp vl.pol --owner-password-file password";
    let output = run(place.directory.path(), &swtpm.tcti(), line, "");
    assert!(sentence(&output).contains("has no password"));
    let output = run(
        place.directory.path(),
        &swtpm.tcti(),
        "apply --vlp vl.pol",
        "",
    );
    assert!(output.status.success(), "{output:?}");
}
