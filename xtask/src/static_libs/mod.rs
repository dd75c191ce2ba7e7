//! `cargo xtask static-libs`: the C libraries that the agent is linked with, as static archives.
//!
//! Debian ships none of them static. They are built from pinned source packages into
//! `target/static-libs/<hash>/`, where the hash covers tarballs, flags and recipe: cargo does
//! not notice a changed archive behind an unchanged path, so a change must change the path.

mod recipe;
mod sources;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use argh::FromArgs;
use sha2::{Digest, Sha256};

use crate::{
    packages::{self, Purpose},
    workspace,
};
use sources::{SOURCES, Source};

/// Names a ready prefix to use instead of building one.
const PREFIX_VARIABLE: &str = "TAOBOOT_STATIC_PREFIX";

/// Builds tpm2-tss, libcryptsetup and libdevmapper as static archives and prints where they are.
#[derive(FromArgs)]
#[argh(subcommand, name = "static-libs")]
pub struct StaticLibs {
    /// use the second pinned version of each source, as if the mirror had dropped the first
    #[argh(switch)]
    second_choice: bool,
}

impl StaticLibs {
    /// Builds what is missing.
    pub fn run(self) -> Result<()> {
        packages::ensure(Purpose::Build)?;
        let prefix = ensure_from(usize::from(self.second_choice))?;
        println!("{}", prefix.display());
        Ok(())
    }
}

/// The prefix with the static libraries, built if it is not there.
pub fn ensure() -> Result<PathBuf> {
    ensure_from(0)
}

fn ensure_from(first_choice: usize) -> Result<PathBuf> {
    if let Some(prefix) = std::env::var_os(PREFIX_VARIABLE) {
        let prefix = PathBuf::from(prefix);
        check(&prefix).with_context(|| format!("{PREFIX_VARIABLE}={}", prefix.display()))?;
        return Ok(prefix);
    }
    let base = workspace::target()?.join("static-libs");
    // Any pinned set that is ready will do: the agent works with each of them.
    for choice in combinations(first_choice) {
        let prefix = base.join(hash(&choice));
        if prefix.join("complete").is_file() {
            return Ok(prefix);
        }
    }
    let downloads = base.join("sources");
    fs::create_dir_all(&downloads)
        .with_context(|| format!("cannot make {}", downloads.display()))?;
    let mut chosen = Vec::new();
    for candidates in SOURCES {
        chosen.push(sources::fetch(
            usable(candidates, first_choice),
            &downloads,
        )?);
    }
    let versions: Vec<&Source> = chosen.iter().map(|(source, _)| *source).collect();
    let prefix = base.join(hash(&versions));
    remove(&prefix)?;
    let work = base.join("build");
    remove(&work)?;
    recipe::build(&chosen, &work, &prefix)?;
    check(&prefix)?;
    fs::write(prefix.join("complete"), describe(&versions))?;
    remove(&work)?;
    Ok(prefix)
}

/// The candidates from the first choice on, the last one in any case.
fn usable(candidates: &'static [Source], first_choice: usize) -> &'static [Source] {
    let passed_over = first_choice.min(candidates.len().saturating_sub(1));
    candidates.split_at(passed_over).1
}

/// Every way to choose among the pinned versions, the preferred one first.
fn combinations(first_choice: usize) -> Vec<Vec<&'static Source>> {
    let mut all: Vec<Vec<&Source>> = vec![Vec::new()];
    for candidates in SOURCES {
        let usable = usable(candidates, first_choice);
        all = all
            .iter()
            .flat_map(|head| {
                usable
                    .iter()
                    .map(move |source| [head.as_slice(), &[source]].concat())
            })
            .collect();
    }
    all
}

fn hash(sources: &[&Source]) -> String {
    let mut hash = Sha256::new();
    hash.update(describe(sources));
    hash.update(include_bytes!("recipe.rs"));
    let digits = hex::encode(hash.finalize());
    digits.chars().take(16).collect()
}

fn describe(sources: &[&Source]) -> String {
    sources
        .iter()
        .map(|source| format!("{} {}\n", source.sha256, source.file))
        .collect()
}

/// Is everything there that the agent links with?
fn check(prefix: &Path) -> Result<()> {
    for file in [
        "lib/libcryptsetup.a",
        "lib/libdevmapper.a",
        "lib/libtss2-esys.a",
        "lib/libtss2-tctildr.a",
        "lib/pkgconfig/libcryptsetup.pc",
    ] {
        if !prefix.join(file).is_file() {
            bail!(
                "{} has no {file}: expected a prefix with tpm2-tss, libcryptsetup and libdevmapper as static archives",
                prefix.display()
            );
        }
    }
    Ok(())
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot remove {}", directory.display())),
    }
}
