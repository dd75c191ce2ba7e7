//! The Tao host: starts and measures programs, and answers for them.
//!
//! A hosted program gets a name that says exactly what it is (this TPM, these PCRs, this
//! binary), and under that name randomness, sealed storage and attestations, over a pair
//! of pipes. Administrators start and stop programs over a socket that only root can open
//! unless the host is told otherwise.
//!
//! The rooms, each of which uses only those above it:
//!
//! * `policy`: what is asked for when programs are started, in types and in words.
//! * `authority`: the root that the host rests on, its name, its keys, its state.
//! * `measure`: from a path to the bytes that will run, their hashes, and the program's name.
//! * `confine`: what keeps a program apart: namespaces, Landlock, seccomp, control groups, users.
//! * `start`: from there to a running program, which is cloned and moves into a set of processes
//!   made ahead.
//! * `counters`: the programs' counters, in a table whose changes are [`tao::anchored`].
//! * `calls`: the calls of the Tao, without any input or output.
//! * `connections`: a few threads that wait for all descriptors at once, and programs' connections.
//! * `running`: who is running, what they write, how they end.
//! * `administer`: administrators' connections, what they may do by the guard, and doing it.

mod administer;
mod authority;
mod calls;
mod confine;
mod connections;
mod counters;
mod error;
mod host;
mod measure;
mod policy;
mod running;
mod start;

pub use administer::host_guard::HostGuardError;
pub use authority::{
    error::IdentityError,
    root::{Anchor, Root, RootError, SoftRoot},
    stacked::{StackedError, StackedRoot},
    state_lock::StateLock,
};
pub use counters::error::CounterError;
pub use error::HostError;
pub use host::{HostConfig, lacking, public_key, serve};
pub use measure::{error::MeasureError, program, program_name::measured_name};
pub use policy::{
    programs::{
        Confinement, Environment, FileRules, Lacking, Libraries, ProgramPolicy, RunAs, Scripts,
    },
    words::{PolicyError, PolicyWords},
};
