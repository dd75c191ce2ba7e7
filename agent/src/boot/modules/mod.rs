//! Kernel modules, as planned when the image was built.
//!
//! The image builder resolved dependencies, soft dependencies and hidden ones; the plan
//! says what to load and in which order. `/etc/taoboot.modules`, a line an entry:
//! `kernel VERSION`, `module NAME PATH [DEP ...]` (DEPs in load order), `builtin NAME`,
//! `always NAME`, `optional NAME` (may fail: CPU-specific), `alias PATTERN NAME`.

mod glob;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::CString,
    fs::File,
    path::{Path, PathBuf},
};

use nix::kmod::{ModuleInitFlags, finit_module};

pub(super) use glob::glob_match;

/// Why modules cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModulesError {
    /// The plan is missing or is not a plan.
    #[error(
        "module plan /etc/taoboot.modules: {0}: build the image again with `cargo xtask image`"
    )]
    Plan(String),
    /// The image belongs to another kernel.
    #[error(
        "this image was built for kernel {planned}, but {running} is running: boot the pair that was built together"
    )]
    WrongKernel {
        /// The kernel the image was built for.
        planned: String,
        /// The kernel that runs.
        running: String,
    },
    /// A file of the plan is missing or unreadable.
    #[error("module {name}: {path}: {source}")]
    File {
        /// The module.
        name: String,
        /// Its file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Parameters that cannot be passed.
    #[error("module {name}: its parameters on the command line have a NUL byte")]
    Parameters {
        /// The module.
        name: String,
    },
    /// The kernel refused it.
    #[error("module {name}: the kernel refused it: {source}")]
    Refused {
        /// The module.
        name: String,
        /// The system's reason.
        source: nix::Error,
    },
}

/// The plan that came with the image.
#[derive(Debug, Default)]
pub struct ModulePlan {
    kernel: String,
    modules: BTreeMap<String, Planned>,
    start: Vec<(String, bool)>,
    aliases: Vec<(String, String)>,
}

#[derive(Debug)]
struct Planned {
    path: String,
    needs: Vec<String>,
}

impl ModulePlan {
    /// Reads a plan.
    pub fn parse(text: &str) -> Result<Self, ModulesError> {
        let mut plan = Self::default();
        for (number, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["kernel", version] => plan.kernel = (*version).into(),
                ["module", name, path, needs @ ..] => {
                    let needs = needs.iter().map(|name| (*name).into()).collect();
                    plan.modules.insert(
                        (*name).into(),
                        Planned {
                            path: (*path).into(),
                            needs,
                        },
                    );
                }
                ["builtin", _] => {}
                ["always", name] => plan.start.push(((*name).into(), false)),
                ["optional", name] => plan.start.push(((*name).into(), true)),
                ["alias", pattern, name] => plan.aliases.push(((*pattern).into(), (*name).into())),
                _ => {
                    return Err(ModulesError::Plan(format!(
                        "line {}: {line:?} does not begin with kernel, module, builtin, always, optional or alias",
                        number.saturating_add(1)
                    )));
                }
            }
        }
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), ModulesError> {
        if self.kernel.is_empty() {
            return Err(ModulesError::Plan("no `kernel` line".into()));
        }
        let needed = self.modules.values().flat_map(|module| &module.needs);
        let started = self.start.iter().map(|(name, _)| name);
        let aliased = self.aliases.iter().map(|(_, name)| name);
        for name in needed.chain(started).chain(aliased) {
            if !self.modules.contains_key(name) {
                return Err(ModulesError::Plan(format!(
                    "{name} is used but there is no `module {name}` line"
                )));
            }
        }
        Ok(())
    }
}

/// Loads what the plan says, each module once.
pub struct Loader {
    plan: ModulePlan,
    directory: PathBuf,
    parameters: Vec<(String, String)>,
    done: BTreeSet<String>,
}

impl Loader {
    /// A loader for the plan in `etc`, modules in `modules`; `parameters` as on the command line.
    pub fn new(
        plan: ModulePlan,
        modules: &Path,
        parameters: Vec<(String, String)>,
        running: &str,
    ) -> Result<Self, ModulesError> {
        if plan.kernel != running {
            return Err(ModulesError::WrongKernel {
                planned: plan.kernel,
                running: running.into(),
            });
        }
        let directory = modules.join(&plan.kernel);
        Ok(Self {
            plan,
            directory,
            parameters,
            done: BTreeSet::new(),
        })
    }

    /// Loads what is wanted at the start. Returns how many modules are loaded now.
    pub fn load_start(&mut self) -> Result<usize, ModulesError> {
        let start = std::mem::take(&mut self.plan.start);
        for (name, optional) in &start {
            match self.load(name) {
                // Made for another CPU; the generic one is in the plan as well.
                Err(ModulesError::Refused { .. }) if *optional => {}
                other => other?,
            }
        }
        Ok(self.done.len())
    }

    /// Loads every module that claims this device.
    pub fn load_for(&mut self, modalias: &str) -> Result<(), ModulesError> {
        let names: Vec<String> = self
            .plan
            .aliases
            .iter()
            .filter(|(pattern, name)| !self.done.contains(name) && glob_match(pattern, modalias))
            .map(|(_, name)| name.clone())
            .collect();
        for name in names {
            match self.load(&name) {
                // A driver that does not want this very device: not our failure.
                Err(ModulesError::Refused { .. }) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Loads a module by its name, if the image has it; what is built in needs none.
    pub fn load_named(&mut self, name: &str) -> Result<(), ModulesError> {
        self.load(name)
    }

    /// Are there drivers that wait for their device to show up?
    pub fn has_aliases(&self) -> bool {
        !self.plan.aliases.is_empty()
    }

    fn load(&mut self, name: &str) -> Result<(), ModulesError> {
        let Some(planned) = self.plan.modules.get(name) else {
            return Ok(());
        };
        for need in planned.needs.clone().iter().chain([&name.to_string()]) {
            if self.done.insert(need.clone()) {
                self.insert(need)?;
            }
        }
        Ok(())
    }

    fn insert(&self, name: &str) -> Result<(), ModulesError> {
        let Some(planned) = self.plan.modules.get(name) else {
            return Ok(());
        };
        let path = self.directory.join(&planned.path);
        let file = File::open(&path).map_err(|source| ModulesError::File {
            name: name.into(),
            path: path.display().to_string(),
            source,
        })?;
        let words: Vec<&str> = self
            .parameters
            .iter()
            .filter(|(module, _)| module == name)
            .map(|(_, word)| word.as_str())
            .collect();
        let parameters = CString::new(words.join(" "))
            .map_err(|_| ModulesError::Parameters { name: name.into() })?;
        match finit_module(&file, &parameters, ModuleInitFlags::empty()) {
            Ok(()) | Err(nix::Error::EEXIST) => Ok(()),
            Err(source) => Err(ModulesError::Refused {
                name: name.into(),
                source,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "# taoboot module plan 1\nkernel 6.1.0-1\nmodule virtio kernel/virtio.ko\n\
        module virtio_blk kernel/virtio_blk.ko virtio\nbuiltin ext4\nalways virtio_blk\noptional virtio\n\
        alias virtio:d00000002v* virtio_blk\n";

    #[test]
    fn a_plan_is_read() {
        let plan = ModulePlan::parse(PLAN).unwrap();
        assert_eq!(plan.modules["virtio_blk"].needs, ["virtio"]);
        assert_eq!(
            plan.start,
            [
                ("virtio_blk".to_string(), false),
                ("virtio".to_string(), true)
            ]
        );
    }

    #[test]
    fn a_plan_that_names_what_is_not_there_is_refused() {
        for bad in [
            "",
            "kernel 1\nalways x\n",
            "kernel 1\nmodule a p b\n",
            "kernel 1\nalias p x\n",
            "kernel 1\nload x\n",
        ] {
            assert!(ModulePlan::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_image_for_another_kernel_is_refused_by_name() {
        let plan = ModulePlan::parse(PLAN).unwrap();
        let error = Loader::new(plan, Path::new("/lib/modules"), vec![], "6.1.0-2")
            .err()
            .unwrap();
        assert!(
            error
                .to_string()
                .contains("built for kernel 6.1.0-1, but 6.1.0-2 is running")
        );
    }

    #[test]
    fn a_planned_module_without_its_file_is_named() {
        let plan = ModulePlan::parse(PLAN).unwrap();
        let empty = tempfile::tempdir().unwrap();
        let mut loader = Loader::new(plan, empty.path(), vec![], "6.1.0-1").unwrap();
        let error = loader.load_start().unwrap_err().to_string();
        assert!(error.starts_with("module virtio:"), "{error}");
    }
}
