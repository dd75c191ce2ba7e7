//! What is asked for when programs are started, in types and in words.

pub(crate) mod devices;
pub(crate) mod environment;
pub(crate) mod programs;
pub(crate) mod said;
pub(crate) mod words;
