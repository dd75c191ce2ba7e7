//! The recorded attestations with their verdicts, and forged quotes.

mod chains;
mod machine;
mod quotes;
mod recorded;
