//! The module plan: which modules an image holds and when the agent loads them,
//! and its text form `/etc/taoboot.modules`.
//!
//! ```text
//! # taoboot module plan 1
//! kernel VERSION
//! module NAME PATH [DEP ...]   PATH below /lib/modules/VERSION; DEPs in load order
//! builtin NAME                 wanted, and part of the kernel itself
//! optional NAME                load at start; may fail (code for some CPUs)
//! always NAME                  load at start, in this order, after the optional ones
//! alias PATTERN NAME           load NAME when a device's modalias matches
//! ```

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::alias::Alias;
use super::file::image_path;
use super::resolve::Resolver;
use super::tree::ModuleTree;
use super::wanted::{ACCELERATORS, BASE, DEFAULT_ROOT_FILE_SYSTEM, ROOT_FILE_SYSTEMS, generic};

/// Which drivers an image gets beside the base set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drivers {
    /// None but those named.
    Minimal,
    /// All that a root disk, a TPM or a keyboard may need.
    Generic,
    /// Those that this machine's devices ask for, by modalias; and the root file
    /// system in use, when it is known.
    Host {
        /// modalias strings of all devices.
        modaliases: BTreeSet<String>,
        /// modalias strings of the devices between the CPU and each block device:
        /// their drivers are taken even when no list names them.
        storage: BTreeSet<String>,
        /// Type of the root file system.
        root: Option<String>,
    },
}

/// The modules of an image.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Kernel version.
    pub kernel: String,
    /// Name to (file in the kernel's directory, names to load before it).
    pub modules: BTreeMap<String, (String, Vec<String>)>,
    /// Wanted and built in.
    pub builtin: BTreeSet<String>,
    /// To load at start; may fail.
    pub optional: Vec<String>,
    /// To load at start, in order.
    pub always: Vec<String>,
    /// To load for a device.
    pub aliases: BTreeSet<Alias>,
}

impl Plan {
    /// Chooses the modules: the base set, `named` (from `--module`) and `drivers`.
    ///
    /// # Errors
    /// A named or required module exists nowhere, or modules.dep contradicts itself.
    pub fn new(
        tree: &ModuleTree,
        kernel: &str,
        named: &[String],
        drivers: &Drivers,
    ) -> Result<Self> {
        let mut resolver = Resolver::new(tree);
        let mut start = Start::default();
        for base in BASE {
            match resolver.add(base.name)? {
                Some(names) => start.load(&mut resolver, names)?,
                None if base.required => {
                    return Err(tree.nowhere(base.name, "every image needs it for encrypted disks"));
                }
                None => {}
            }
        }
        for name in named {
            let names = resolver
                .add(name)?
                .ok_or_else(|| tree.nowhere(name, &format!("--module {name}")))?;
            start.load(&mut resolver, names)?;
        }
        let root = root_file_system(named, drivers);
        if let Some(root) = &root {
            let names = resolver.add(root)?.ok_or_else(|| {
                tree.nowhere(
                    root,
                    "it is the root file system unless --module names another",
                )
            })?;
            start.load(&mut resolver, names)?;
        }
        let aliases = match drivers {
            Drivers::Minimal => BTreeSet::new(),
            Drivers::Generic => by_alias(tree, &mut resolver, &generic_set(tree))?,
            Drivers::Host {
                modaliases,
                storage,
                ..
            } => {
                let known = generic_set(tree);
                let mut names: BTreeSet<String> = modaliases
                    .iter()
                    .flat_map(|modalias| tree.matching(modalias))
                    .filter(|name| known.contains(name))
                    .collect();
                names.extend(storage.iter().flat_map(|modalias| tree.matching(modalias)));
                by_alias(tree, &mut resolver, &names)?
            }
        };
        for (accelerator, speeds_up) in ACCELERATORS {
            let wanted = speeds_up.iter().any(|name| {
                start.always.iter().any(|known| known == name) || resolver.builtin().contains(*name)
            });
            if wanted && tree.modules.contains_key(*accelerator) {
                resolver.add(accelerator)?;
                start.optional.push((*accelerator).to_owned());
            }
        }
        start
            .optional
            .extend(resolver.cpu_specific().iter().cloned());
        Ok(start.into_plan(tree, kernel, &resolver, aliases))
    }

    /// The text of `/etc/taoboot.modules`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("# taoboot module plan 1\nkernel {}\n", self.kernel);
        for (name, (path, before)) in &self.modules {
            text.push_str(&format!("module {name} {}", image_path(path)));
            for need in before {
                text.push(' ');
                text.push_str(need);
            }
            text.push('\n');
        }
        let mut lines = |word: &str, names: &mut dyn Iterator<Item = &String>| {
            for name in names {
                text.push_str(&format!("{word} {name}\n"));
            }
        };
        lines("builtin", &mut self.builtin.iter());
        lines("optional", &mut self.optional.iter());
        lines("always", &mut self.always.iter());
        for alias in &self.aliases {
            text.push_str(&format!("alias {} {}\n", alias.pattern, alias.name));
        }
        text
    }
}

/// What is loaded at start, while it is being collected.
#[derive(Debug, Default)]
struct Start {
    always: Vec<String>,
    optional: Vec<String>,
}

impl Start {
    fn load(&mut self, resolver: &mut Resolver<'_>, names: Vec<String>) -> Result<()> {
        for name in names {
            let after = resolver.after(&name)?;
            self.always.push(name);
            self.always.extend(after);
        }
        Ok(())
    }

    fn into_plan(
        self,
        tree: &ModuleTree,
        kernel: &str,
        resolver: &Resolver<'_>,
        aliases: BTreeSet<Alias>,
    ) -> Plan {
        let mut seen = BTreeSet::new();
        let mut plan = Plan {
            kernel: kernel.to_owned(),
            aliases,
            ..Plan::default()
        };
        for name in self.optional.into_iter().chain(self.always) {
            if !seen.insert(name.clone()) {
                continue;
            }
            if tree.aliases.is_cpu_specific(&name) {
                plan.optional.push(name);
            } else {
                plan.always.push(name);
            }
        }
        for (name, before) in resolver.modules() {
            if let Some(module) = tree.modules.get(name) {
                plan.modules
                    .insert(name.clone(), (module.path.clone(), before.clone()));
            }
        }
        plan.builtin.clone_from(resolver.builtin());
        plan
    }
}

fn root_file_system(named: &[String], drivers: &Drivers) -> Option<String> {
    if named
        .iter()
        .any(|name| ROOT_FILE_SYSTEMS.contains(&name.as_str()))
    {
        return None;
    }
    match drivers {
        Drivers::Host {
            root: Some(root), ..
        } => Some(root.clone()),
        _ => Some(DEFAULT_ROOT_FILE_SYSTEM.to_owned()),
    }
}

/// The modules of the generic list that this kernel has, by name.
fn generic_set(tree: &ModuleTree) -> BTreeSet<String> {
    generic()
        .filter(|name| tree.modules.contains_key(*name) || tree.builtin.contains(*name))
        .map(str::to_owned)
        .collect()
}

/// Adds `names` and gives the aliases by which the agent finds them. A module
/// after another (`post:`) gets that one's aliases too.
fn by_alias(
    tree: &ModuleTree,
    resolver: &mut Resolver<'_>,
    names: &BTreeSet<String>,
) -> Result<BTreeSet<Alias>> {
    let mut aliases = BTreeSet::new();
    for name in names {
        // What exists nowhere has no drivers.
        for driver in resolver.add(name)?.unwrap_or_default() {
            let after = resolver.after(&driver)?;
            let own = tree
                .aliases
                .iter()
                .filter(|alias| alias.name == driver && is_device_alias(&alias.pattern));
            for alias in own {
                for name in after.iter().chain([&driver]) {
                    aliases.insert(Alias {
                        pattern: alias.pattern.clone(),
                        name: name.clone(),
                    });
                }
            }
        }
    }
    Ok(aliases)
}

/// Whether the agent can meet `pattern`: as a device's modalias, which is
/// `bus:...`, or as the `fs-TYPE` of a file system it is about to mount.
pub(super) fn is_device_alias(pattern: &str) -> bool {
    // "cpu:" is dealt with as optional; "devname:" and "of:" (device trees) never
    // are a modalias on these machines.
    let bus = pattern.split_once(':').map(|(bus, _)| bus);
    pattern.starts_with("fs-") || bus.is_some_and(|bus| !matches!(bus, "cpu" | "devname" | "of"))
}
