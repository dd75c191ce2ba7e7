//! `cargo xtask dist`: builds the programs and installs everything, or packs it for Debian.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};
use argh::FromArgs;
use mkinitramfs::dist::{Source, deb::Package};

use crate::{agent, setup, step, workspace};

/// Installs everything into a directory, or makes a Debian package of it. Needs no root.
#[derive(FromArgs)]
#[argh(subcommand, name = "dist")]
pub struct Dist {
    /// directory that becomes the root of the installation
    #[argh(option, arg_name = "dir")]
    destdir: Option<PathBuf>,
    /// package for Debian to write
    #[argh(option, arg_name = "file.deb")]
    deb: Option<PathBuf>,
    /// version of the package (default: the workspace's, -1)
    #[argh(option, arg_name = "version")]
    deb_version: Option<String>,
    /// who makes the package, "NAME <ADDRESS>"
    #[argh(option, arg_name = "name")]
    maintainer: Option<String>,
}

impl Dist {
    /// Builds and installs.
    pub fn run(self) -> Result<()> {
        if self.destdir.is_none() && self.deb.is_none() {
            bail!("name a directory with --destdir, a package with --deb, or both");
        }
        let prefix = setup::for_build()?;
        agent::build(&prefix)?;
        agent::build_tools(&prefix)?;
        let source = Source {
            checkout: workspace::root()?,
            programs: agent::directory()?,
            epoch: epoch()?,
        };
        if let Some(directory) = &self.destdir {
            source.install(directory)?;
            eprintln!("installed below {}", directory.display());
        }
        if let Some(file) = &self.deb {
            let default = || concat!(env!("CARGO_PKG_VERSION"), "-1").to_owned();
            let package = Package {
                version: self.deb_version.unwrap_or_else(default),
                maintainer: self.maintainer,
                compression: "xz",
            };
            package.build(&source, file)?;
            eprintln!("{} is written", file.display());
        }
        Ok(())
    }
}

/// The time of everything: `SOURCE_DATE_EPOCH`, or that of the last commit.
fn epoch() -> Result<u64> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => step::output(
            Command::new("git")
                .args(["log", "-1", "--format=%ct"])
                .current_dir(workspace::root()?),
        )
        .context("without a git checkout set SOURCE_DATE_EPOCH (seconds since 1970)")?,
    };
    let text = text.trim();
    text.parse()
        .with_context(|| format!("SOURCE_DATE_EPOCH is {text:?}: expected seconds since 1970"))
}
