//! The packages of the workspace, as `cargo metadata` tells.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::allowed::TEST_DIRECTORIES;
use crate::step;

/// One package.
pub struct Package {
    pub name: String,
    /// Its directory.
    pub directory: PathBuf,
    pub targets: Vec<Target>,
    pub dependencies: Vec<Dependency>,
}

/// A library, program, test or example.
pub struct Target {
    /// `lib`, `bin`, `test`, `example`, ...
    pub kind: String,
    /// The file of its crate's root.
    pub root: PathBuf,
}

impl Target {
    /// Is it compiled without tests, too?
    pub fn is_product(&self) -> bool {
        matches!(self.kind.as_str(), "lib" | "bin" | "proc-macro")
    }
}

/// What a manifest names.
pub struct Dependency {
    /// The package.
    pub name: String,
    /// How it is named in source files.
    pub crate_name: String,
    pub kind: Kind,
    /// Its directory, if it is in this repository.
    pub directory: Option<PathBuf>,
}

impl Dependency {
    /// Is it one of those that only tests use?
    pub fn is_below_tests(&self, root: &Path) -> bool {
        let directory = self.directory.as_ref();
        directory.is_some_and(|directory| is_below_tests(directory, root))
    }
}

/// What a dependency is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Normal,
    Tests,
    Build,
}

impl Package {
    /// Is it one of those that only tests use?
    pub fn is_below_tests(&self, root: &Path) -> bool {
        is_below_tests(&self.directory, root)
    }
}

fn is_below_tests(directory: &Path, root: &Path) -> bool {
    let mut tests = TEST_DIRECTORIES.iter();
    tests.any(|name| directory.starts_with(root.join(name)))
}

/// The packages of the workspace at `root`.
pub fn all(root: &Path) -> Result<Vec<Package>> {
    let mut metadata = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    metadata
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .arg("--manifest-path")
        .arg(root.join("Cargo.toml"));
    let text = step::output(&mut metadata)?;
    let value: Value = serde_json::from_str(&text).context("what cargo metadata printed")?;
    let packages = list(&value, "packages")?;
    packages.iter().map(package).collect()
}

fn package(value: &Value) -> Result<Package> {
    let manifest = PathBuf::from(text(value, "manifest_path")?);
    Ok(Package {
        name: text(value, "name")?,
        directory: manifest
            .parent()
            .context("a manifest is in a directory")?
            .to_path_buf(),
        targets: list(value, "targets")?
            .iter()
            .map(target)
            .collect::<Result<_>>()?,
        dependencies: list(value, "dependencies")?
            .iter()
            .map(dependency)
            .collect::<Result<_>>()?,
    })
}

fn target(value: &Value) -> Result<Target> {
    let kind = list(value, "kind")?
        .first()
        .and_then(Value::as_str)
        .context("a target without a kind")?;
    Ok(Target {
        kind: kind.to_string(),
        root: PathBuf::from(text(value, "src_path")?),
    })
}

fn dependency(value: &Value) -> Result<Dependency> {
    let name = text(value, "name")?;
    let crate_name = match value.get("rename").and_then(Value::as_str) {
        Some(rename) => rename,
        None => &name,
    };
    Ok(Dependency {
        crate_name: crate_name.replace('-', "_"),
        kind: match value.get("kind").and_then(Value::as_str) {
            Some("dev") => Kind::Tests,
            Some("build") => Kind::Build,
            _ => Kind::Normal,
        },
        directory: value.get("path").and_then(Value::as_str).map(PathBuf::from),
        name,
    })
}

fn text(value: &Value, key: &str) -> Result<String> {
    let text = value.get(key).and_then(Value::as_str);
    text.map(str::to_string)
        .with_context(|| format!("cargo metadata tells no {key}"))
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    let list = value.get(key).and_then(Value::as_array);
    list.with_context(|| format!("cargo metadata tells no {key}"))
}
