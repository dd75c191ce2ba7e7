//! An option that would do nothing is refused, with a sentence, before anything is read or done:
//! whoever gives it relies on it.

use test_support::command_line::{refused_with, version_is_said};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lcp");

#[test]
fn options_that_would_do_nothing_are_refused() {
    refused_with(
        PROGRAM,
        &[
            (
                &["policy", "verify", "--policy", "/absent", "--cmdline", "x"],
                "--cmdline does nothing without --tboot",
            ),
            (
                &[
                    "policy",
                    "verify",
                    "--policy",
                    "/absent",
                    "--tboot",
                    "/absent",
                    "--mle-hash",
                    "sha1:00",
                ],
                "only one of --tboot and --mle-hash",
            ),
            (
                &[
                    "policy",
                    "verify",
                    "--policy",
                    "/absent",
                    "--sinit",
                    "/absent",
                    "--sinit-version",
                    "1",
                ],
                "only one of --sinit and",
            ),
            (
                &[
                    "policy",
                    "create",
                    "--version",
                    "2.4",
                    "--any",
                    "--sign",
                    "rsa-2048-sha1",
                    "--out",
                    "/absent/x",
                ],
                "--sign does nothing in a policy for TPM 1.2",
            ),
            (
                &["acm", "--debug-fused", "/absent"],
                "--debug-fused does nothing without",
            ),
            (
                &[
                    "element",
                    "create",
                    "--type",
                    "stm",
                    "--minver",
                    "2",
                    "--out",
                    "/absent/x",
                ],
                "--minver does nothing for an element of this type",
            ),
            (
                &[
                    "element",
                    "create",
                    "--type",
                    "mle2",
                    "--pcr",
                    "17=00",
                    "--out",
                    "/absent/x",
                ],
                "--pcr does nothing for",
            ),
            (
                &[
                    "element",
                    "create",
                    "--type",
                    "pconf2",
                    "--locality",
                    "3",
                    "--out",
                    "/absent/x",
                ],
                "--locality does nothing for",
            ),
            (
                &[
                    "element",
                    "create",
                    "--type",
                    "custom",
                    "--hash",
                    "00",
                    "--out",
                    "/absent/x",
                ],
                "--hash does nothing for",
            ),
        ],
    );
}

#[test]
fn the_version_is_said() {
    version_is_said(PROGRAM);
}
