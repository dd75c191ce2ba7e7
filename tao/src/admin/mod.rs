//! How administrators talk to a host: start, list, wait for, stop and kill programs.

mod connection;
mod error;
mod host;
mod programs;

pub use connection::Admin;
pub use error::AdminError;
pub use host::ProgramUser;
pub use programs::{HostedProgram, KnownProgram, Start, Written};

/// Where the host of a booted machine listens.
pub const ADMIN_SOCKET: &str = "/run/tao/admin.sock";
