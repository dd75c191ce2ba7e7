//! The Tao host as programs and administrators see it: real processes, real sockets.

mod administrators;
mod apart_from_others;
mod common;
mod composed;
mod counter_room;
mod counters;
mod exchanged;
mod exhausted;
mod guarded;
mod hidden;
mod host_process;
mod hostile;
pub mod interrupt;
mod isolation;
mod keysets;
mod killed;
mod meanwhile;
mod names;
mod own_processes;
mod prepared;
mod programs;
mod programs_as_administrators;
mod rights;
mod socket_channel;
mod system_calls;
mod transcript;
mod users;
