//! `taoboot srk` on a TPM 1.2: shown to the owner, and ownership taken only when it is asked for.

use std::{
    fs,
    process::{Command, Output},
};

use tpm::{
    swtpm::Swtpm,
    tpm12::{Secret, SrkSpelling, Tpm12},
};

struct Machine {
    swtpm: Swtpm,
    directory: tempfile::TempDir,
}

impl Machine {
    fn new(owner: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("password"), "a new owner\n").unwrap();
        fs::write(directory.path().join("image.toml"), "").unwrap();
        Self {
            swtpm: Swtpm::start_tpm12(owner).unwrap(),
            directory,
        }
    }

    /// `@` before a word is a file in the directory.
    fn srk(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taoboot"));
        command.args(["srk", "--tcti", &self.swtpm.tcti()]);
        for word in words {
            match word.strip_prefix('@') {
                Some(name) => command.arg(self.directory.path().join(name)),
                None => command.arg(word),
            };
        }
        command.stdin(std::process::Stdio::null()).output().unwrap()
    }

    fn shown(&self, words: &[&str]) -> String {
        let output = self.srk(words);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn refused(&self, words: &[&str]) -> String {
        let output = self.srk(words);
        assert!(!output.status.success(), "{output:?}");
        assert!(output.stdout.is_empty());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.trim().lines().count(), 1, "one sentence: {said}");
        said
    }

    fn has_owner(&self) -> bool {
        let mut tpm = Tpm12::open(&self.swtpm.tcti()).unwrap();
        tpm.has_owner().unwrap()
    }
}

const FILE: [&str; 2] = ["--owner-password-file", "@password"];

#[test]
fn ownership_is_taken_only_when_that_is_asked_for_and_the_key_is_shown_to_its_owner() {
    let machine = Machine::new(None);
    let take = |more: &[&'static str]| [&["--take-ownership"], more].concat();
    assert!(machine.refused(&[]).contains("--take-ownership"));
    assert!(machine.refused(&take(&[])).contains("at a terminal"));
    assert!(machine.refused(&take(&FILE)).contains("say --force"));
    assert!(!machine.has_owner());
    let name = machine.shown(&take(&[FILE[0], FILE[1], "--force"]));
    assert!(machine.has_owner());
    assert!(
        machine
            .refused(&take(&[FILE[0], FILE[1], "--force"]))
            .contains("has an owner already")
    );
    assert_eq!(machine.shown(&FILE), name);
    let json = machine.shown(&[FILE[0], FILE[1], "--json"]);
    assert!(
        json.contains(&name) && json.contains("0x40000000"),
        "{json}"
    );
    // As tboot needs it: 20 zero bytes.
    let mut tpm = Tpm12::open(&machine.swtpm.tcti()).unwrap();
    let public = tpm.srk_public(&Secret::from_password(b"a new owner"));
    let spelling = tpm.find_srk_spelling(&public.unwrap()).unwrap();
    assert_eq!(spelling, Some(SrkSpelling::Zeros));
    drop(tpm);
    machine.shown(&[FILE[0], FILE[1], "--pin", "--config", "@image.toml"]);
    let config = fs::read_to_string(machine.directory.path().join("image.toml")).unwrap();
    assert_eq!(config, format!("srk_name = \"{name}\"\n"));
}

#[test]
fn a_wrong_password_is_tried_once_and_options_of_the_other_kind_are_refused() {
    let machine = Machine::new(Some("ownerpw"));
    assert!(machine.refused(&[]).contains("--owner-password-file"));
    assert!(machine.refused(&FILE).contains("password is wrong"));
    let mut tpm = Tpm12::open(&machine.swtpm.tcti()).unwrap();
    assert_eq!(tpm.dictionary_attack().unwrap().count, 2);
    drop(tpm);
    assert!(machine.refused(&["--persist"]).contains("TPM 1.2"));
    assert!(machine.refused(&["--force"]).contains("--take-ownership"));
    let new = Swtpm::start().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_taoboot"))
        .args(["srk", "--tcti", &new.tcti(), "--take-ownership"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("--take-ownership does nothing with a TPM 2.0"),
        "{said}"
    );
}
