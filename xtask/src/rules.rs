//! The rules that every tier of tests asks first: they take seconds, and need no compiler.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

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

/// Misspelt words (.codespellrc).
pub fn spelling() -> Result<()> {
    let mut codespell = Command::new("codespell");
    step::run("codespell", codespell.current_dir(workspace::root()?))
}

/// Both lock files fit their manifests, and no dependency needs a newer Rust than we say that we
/// need. Asked first: a dependency that was added to a crate and not to `fuzz/Cargo.lock` would
/// otherwise stop the run a quarter of an hour later.
pub fn lock_files() -> Result<()> {
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let mut metadata = Command::new("cargo");
        metadata
            .args(["metadata", "--locked", "--format-version", "1"])
            .args(["--manifest-path", manifest])
            .current_dir(workspace::root()?);
        let text = step::output(&mut metadata).with_context(|| manifest.to_owned())?;
        oldest_rust(&text).with_context(|| manifest.to_owned())?;
    }
    Ok(())
}

/// Compares `rust-version` of all packages with ours. What the standard library has gained since is
/// clippy's matter (incompatible_msrv).
fn oldest_rust(metadata: &str) -> Result<()> {
    let metadata: Value = serde_json::from_str(metadata).context("what cargo metadata printed")?;
    let packages = metadata.get("packages").and_then(Value::as_array);
    let packages = packages.context("cargo metadata tells no packages")?;
    let stated = |package: &Value| package.get("rust_version").and_then(version);
    let is_ours = |package: &&Value| package.get("source").is_some_and(Value::is_null);
    let ours = packages.iter().filter(is_ours).filter_map(stated).max();
    let ours = ours.context("no package of ours states its rust-version")?;
    let newer: Vec<&str> = packages
        .iter()
        .filter(|package| stated(package).is_some_and(|needed| needed > ours))
        .filter_map(|package| package.get("name").and_then(Value::as_str))
        .collect();
    if !newer.is_empty() {
        let (major, minor) = ours;
        bail!(
            "these need a newer Rust than the {major}.{minor} of Cargo.toml: {}",
            newer.join(", ")
        );
    }
    Ok(())
}

/// Major and minor number.
fn version(text: &Value) -> Option<(u32, u32)> {
    let mut numbers = text.as_str()?.split('.').map(str::parse);
    match (numbers.next()?, numbers.next()?) {
        (Ok(major), Ok(minor)) => Some((major, minor)),
        _ => None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_that_needs_a_newer_rust_is_named() {
        let metadata = |needed: &str| {
            format!(
                r#"{{"packages": [{{"name": "ours", "source": null, "rust_version": "1.88"}},
                {{"name": "other", "source": "registry", "rust_version": "{needed}"}},
                {{"name": "silent", "source": "registry", "rust_version": null}}]}}"#
            )
        };
        for needed in ["1.56", "1.88", "1.88.0"] {
            oldest_rust(&metadata(needed)).unwrap();
        }
        for needed in ["1.89", "2.0"] {
            let error = oldest_rust(&metadata(needed)).unwrap_err().to_string();
            assert!(
                error.contains("1.88") && error.ends_with("other"),
                "{error}"
            );
        }
    }
}
