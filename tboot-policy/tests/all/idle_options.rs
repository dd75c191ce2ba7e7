//! An option that would do nothing is refused, with a sentence, before anything is read or done:
//! whoever gives it relies on it.

use test_support::command_line::{refused_with, version_is_said};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tboot-policy");

#[test]
fn options_that_would_do_nothing_are_refused() {
    refused_with(
        PROGRAM,
        &[
            (
                &["verify", "--entry", "0", "--tboot", "/absent", "/absent"],
                "--tboot does nothing with --entry",
            ),
            (
                &["verify", "--entry", "0", "--tboot-cmdline", "x", "/absent"],
                "--tboot-cmdline does nothing with --entry",
            ),
            (
                &[
                    "verify", "--module", "/absent", "--config", "/absent", "/absent",
                ],
                "--config does nothing without --entry",
            ),
            (
                &["verify", "--module", "/absent", "--set", "a=b", "/absent"],
                "--set does nothing without --entry",
            ),
            (
                &["predict", "--platform", "/absent", "--tpm", "2.0", "--all"],
                "--tpm does nothing with --platform",
            ),
            (
                &["predict", "--all", "--lcp-policy", "/absent"],
                "--lcp-policy does nothing with --all",
            ),
            (
                &["predict", "--all", "--sinit", "/absent"],
                "--sinit does nothing with --all",
            ),
            (
                &["predict", "--all", "--module", "/absent"],
                "--module does nothing with --all",
            ),
            (
                &["predict", "--entry", "0", "--tboot-cmdline", "x"],
                "--tboot-cmdline does nothing with --entry",
            ),
            (
                &["predict", "--tboot", "/absent", "--replace", "/a=/b"],
                "--replace does nothing without --entry or --all",
            ),
            (
                &["record", "--root", "/absent", "--output", "/absent/x"],
                "--root does nothing without --entry",
            ),
            (
                &["from-grub", "--list", "--output", "/absent/x"],
                "--output does nothing with --list",
            ),
            (
                &["from-grub", "--list", "--measure-only"],
                "--measure-only does nothing with --list",
            ),
            (
                &["launch-log", "--json", "--error", "0xc0007051"],
                "--json does nothing with --error",
            ),
        ],
    );
}

#[test]
fn the_version_is_said() {
    version_is_said(PROGRAM);
}
