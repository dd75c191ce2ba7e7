//! Connections: a few threads wait for all descriptors, and programs speak.

pub(crate) mod connection;
pub(crate) mod program_socket;
pub(crate) mod reactor;
pub(crate) mod session;
