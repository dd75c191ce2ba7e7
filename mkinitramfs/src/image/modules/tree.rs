//! The directory /lib/modules/VERSION as one value: every file of it that says
//! something about a module, parsed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use super::alias::{self, Alias, SoftDep};
use super::alias_index::AliasIndex;
use super::dep::{self, Module, Skipped};
use super::name::{alias_matches, nearest, normalize};

/// What a name stands for in one kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// These loadable modules: one by name, or all that an alias names.
    Modules(Vec<String>),
    /// Part of the kernel itself, under this name.
    Builtin(String),
    /// Nothing.
    Nowhere,
}

/// The modules of one kernel.
#[derive(Debug, Default)]
pub struct ModuleTree {
    /// The directory that holds modules.dep.
    pub directory: PathBuf,
    /// Loadable modules by name.
    pub modules: BTreeMap<String, Module>,
    /// Lines of modules.dep that make no sense.
    pub skipped: Vec<Skipped>,
    /// Names of what is built in.
    pub builtin: BTreeSet<String>,
    /// Aliases of loadable modules.
    pub aliases: AliasIndex,
    /// Aliases of what is built in.
    pub builtin_aliases: Vec<Alias>,
    /// Soft dependencies by module name.
    pub softdeps: BTreeMap<String, SoftDep>,
}

impl ModuleTree {
    /// Reads the directory.
    ///
    /// # Errors
    /// The directory, modules.dep, modules.alias or modules.builtin is missing or unreadable.
    pub fn read(directory: &Path, kernel: &str) -> Result<Self> {
        if !directory.is_dir() {
            return Err(anyhow!(
                "{} is not there: install the modules of kernel {kernel}, or name another \
                 kernel with --kernel or another directory with --modules-dir",
                directory.display()
            ));
        }
        let text = |name: &str| -> Result<Option<String>> {
            let path = directory.join(name);
            match fs::read(&path) {
                Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
            }
        };
        let required = |name: &str, remedy: &str| -> Result<String> {
            text(name)?
                .ok_or_else(|| anyhow!("{} is missing: {remedy}", directory.join(name).display()))
        };
        let deps = required("modules.dep", &format!("run depmod {kernel}"))?;
        let deps = dep::parse(&deps, directory);
        // Without it no device finds its driver, and the image would find no disk.
        let aliases = required("modules.alias", &format!("run depmod {kernel}"))?;
        let mut builtin = alias::parse_builtin(&required(
            "modules.builtin",
            "it comes with the kernel's modules and says which are built in; install them again",
        )?);
        // Kernels before 5.2 have none.
        let modinfo = text("modules.builtin.modinfo")?.unwrap_or_default();
        let (names, builtin_aliases) = alias::parse_builtin_modinfo(modinfo.as_bytes());
        builtin.extend(names);
        Ok(Self {
            directory: directory.to_path_buf(),
            modules: deps.modules,
            skipped: deps.skipped,
            builtin,
            aliases: alias::parse_aliases(&aliases).into(),
            builtin_aliases,
            // depmod writes none where no module has soft dependencies.
            softdeps: alias::parse_softdeps(&text("modules.softdep")?.unwrap_or_default()),
        })
    }

    /// What `name`, a module's name or an alias such as `crypto-aes`, stands for.
    #[must_use]
    pub fn find(&self, name: &str) -> Found {
        let normal = normalize(name);
        if self.modules.contains_key(&normal) {
            return Found::Modules(vec![normal]);
        }
        if self.builtin.contains(&normal) {
            return Found::Builtin(normal);
        }
        let found = self.matching(name);
        // Code for one kind of CPU does not stand for the thing itself where
        // there is code for every CPU.
        let portable: Vec<String> = found
            .iter()
            .filter(|name| !self.aliases.is_cpu_specific(name))
            .cloned()
            .collect();
        if !portable.is_empty() {
            return Found::Modules(portable);
        }
        if let Some(alias) = self
            .builtin_aliases
            .iter()
            .find(|alias| alias_matches(&alias.pattern, name))
        {
            return Found::Builtin(alias.name.clone());
        }
        if found.is_empty() {
            Found::Nowhere
        } else {
            Found::Modules(found)
        }
    }

    /// Loadable modules with an alias that matches `modalias`, sorted.
    #[must_use]
    pub fn matching(&self, modalias: &str) -> Vec<String> {
        self.aliases
            .matching(modalias)
            .into_iter()
            .filter(|name| self.modules.contains_key(*name))
            .map(str::to_owned)
            .collect()
    }

    /// Says whether a line of modules.dep that was passed over may be the missing one.
    #[must_use]
    pub fn skipped_hint(&self, name: &str) -> String {
        let about = |skipped: &&Skipped| normalize(&skipped.path).contains(&normalize(name));
        match self.skipped.iter().find(about) {
            Some(skipped) => format!(
                "; of {}, {skipped}",
                self.directory.join("modules.dep").display()
            ),
            None => String::new(),
        }
    }

    /// The error for a name that stands for nothing, with the nearest names.
    #[must_use]
    pub fn nowhere(&self, name: &str, why: &str) -> anyhow::Error {
        let normal = normalize(name);
        let near = nearest(
            &normal,
            self.modules.keys().chain(&self.builtin).map(String::as_str),
        );
        let hint = if near.is_empty() {
            String::new()
        } else {
            format!("; the nearest names are {}", near.join(", "))
        };
        let skipped = self.skipped_hint(name);
        anyhow!(
            "{why}: {name} is neither a module nor built in, looked for in {}{hint}{skipped}",
            self.directory.display()
        )
    }
}
