//! `cargo xtask`: what turns this workspace into a bootable image and tests it.
//! One module for each verb; none needs a system C library.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

#[macro_use]
extern crate commands;

pub mod dist;
pub mod image;
