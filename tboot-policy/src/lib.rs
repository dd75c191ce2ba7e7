//! What tboot does with the files of a boot: its verified launch policy (VLP), and the values that
//! PCR 17, 18 and 19 have after the launch.
//!
//! * [`vlp`]: the policy itself, `tb_policy_t` version 2.
//! * [`module`]: the hash of a module (kernel, initramfs) with its command line.
//! * [`platform`]: what only the platform knows about its launch.
//! * [`launch`]: the events of a launch and the PCR values that they give.

pub mod acm;
pub mod grub;
pub mod launch;
pub mod log;
pub mod module;
pub mod pcr_text;
pub mod platform;
pub mod predict;
pub mod verify;
pub mod vlp;
