//! Where things are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The directory that holds the workspace's Cargo.toml.
pub fn root() -> Result<PathBuf> {
    // `cargo run` sets it at run time, so a moved checkout is found as well.
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package
        .parent()
        .map(Path::to_path_buf)
        .context("the package has no parent directory: run `cargo xtask` from the checkout")
}

/// Cargo's target directory, where everything that can be made again is kept.
pub fn target() -> Result<PathBuf> {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => std::path::absolute(target).context("CARGO_TARGET_DIR"),
        None => Ok(root()?.join("target")),
    }
}

/// Downloads and what is unpacked from them.
pub fn assets() -> Result<PathBuf> {
    Ok(target()?.join("assets"))
}

/// Logs of the steps.
pub fn logs() -> Result<PathBuf> {
    Ok(target()?.join("log"))
}
