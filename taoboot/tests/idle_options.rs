//! An option that would do nothing is refused, with a sentence, before anything is read or done:
//! whoever gives it relies on it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // as in any test

use std::process::Command;

#[test]
fn options_that_would_do_nothing_are_refused() {
    for (words, sentence) in [
        (
            &[
                "enroll",
                "--volume",
                "/absent",
                "--current",
                "--owner-password-file",
                "/absent",
            ][..],
            "--owner-password-file does nothing without --rollback-counter",
        ),
        (
            &["trust", "--json", "--check", "/absent"][..],
            "--json does nothing without --list",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_taoboot"))
            .args(words)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{words:?}");
        assert!(said.contains(sentence), "{words:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn the_version_is_said() {
    let output = Command::new(env!("CARGO_BIN_EXE_taoboot"))
        .arg("--version")
        .output()
        .unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, format!("taoboot {}\n", env!("CARGO_PKG_VERSION")));
}
