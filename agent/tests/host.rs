//! The Tao host as programs and administrators see it: real processes, real sockets.

#[path = "host/common.rs"]
mod common;
#[path = "host/hostile.rs"]
mod hostile;
#[path = "host/programs.rs"]
mod programs;
#[path = "host/transcript.rs"]
mod transcript;
