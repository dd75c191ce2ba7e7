//! The rules that every tier of tests asks first: they take seconds, and need no compiler.

use std::process::Command;

use anyhow::Result;

use crate::{counts, named_tests, step, workspace};

/// Formatting, the counts of `cargo xtask counts`, and the tests that SECURITY.md names.
pub fn check() -> Result<()> {
    let mut format = Command::new("cargo");
    format
        .args(["fmt", "--all", "--check"])
        .current_dir(workspace::root()?);
    step::run("cargo fmt --check", &mut format)?;
    counts::check()?;
    named_tests::check()
}

/// Both lock files fit their manifests. Asked first: a dependency that was added to a crate and
/// not to `fuzz/Cargo.lock` would otherwise stop the run a quarter of an hour later.
pub fn lock_files() -> Result<()> {
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let mut metadata = Command::new("cargo");
        metadata
            .args(["metadata", "--locked", "--format-version", "1"])
            .args(["--manifest-path", manifest])
            .current_dir(workspace::root()?);
        step::run(&format!("lock file of {manifest}"), &mut metadata)?;
    }
    Ok(())
}

/// Clippy over what `packages` selects; every warning is an error.
pub fn clippy(cargo: &mut Command, packages: &[&str]) -> Result<()> {
    cargo.args(["clippy", "--locked"]).args(packages).args([
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    step::run("cargo clippy", cargo)
}
