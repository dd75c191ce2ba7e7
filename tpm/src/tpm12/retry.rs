//! A TPM that is busy, or has to test itself first, is asked again, for a while.
//!
//! Source: TPM Main, Part 2, section 16 (non-fatal return codes); Part 3, section 4.2.

use std::time::Duration;

use super::{codec::Response, return_code::ReturnCode};

/// Waits between two attempts; a fuzzer does not.
pub(super) type Pause = fn(Duration);

/// What is to be done about an answer before it is anybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Wait.
    Later,
    /// Have the TPM test itself, and wait.
    AfterSelfTest,
}

/// Is the same command to be sent again? Whoever makes such a refusal up gains no more than the wait.
pub(super) fn again(answer: &[u8]) -> Option<Again> {
    let code = Response::parse(answer).ok()?.code; // what is malformed is told where it is read
    match ReturnCode(code) {
        ReturnCode::RETRY | ReturnCode::DOING_SELFTEST => Some(Again::Later),
        ReturnCode::NEEDS_SELFTEST => Some(Again::AfterSelfTest),
        _ => None,
    }
}

/// How long is waited before each attempt but the first.
pub(super) fn waits() -> impl Iterator<Item = Duration> {
    let doubled = std::iter::successors(Some(10u64), |wait| Some(wait.saturating_mul(2).min(1000)));
    doubled.take(16).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tpm_is_waited_for_about_ten_seconds_and_not_for_ever() {
        let total: Duration = waits().sum();
        assert!((8..15).contains(&total.as_secs()), "{total:?}");
        assert!(waits().next() < Some(Duration::from_millis(50)));
    }

    #[test]
    fn only_the_codes_that_say_so_are_asked_again() {
        let refused = |code: u8| [0, 0xc4, 0, 0, 0, 10, 0, 0, 8, code];
        assert_eq!(again(&refused(0)), Some(Again::Later));
        assert_eq!(again(&refused(1)), Some(Again::AfterSelfTest));
        assert_eq!(again(&refused(2)), Some(Again::Later));
        // The defence against guessing lasts longer.
        assert_eq!(again(&refused(3)), None);
        assert_eq!(again(&[0, 0xc4, 0, 0, 0, 10, 0, 0, 0, 0]), None);
        assert_eq!(again(b""), None);
    }
}
