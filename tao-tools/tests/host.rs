//! The Tao host as programs and administrators see it: real processes, real sockets.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // as in any test
#![allow(missing_docs)] // helpers of this test only

#[path = "host/administrators.rs"]
mod administrators;
#[path = "host/apart_from_others.rs"]
mod apart_from_others;
#[path = "host/common.rs"]
mod common;
#[path = "host/composed.rs"]
mod composed;
#[path = "host/counter_room.rs"]
mod counter_room;
#[path = "host/counters.rs"]
mod counters;
#[path = "host/exchanged.rs"]
mod exchanged;
#[path = "host/exhausted.rs"]
mod exhausted;
#[path = "host/guarded.rs"]
mod guarded;
#[path = "host/hidden.rs"]
mod hidden;
#[path = "host/host_process.rs"]
mod host_process;
#[path = "host/hostile.rs"]
mod hostile;
#[path = "host/interrupt.rs"]
mod interrupt;
#[path = "host/isolation.rs"]
mod isolation;
#[path = "host/keysets.rs"]
mod keysets;
#[path = "host/killed.rs"]
mod killed;
#[path = "host/meanwhile.rs"]
mod meanwhile;
#[path = "host/names.rs"]
mod names;
#[path = "host/own_processes.rs"]
mod own_processes;
#[path = "host/prepared.rs"]
mod prepared;
#[path = "host/programs.rs"]
mod programs;
#[path = "host/programs_as_administrators.rs"]
mod programs_as_administrators;
#[path = "host/rights.rs"]
mod rights;
#[path = "host/socket_channel.rs"]
mod socket_channel;
#[path = "host/system_calls.rs"]
mod system_calls;
#[path = "host/transcript.rs"]
mod transcript;
