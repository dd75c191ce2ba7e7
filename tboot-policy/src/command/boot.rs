//! Which boot a command is about: a GRUB menu entry, or files named one by one.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Result, bail};
use commands::Wanted;
use commands::file;
use tboot_policy::{
    grub::{self, BootDirectory, BootFiles, Places, Readings, Variables},
    module::{MAX_MODULE_LEN, Module},
};

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
        let mut places = self.directories();
        places.replaced = self.replaced()?;
        Ok(places)
    }

    fn directories(&self) -> Places {
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

    /// The directory of GRUB's files. Fedora and SUSE call it grub2.
    fn grub_directory(&self) -> PathBuf {
        let beside = self.config.as_ref().and_then(|config| config.parent());
        if let Some(directory) = beside.filter(|directory| directory.join("grubenv").exists()) {
            return directory.to_owned();
        }
        let boot = self.directories().boot;
        let directories = ["grub", "grub2"].map(|name| boot.join(name));
        let used = |directory: &&PathBuf| {
            ["grub.cfg", "grubenv"]
                .iter()
                .any(|name| directory.join(name).exists())
        };
        let found = directories.iter().find(used).cloned();
        found.unwrap_or_else(|| boot.join("grub"))
    }

    /// The menu, by itself and with the environment block in GRUB's directory.
    pub fn menu(&self) -> Result<Readings> {
        let directory = self.grub_directory();
        let config = match &self.config {
            Some(config) => config.clone(),
            None => directory.join("grub.cfg"),
        };
        let script = file::read_at_most(&config, grub::MAX_LEN as u64)?;
        let mut variables = Variables::default().with_bls(self.directories().bls());
        // Another root is another machine's.
        if let (None, Some(platform)) = (&self.root, grub::firmware::platform("/sys".as_ref())) {
            variables.preset("grub_platform", platform);
        }
        for text in &self.set {
            let (name, value) = text
                .split_once('=')
                .with_context(|| format!("--set {text}: expected NAME=VALUE"))?;
            variables.preset(name, value);
        }
        let readings = Readings::new(&script, variables, BootDirectory::read(&directory));
        file::parsed(&config, &script, Wanted::GrubConfig, readings)
    }

    /// The files that an entry boots.
    pub fn files(&self, entry: &str) -> Result<BootFiles> {
        let readings = self.menu()?;
        let followed = readings.boot(readings.menu().find(entry)?)?;
        if let Some(environment) = &followed.environment {
            eprintln!("tboot-policy: warning: {environment}");
        }
        Ok(BootFiles::read(&followed.boot, &self.places()?)?)
    }

    /// Prints the entries with their places.
    pub fn list(&self) -> Result<()> {
        let readings = self.menu()?;
        for entry in readings.menu().entries() {
            let place = entry.place().unwrap_or_else(|| "-".to_owned());
            let what = match readings.boot(entry) {
                Ok(followed) => format!("tboot and {} modules", followed.boot.modules.len()),
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
