//! The static programs of taoboot: `$TAOBOOT_PROGRAMS`, where `cargo xtask agent` puts them.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::workplace::workspace_root;

/// One of them by its name: init, taoboot, tao, tao-report, or examples/sealed-counter.
pub fn path(name: &str) -> Result<PathBuf> {
    let directory = std::env::var_os("TAOBOOT_PROGRAMS").map_or_else(
        || workspace_root().join("target/x86_64-unknown-linux-gnu/small"),
        PathBuf::from,
    );
    let path = directory.join(name);
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo xtask agent` and `cargo xtask tools`",
        path.display()
    );
    Ok(path)
}
