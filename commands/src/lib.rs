//! What every command has in common, in one place.
//!
//! * [`arguments`]: the command line.
//! * [`output`]: `println!` and its like, which outlive a reader that has gone (`| head`).
//! * [`date`]: dates and times in words.
//! * [`sentence`]: an error as one sentence.
//! * [`file`]: the files of a command line; [`replacement`]: how one is replaced.
//! * [`file_kind`]: what a file looks like.
//! * [`partner`]: options that would do nothing.
//! * [`mismatch`]: the sentence for a file of another kind than the one that is asked for.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

// First: the others print with its macros.
#[macro_use]
pub mod output;

pub mod arguments;
pub mod date;
pub mod file;
pub mod file_kind;
pub mod mismatch;
pub mod partner;
pub mod replacement;
pub mod sentence;

pub use arguments::from_env;
pub use file_kind::FileKind;
pub use mismatch::{Wanted, mismatch};
pub use partner::refuse_idle;
pub use sentence::sentence;
