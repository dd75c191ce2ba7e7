//! Whole machines for the tests: disks, a TPM with a simulated launch, QEMU.
//!
//! A scenario builds its disks ([`disk`], [`debian`]), says which launch the machine is to
//! see ([`launch`]), boots it ([`machine`]) and asserts on the JSON that the guest sent.
//! QEMU talks to swtpm through [`proxy`], which plays the TXT launch into the TPM: the CPU
//! instruction that does it on a real machine (SENTER) exists in no emulator.

pub mod assets;
pub mod boot_files;
pub mod busybox;
pub mod debian;
pub mod disk;
pub mod guest;
pub mod installed;
pub mod installer;
pub mod kernel_change;
pub mod launch;
pub mod machine;
pub mod measured;
pub mod programs;
pub mod proxy;
pub mod qmp;
pub mod serial;
pub mod swtpm;
pub mod terminal;
pub mod tool;
pub mod tpm_log;
pub mod workplace;
pub mod world;
pub mod write_log;
