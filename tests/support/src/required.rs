//! Tools and files that a test needs and that not every machine has.

use std::env;

/// Variables that make a missing tool or file a failure. `cargo xtask test` sets the first, because it
/// installs everything that a test needs; the second is for other callers.
const REQUIRE: [&str; 2] = ["TAOBOOT_ASSETS", "TAOBOOT_REQUIRE"];

/// `found`, if it is there. Otherwise the test is skipped, which standard error says; the caller
/// returns.
///
/// # Panics
///
/// Where nothing may be missing: `TAOBOOT_ASSETS` or `TAOBOOT_REQUIRE` is set and not empty.
#[expect(clippy::panic, reason = "it fails the test that calls it")]
pub fn required<T>(found: Option<T>, what: &str) -> Option<T> {
    if found.is_none() {
        if let Some(variable) = REQUIRE.into_iter().find(|variable| is_set(variable)) {
            panic!("missing: {what} ({variable} is set, so that nothing may be missing)");
        }
        eprintln!("skipped: {what} is not there");
    }
    found
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::required;

    #[test]
    fn what_is_there_is_handed_on() {
        assert_eq!(required(Some(3), "a number"), Some(3));
    }
}
