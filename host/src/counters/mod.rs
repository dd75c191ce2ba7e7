//! The counters of programs, and the table that they are kept in.

pub(crate) mod error;
pub(crate) mod file;
mod sealed_form;
pub(crate) mod store;
pub(crate) mod table;
#[cfg(test)]
pub(crate) mod table_tests;
