//! Logs that are refused.

use txt::codec::FormatError;

use super::event::Format;

/// Longest log that is read, in bytes.
pub const MAX_LEN: usize = 16 << 20;

/// What is not an event log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Larger than [`MAX_LEN`].
    #[error("the log has more than {MAX_LEN} bytes: it is not an event log")]
    TooLong,
    /// Empty, or nothing but zeros.
    #[error("the log holds no event: was it a measured launch? Was it read as root?")]
    Empty,
    /// None of the forms.
    #[error("this is not an event log: {0}")]
    Unknown(FormatError),
    /// One of the forms, but damaged.
    #[error("the log ({format}) is damaged: {source}")]
    Damaged {
        /// The form.
        format: Format,
        /// What is wrong.
        source: FormatError,
    },
    /// Text that is damaged.
    #[error("line {line}: {what}")]
    Text {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Logs that do not belong together.
    #[error(
        "the logs do not belong together: event {index} is {first} in one and {second} in another"
    )]
    NotTogether {
        /// The event's place, from 0.
        index: usize,
        /// The event in the first log.
        first: String,
        /// The event in the other.
        second: String,
    },
}
