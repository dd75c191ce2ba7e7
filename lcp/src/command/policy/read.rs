//! A policy's file.

use std::path::Path;

use anyhow::Result;
use commands::{Wanted, file};
use txt::policy::Policy;

/// Reads a policy file.
pub fn read_policy(path: &Path) -> Result<Policy> {
    let bytes = file::read(path)?;
    file::parsed(path, &bytes, Wanted::LaunchPolicy, Policy::parse(&bytes))
}
