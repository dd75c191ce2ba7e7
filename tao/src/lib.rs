//! What a hosted program links: the names of principals and what they say ([`logic`]),
//! attestations ([`attestation`]), keys ([`keys`]), guards ([`guard`]), the messages between a program and its
//! host ([`wire`]), the calls a program makes ([`client`]) and those an administrator
//! makes ([`admin`]). [`anchored`]: how a file is changed so that old copies of it are worthless.
//! The host that answers is a package of its own.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
#![warn(clippy::missing_errors_doc)]

pub mod admin;
pub mod anchored;
#[cfg(test)]
mod anchored_tests;
pub mod attestation;
pub mod client;
pub mod descriptors;
pub mod domain;
pub mod guard;
pub mod keys;
pub mod limits;
pub mod logic;
pub mod process;
mod secret_bytes;
pub mod state_file;
pub mod wire;
