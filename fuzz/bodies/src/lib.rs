//! What the fuzz targets do with their bytes: a function a target, which panics where something is
//! found. `tests/corpora.rs` runs the same functions on the corpora.
//!
//! * [`lcp`]: files and command lines of launch control policies.
//! * [`tboot_policy`]: tboot's policy, event logs, GRUB's files.
//! * [`storage`]: disks, and a machine's tables.
//! * [`tao`]: what hosted programs, administrators and strangers send to the Tao host.
//! * [`tpm12`]: answers of a TPM 1.2.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

pub mod lcp;
pub mod storage;
pub mod tao;
pub mod tboot_policy;
pub mod tpm12;

mod target;

pub use target::FuzzTarget;

/// Every target.
pub fn targets() -> impl Iterator<Item = FuzzTarget> {
    [
        lcp::TARGETS.as_slice(),
        tboot_policy::TARGETS.as_slice(),
        tao::TARGETS.as_slice(),
        tpm12::TARGETS.as_slice(),
        storage::TARGETS.as_slice(),
    ]
    .into_iter()
    .flatten()
    .copied()
}
