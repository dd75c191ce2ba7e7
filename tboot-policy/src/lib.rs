//! What tboot does with the files of a boot: its verified launch policy (VLP), the event log of the
//! launch, and the values that PCR 17, 18 and 19 have after it, also before it happens.
//!
//! * [`vlp`]: the policy itself, `tb_policy_t` version 2.
//! * [`module`]: the hash of a module (kernel, initramfs) with its command line.
//! * [`acm`]: which modules tboot takes away before it measures.
//! * [`tboot`]: tboot's own image and its hashes.
//! * [`diagnosis`]: why a launch was measured, or was not.
//! * [`grub`]: the files and command lines of a GRUB menu entry.
//! * [`verify`]: would tboot boot these files under this policy?
//! * [`platform`]: what only the platform knows about its launch.
//! * [`extends`]: what tboot extends itself.
//! * [`log`]: event logs in every form, and their replay.
//! * [`pcr_text`]: PCR values as other programs write them.
//! * [`predict`]: the PCRs of a launch that has not happened yet.
//!
//! A policy that allows one kernel with one command line:
//!
//! ```
//! use tboot_policy::{
//!     module::Module,
//!     vlp::{ModuleNumber, Object, Policy},
//! };
//!
//! let mut policy = Policy::default_tpm2();
//! let kernel = Module::new("vmlinuz", "root=/dev/sda1 ro", b"a kernel".to_vec());
//! let hash = kernel.hash(policy.alg())?;
//! policy.allow(Object::Module(ModuleNumber::FIRST), None, Some(hash))?;
//! assert_eq!(Policy::parse(&policy.to_bytes())?, policy);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod acm;
pub mod diagnosis;
pub mod extends;
pub mod grub;
pub mod log;
pub mod module;
pub mod platform;
pub mod predict;
pub mod tboot;
pub mod verify;
pub mod vlp;

pub use tpm::pcr_text;
