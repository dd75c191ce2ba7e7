//! An option that would do nothing is refused, with a sentence, before anything is read or done:
//! whoever gives it relies on it.

use test_support::command_line::{refused_with, version_is_said};

const PROGRAM: &str = env!("CARGO_BIN_EXE_taoboot");

#[test]
fn options_that_would_do_nothing_are_refused() {
    refused_with(
        PROGRAM,
        &[
            (
                &[
                    "enroll",
                    "--volume",
                    "/absent",
                    "--current",
                    "--owner-password-file",
                    "/absent",
                ],
                "--owner-password-file does nothing without --rollback-counter",
            ),
            (
                &[
                    "enroll",
                    "--volume",
                    "/absent",
                    "--current",
                    "--dry-run",
                    "--recovery-key",
                ],
                "--recovery-key does nothing with --dry-run",
            ),
            (
                &["srk", "--force"],
                "--force does nothing without --take-ownership",
            ),
            (
                &["list", "--volume", "/absent", "--root", "/absent"],
                "--root does nothing with --volume",
            ),
            (
                &["wipe", "--volume", "/absent", "--kind", "clevis", "--force"],
                "--force does nothing with --kind",
            ),
            (
                &["trust", "--json", "--check", "/absent"],
                "--json does nothing without --list",
            ),
        ],
    );
}

#[test]
fn the_version_is_said() {
    version_is_said(PROGRAM);
}
