//! Why a text or a byte string is not a value of the logic.

use super::limits::{MAX_DEPTH, MAX_ELEMENTS, MAX_LENGTH};

/// Why a text or a byte string was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogicError {
    /// The text has something else where the grammar needs `expected`.
    #[error("expected {expected} at byte {at}, found {found}")]
    Syntax {
        /// What the grammar allows here.
        expected: &'static str,
        /// Byte offset in the text.
        at: usize,
        /// What is there, shortened.
        found: String,
    },
    /// The binary form is not valid at `at`.
    #[error("binary form, byte {at}: {reason}")]
    Binary {
        /// Byte offset.
        at: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A name is not an identifier or a keyword of the grammar.
    #[error("{found:?} is not {expected}")]
    Name {
        /// The rule.
        expected: &'static str,
        /// The text, shortened.
        found: String,
    },
    /// Nested deeper, or with more elements, than is accepted.
    #[error("nested deeper than {MAX_DEPTH} levels or more than {MAX_ELEMENTS} elements")]
    TooComplex,
    /// Longer than is accepted.
    #[error("{0} bytes long; at most {MAX_LENGTH} are accepted")]
    TooLong(usize),
    /// A principal was to be extended or compared where no extension is possible.
    #[error("{0}")]
    Principal(String),
}

/// The first characters of a text, for error messages.
pub(super) fn shortened(text: &str) -> String {
    const KEEP: usize = 24;
    let mut short: String = text.chars().take(KEEP).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}
