//! The agent: `/init` of the measured initramfs, and the Tao host that it becomes.
//!
//! [`boot`] is the boot, one phase a file or directory, in the order of [`boot::run`]. [`unlock`]
//! is what releases a disk key: sealed records, the latch, LUKS headers. [`resident`] is the process
//! that stays after the pivot: it runs [`host`], the Tao host on this machine's TPM, and [`reseal`],
//! what it does for the next boot. [`entry`] tells them apart. [`config`] is the measured
//! configuration, and [`forecast`] says before a boot what it will do.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

#[macro_use]
extern crate printable;

pub mod boot;
pub mod config;
pub mod entry;
pub mod forecast;
pub mod host;
pub mod reseal;
pub mod resident;
pub mod unlock;
