//! `lcp links`: symbolic links by the names of the original tools.

use std::{os::unix::fs::symlink, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use argh::FromArgs;

use crate::original::Tool;

/// Make symbolic links to this program by the names of tboot's tools.
#[derive(FromArgs)]
#[argh(subcommand, name = "links")]
pub struct Links {
    /// directory for the links
    #[argh(positional)]
    directory: PathBuf,
}

impl Links {
    pub fn run(self) -> Result<ExitCode> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        for (name, _) in Tool::all() {
            let link = self.directory.join(name);
            let shown = link.display().to_string();
            match std::fs::symlink_metadata(&link) {
                Ok(metadata) if !metadata.is_symlink() => {
                    anyhow::bail!("{shown} exists and is not a link: remove it first");
                }
                Ok(_) => std::fs::remove_file(&link).with_context(|| shown.clone())?,
                Err(_) => {}
            }
            symlink(&program, &link).with_context(|| format!("cannot make {shown}"))?;
            println!("{shown}");
        }
        Ok(ExitCode::SUCCESS)
    }
}
