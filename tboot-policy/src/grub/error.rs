//! What GRUB cannot read either.

use super::MAX_LEN;

/// Deepest nesting of blocks and conditions.
pub(super) const MAX_DEPTH: usize = 16;

/// A script that GRUB cannot read either, or that is too large.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// Larger than [`MAX_LEN`].
    #[error("the GRUB configuration has {0} bytes, at most {MAX_LEN} are read: is it a grub.cfg?")]
    TooLong(usize),
    /// A character that needs quotes.
    #[error("line {line}: {found} has no meaning in GRUB's script: put it into quotes")]
    Character {
        /// The line, from 1.
        line: usize,
        /// The character.
        found: char,
    },
    /// A quote without its end.
    #[error("line {line}: the quote that begins here never ends")]
    OpenQuote {
        /// The line, from 1.
        line: usize,
    },
    /// `$` without a name.
    #[error("line {line}: $ is followed by no variable's name: put it into single quotes")]
    Variable {
        /// The line, from 1.
        line: usize,
    },
    /// Something where something else should stand.
    #[error("line {line}: found {found}, expected {expected}")]
    Expected {
        /// The line, from 1.
        line: usize,
        /// What should stand there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// Nested deeper than any real configuration.
    #[error("line {line}: blocks are nested deeper than {MAX_DEPTH}")]
    TooDeep {
        /// The line, from 1.
        line: usize,
    },
}
