//! The program that runs inside the guests.

use std::path::PathBuf;

use anyhow::Result;

use crate::programs;

/// The static probe. Statically linked, it does not depend on which C library the host has and
/// which the guest.
pub fn guest_probe() -> Result<PathBuf> {
    programs::path("guest_probe")
}
