//! What every command does with a command line that makes no sense, and with `--version`.

use std::process::Command;

/// Each of these command lines is refused with the sentence beside it, on one line of standard
/// error. `program` is `env!("CARGO_BIN_EXE_...")`.
pub fn refused_with(program: &str, cases: &[(&[&str], &str)]) {
    for (words, sentence) in cases {
        let output = Command::new(program).args(*words).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{words:?}");
        assert!(said.contains(sentence), "{words:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// `--version` prints the program's name and the version of all packages here.
pub fn version_is_said(program: &str) {
    let output = Command::new(program).arg("--version").output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let name = program.rsplit('/').next().unwrap();
    assert_eq!(said, format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
}
