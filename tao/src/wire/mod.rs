//! What goes over a channel between a hosted program and its host: frames, the RPC that
//! is spoken in them, and the messages of the calls (protocol buffers, version 2).

pub mod buffers;
pub mod counter_messages;
pub mod data_field;
mod frame;
pub mod guard_messages;
pub mod key_messages;
pub mod messages;
pub mod proto2;
pub mod rpc;
pub mod user_messages;

pub use frame::{FrameError, Inbox, MAX_FRAME, MessageRange};
