//! Which boot a command is about: a GRUB menu entry, or files named one by one.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use tboot_policy::{
    grub::{self, BootFiles, Menu, Places, Variables, entry::EntryError},
    module::{MAX_MODULE_LEN, Module},
};

use super::file;

/// The options of the commands that read a GRUB menu entry.
#[derive(Clone, Debug, Default)]
pub struct EntryOptions {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--root`.
    pub root: Option<PathBuf>,
    /// `--boot`.
    pub boot: Option<PathBuf>,
    /// `--set`.
    pub set: Vec<String>,
}

impl EntryOptions {
    fn places(&self) -> Places {
        let mut places = match &self.root {
            Some(root) => Places::below(root),
            None => Places::default(),
        };
        if let Some(boot) = &self.boot {
            places.boot.clone_from(boot);
        }
        places
    }

    /// The menu.
    pub fn menu(&self) -> Result<Menu> {
        let config = match &self.config {
            Some(config) => config.clone(),
            None => self.places().boot.join("grub/grub.cfg"),
        };
        let script = file::read_at_most(&config, grub::MAX_LEN as u64)?;
        let mut variables = Variables::default();
        for text in &self.set {
            let (name, value) = text
                .split_once('=')
                .with_context(|| format!("--set {text}: expected NAME=VALUE"))?;
            variables.preset(name, value);
        }
        Menu::parse(&script, variables).with_context(|| config.display().to_string())
    }

    /// The files that an entry boots.
    pub fn files(&self, entry: &str) -> Result<BootFiles> {
        let menu = self.menu()?;
        let found = menu.find(entry)?;
        let boot = found.boot()?;
        Ok(BootFiles::read(&boot, &self.places())?)
    }

    /// The files of every entry that boots tboot, or why they can't be told; with its place and title.
    pub fn all_files(&self) -> Result<Vec<(String, Result<BootFiles>)>> {
        let mut all = Vec::new();
        for entry in self.menu()?.entries() {
            let name = match entry.place() {
                Some(place) => format!("{place}: {}", entry.title()),
                None => entry.title().to_owned(),
            };
            let files = match entry.boot() {
                Err(EntryError::NoTboot { .. }) => continue,
                Err(error) => Err(error.into()),
                Ok(boot) => BootFiles::read(&boot, &self.places()).map_err(Into::into),
            };
            all.push((name, files));
        }
        Ok(all)
    }

    /// Prints the entries with their places.
    pub fn list(&self) -> Result<()> {
        for entry in self.menu()?.entries() {
            let place = entry.place().unwrap_or_else(|| "-".to_owned());
            let what = match entry.boot() {
                Ok(boot) => format!("tboot and {} modules", boot.modules.len()),
                Err(error) => error.to_string(),
            };
            println!("{place:8} {} ({what})", entry.title());
        }
        Ok(())
    }
}

/// `FILE` or `FILE CMDLINE`: the file up to the first blank, then the text that GRUB passes.
pub fn module(text: &str) -> Result<Module> {
    let (path, cmdline) = text.split_once(' ').unwrap_or((text, ""));
    if path.is_empty() {
        bail!(
            "--module {text:?}: expected FILE, or FILE and its command line with a blank between"
        );
    }
    Ok(Module {
        name: path.to_owned(),
        cmdline: cmdline.as_bytes().to_vec(),
        bytes: file::read_at_most(path.as_ref(), MAX_MODULE_LEN as u64)?,
    })
}
