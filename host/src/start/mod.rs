//! From measured bytes to a running program.

pub(crate) mod abilities;
pub(crate) mod child_process;
pub(crate) mod clone;
pub(crate) mod error;
pub(crate) mod execution;
pub(crate) mod hosted_process;
pub(crate) mod launch;
pub(crate) mod new_process;
pub(crate) mod possible;
pub(crate) mod process_set;
pub(crate) mod program_init;
pub(crate) mod spare;
pub(crate) mod spawn;
pub(crate) mod spawn_child;
pub(crate) mod store;
