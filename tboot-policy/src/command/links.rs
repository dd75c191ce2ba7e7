//! `tboot-policy links`: a symbolic link by the name of the original tool.

use std::{os::unix::fs::symlink, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use argh::FromArgs;

use crate::original;

/// Make a symbolic link to this program by the name of tboot's tool, tb_polgen.
#[derive(FromArgs)]
#[argh(subcommand, name = "links")]
pub struct Links {
    /// directory for the link
    #[argh(positional)]
    directory: PathBuf,
}

impl Links {
    pub fn run(self) -> Result<ExitCode> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let link = self.directory.join(original::NAME);
        let shown = link.display().to_string();
        match std::fs::symlink_metadata(&link) {
            Ok(metadata) if !metadata.is_symlink() => {
                bail!("{shown} exists and is not a link: remove it first");
            }
            Ok(_) => std::fs::remove_file(&link).with_context(|| shown.clone())?,
            Err(_) => {}
        }
        symlink(&program, &link).with_context(|| format!("cannot make {shown}"))?;
        println!("{shown}");
        Ok(ExitCode::SUCCESS)
    }
}
