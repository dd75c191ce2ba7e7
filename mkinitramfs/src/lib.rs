//! Builds and reads the initramfs image ([`image`]), and makes what is installed ([`dist`]).
//! Needs no system C library.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

#[macro_use]
extern crate commands;

pub mod dist;
pub mod image;
