//! Who is running, what they write, and how they end.

pub(crate) mod ending;
pub(crate) mod output;
pub(crate) mod program;
pub(crate) mod programs;
