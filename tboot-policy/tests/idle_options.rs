//! An option that would do nothing is refused, with a sentence, before anything is read or done:
//! whoever gives it relies on it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // as in any test

use std::process::Command;

#[test]
fn options_that_would_do_nothing_are_refused() {
    for (words, sentence) in [
        (
            &["verify", "--entry", "0", "--tboot", "/absent", "/absent"][..],
            "--tboot does nothing with --entry",
        ),
        (
            &["verify", "--entry", "0", "--tboot-cmdline", "x", "/absent"][..],
            "--tboot-cmdline does nothing with --entry",
        ),
        (
            &[
                "verify", "--module", "/absent", "--config", "/absent", "/absent",
            ][..],
            "--config does nothing without --entry",
        ),
        (
            &["verify", "--module", "/absent", "--set", "a=b", "/absent"][..],
            "--set does nothing without --entry",
        ),
        (
            &["predict", "--platform", "/absent", "--tpm", "2.0", "--all"][..],
            "--tpm does nothing with --platform",
        ),
        (
            &["predict", "--all", "--lcp-policy", "/absent"][..],
            "--lcp-policy does nothing with --all",
        ),
        (
            &["predict", "--all", "--sinit", "/absent"][..],
            "--sinit does nothing with --all",
        ),
        (
            &["predict", "--all", "--module", "/absent"][..],
            "--module does nothing with --all",
        ),
        (
            &["predict", "--entry", "0", "--tboot-cmdline", "x"][..],
            "--tboot-cmdline does nothing with --entry",
        ),
        (
            &["predict", "--tboot", "/absent", "--replace", "/a=/b"][..],
            "--replace does nothing without --entry or --all",
        ),
        (
            &["record", "--root", "/absent", "--output", "/absent/x"][..],
            "--root does nothing without --entry",
        ),
        (
            &["from-grub", "--list", "--output", "/absent/x"][..],
            "--output does nothing with --list",
        ),
        (
            &["from-grub", "--list", "--measure-only"][..],
            "--measure-only does nothing with --list",
        ),
        (
            &["launch-log", "--json", "--error", "0xc0007051"][..],
            "--json does nothing with --error",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_tboot-policy"))
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
    let output = Command::new(env!("CARGO_BIN_EXE_tboot-policy"))
        .arg("--version")
        .output()
        .unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        said,
        format!("tboot-policy {}\n", env!("CARGO_PKG_VERSION"))
    );
}
