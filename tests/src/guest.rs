//! Programs of this package that run inside the guests.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::programs;
use crate::tool::Tool;
use crate::workplace::workspace_root;

/// The static probe: xtask's, or built now for a test that was started without xtask.
/// Statically linked, it does not depend on which C library the host has and which the guest.
pub fn guest_probe() -> Result<PathBuf> {
    if std::env::var_os("TAOBOOT_PROGRAMS").is_some() {
        return programs::path("guest_probe");
    }
    let root = workspace_root();
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(path) => root.join(path),
        None => root.join("target"),
    };
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    Tool::new(&cargo)
        .args(["rustc", "--quiet", "--offline", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .args(["--package", "tests", "--bin", "guest_probe"])
        .arg("--target-dir")
        .arg(&target)
        .args(["--", "-C", "target-feature=+crt-static"])
        .run()
        .context("cannot build the guest's probe")?;
    let program = target.join("debug/guest_probe");
    ensure!(
        program.exists(),
        "cargo built the guest's probe, but not as {}",
        program.display()
    );
    Ok(program)
}
