//! What the host is: the root that it rests on, its name and keys, its state.

pub(crate) mod error;
pub(crate) mod identity;
pub(crate) mod keys;
pub(crate) mod root;
pub(crate) mod stacked;
pub(crate) mod state_lock;
