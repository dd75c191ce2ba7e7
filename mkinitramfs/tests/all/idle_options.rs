//! An option that would do nothing is refused, with a sentence, before anything is read or done:
//! whoever gives it relies on it.

use std::process::Command;

#[test]
fn options_that_would_do_nothing_are_refused() {
    for (words, sentence) in [
        (
            &["--generic", "ls", "/absent"][..],
            "--generic does nothing where an image is only looked at",
        ),
        (
            &["--json", "ls", "/absent"][..],
            "--json, here, does nothing",
        ),
        (
            &["--output", "/absent/x", "cat", "/absent", "/init"][..],
            "--output does nothing where",
        ),
        (
            &["--sysfs", "/absent", "--output", "/absent/x"][..],
            "--sysfs does nothing without --host-only",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_taoboot-image"))
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
    let output = Command::new(env!("CARGO_BIN_EXE_taoboot-image"))
        .arg("--version")
        .output()
        .unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        said,
        format!("taoboot-image {}\n", env!("CARGO_PKG_VERSION"))
    );
}
