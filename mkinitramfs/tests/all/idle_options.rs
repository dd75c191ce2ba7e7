//! An option that would do nothing is refused, with a sentence, before anything is read or done:
//! whoever gives it relies on it.

use test_support::command_line::{refused_with, version_is_said};

const PROGRAM: &str = env!("CARGO_BIN_EXE_taoboot-image");

#[test]
fn options_that_would_do_nothing_are_refused() {
    refused_with(
        PROGRAM,
        &[
            (
                &["--generic", "ls", "/absent"],
                "--generic does nothing where an image is only looked at",
            ),
            (
                &["--no-pins", "ls", "/absent"],
                "--no-pins does nothing where an image is only looked at",
            ),
            (&["--json", "ls", "/absent"], "--json, here, does nothing"),
            (
                &["--output", "/absent/x", "cat", "/absent", "/init"],
                "--output does nothing where",
            ),
            (
                &["--sysfs", "/absent", "--output", "/absent/x"],
                "--sysfs does nothing without --host-only",
            ),
        ],
    );
}

#[test]
fn the_version_is_said() {
    version_is_said(PROGRAM);
}
