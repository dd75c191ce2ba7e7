//! What administrators may do and have done.

pub(crate) mod admin;
pub(crate) mod admin_socket;
pub(crate) mod administrator;
mod answering;
pub(crate) mod counter_calls;
pub(crate) mod error;
pub(crate) mod guard_calls;
pub(crate) mod host;
pub(crate) mod host_guard;
pub(crate) mod operations;
pub(crate) mod receiving;
pub(crate) mod start_error;
pub(crate) mod start_program;
pub(crate) mod user_calls;
