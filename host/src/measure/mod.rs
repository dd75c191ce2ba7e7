//! From a path to the bytes that will run, their hashes, and the name that follows.

pub(crate) mod budget;
pub(crate) mod compose;
pub(crate) mod composition;
pub(crate) mod copying;
pub(crate) mod credentials;
pub(crate) mod disk;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod kind;
pub(crate) mod measured;
pub(crate) mod measured_lately;
pub(crate) mod measured_libraries;
pub(crate) mod measured_program;
pub(crate) mod measuring;
pub(crate) mod opening;
pub(crate) mod priority;
pub mod program;
pub(crate) mod program_name;
pub(crate) mod sealed_memory;
