//! Which boot a command is about: a GRUB menu entry, or files named one by one.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Error, Result, bail};
use tboot_policy::{
    grub::{self, BootFiles, BootFolder, Menu, Places, Variables},
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
    /// `--replace`.
    pub replace: Vec<String>,
}

impl EntryOptions {
    /// Where GRUB's files are.
    pub fn places(&self) -> Result<Places> {
        let mut places = self.folders();
        places.replaced = self.replaced()?;
        Ok(places)
    }

    fn folders(&self) -> Places {
        let mut places = match &self.root {
            Some(root) => Places::below(root),
            None => Places::default(),
        };
        if let Some(boot) = &self.boot {
            places.boot.clone_from(boot);
        }
        places
    }

    /// What will stand at a path, and where it is now.
    pub fn replaced(&self) -> Result<BTreeMap<PathBuf, PathBuf>> {
        let mut replaced = BTreeMap::new();
        for text in &self.replace {
            let (path, file) = match text.split_once('=') {
                Some((path, file)) if !path.is_empty() && !file.is_empty() => (path, file),
                _ => bail!("--replace {text}: expected PATH=FILE"),
            };
            if replaced.insert(path.into(), file.into()).is_some() {
                bail!("--replace names {path} twice");
            }
        }
        Ok(replaced)
    }

    /// The menu.
    pub fn menu(&self) -> Result<Menu> {
        self.read_menu(Variables::default())
    }

    /// The menu as it is when GRUB boots with the environment block of BOOT/grub.
    pub fn booting_menu(&self) -> Result<Menu> {
        let folder = BootFolder::read(&self.folders().boot.join("grub"));
        self.read_menu(Variables::default().booting(folder.map_err(Error::msg)?))
    }

    fn read_menu(&self, mut variables: Variables) -> Result<Menu> {
        let config = match &self.config {
            Some(config) => config.clone(),
            None => self.folders().boot.join("grub/grub.cfg"),
        };
        let script = file::read_at_most(&config, grub::MAX_LEN as u64)?;
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
        Ok(BootFiles::read(&boot, &self.places()?)?)
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
    let bytes = file::read_at_most(path.as_ref(), MAX_MODULE_LEN as u64)?;
    Ok(Module::new(path, cmdline, bytes))
}
