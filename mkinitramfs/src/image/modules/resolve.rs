//! The load order of a module: everything that modules.dep, the soft
//! dependencies and the hidden ones say must come before it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, anyhow, bail};

use super::hidden::hidden_dependencies;
use super::tree::{Found, ModuleTree};

/// Longest chain of dependencies; real ones are below ten. Keeps a hostile
/// modules.dep from overflowing the stack.
const MAX_DEPTH: usize = 64;

/// Resolves modules of one kernel, remembering what it met on the way.
#[derive(Debug)]
pub struct Resolver<'tree> {
    tree: &'tree ModuleTree,
    /// Load order of each resolved module, itself excluded.
    before: BTreeMap<String, Vec<String>>,
    /// Things asked for that are built in.
    builtin: BTreeSet<String>,
    /// Dependencies that only code for some CPUs provides.
    cpu_specific: BTreeSet<String>,
}

impl<'tree> Resolver<'tree> {
    /// A resolver for `tree` that has met nothing.
    #[must_use]
    pub fn new(tree: &'tree ModuleTree) -> Self {
        Self {
            tree,
            before: BTreeMap::new(),
            builtin: BTreeSet::new(),
            cpu_specific: BTreeSet::new(),
        }
    }

    /// Resolves `name`, a module or an alias, and returns the modules it stands
    /// for: empty when it is built in, `None` when it exists nowhere.
    ///
    /// # Errors
    /// modules.dep contradicts itself.
    pub fn add(&mut self, name: &str) -> Result<Option<Vec<String>>> {
        match self.tree.find(name) {
            Found::Nowhere => Ok(None),
            Found::Builtin(name) => {
                self.builtin.insert(name);
                Ok(Some(Vec::new()))
            }
            Found::Modules(names) => {
                for name in &names {
                    self.visit(name, &mut Vec::new())?;
                }
                Ok(Some(names))
            }
        }
    }

    /// The modules to load after `name`: its soft dependencies marked `post:`.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn after(&mut self, name: &str) -> Result<Vec<String>> {
        let mut after = Vec::new();
        let Some(softdep) = self.tree.softdeps.get(name) else {
            return Ok(after);
        };
        for wanted in &softdep.post {
            // A soft dependency that does not exist is none (modprobe's rule too).
            after.extend(self.add(wanted)?.unwrap_or_default());
        }
        Ok(after)
    }

    /// All modules met, each with the modules to load before it, first one first.
    #[must_use]
    pub fn modules(&self) -> &BTreeMap<String, Vec<String>> {
        &self.before
    }

    /// What was asked for and is built in.
    #[must_use]
    pub fn builtin(&self) -> &BTreeSet<String> {
        &self.builtin
    }

    /// Resolved dependencies that only some CPUs can load.
    #[must_use]
    pub fn cpu_specific(&self) -> &BTreeSet<String> {
        &self.cpu_specific
    }

    fn visit(&mut self, name: &str, path: &mut Vec<String>) -> Result<()> {
        if self.before.contains_key(name) {
            return Ok(());
        }
        let directory = self.tree.directory.display();
        let module = self.tree.modules.get(name).ok_or_else(|| {
            anyhow!(
                "{directory}/modules.dep: {} needs {name}, which has no line of its own; run depmod{}",
                path.last().map_or("a module", String::as_str),
                self.tree.skipped_hint(name)
            )
        })?;
        if path.len() >= MAX_DEPTH {
            bail!(
                "{directory}/modules.dep: more than {MAX_DEPTH} modules need each other in a row"
            );
        }
        path.push(name.to_owned());
        let mut before: Vec<String> = Vec::new();
        for need in &module.needs {
            self.put_before(need, &mut before, path)?;
        }
        let soft = self
            .tree
            .softdeps
            .get(name)
            .into_iter()
            .flat_map(|softdep| softdep.pre.iter().map(String::as_str));
        let hidden = hidden_dependencies(name).iter().copied();
        for wanted in soft.chain(hidden) {
            self.put_softly_before(wanted, &mut before, path)?;
        }
        path.pop();
        self.before.insert(name.to_owned(), before);
        Ok(())
    }

    fn put_softly_before(
        &mut self,
        wanted: &str,
        before: &mut Vec<String>,
        path: &mut Vec<String>,
    ) -> Result<()> {
        match self.tree.find(wanted) {
            // A soft dependency that does not exist is none (modprobe's rule too).
            Found::Nowhere => {}
            Found::Builtin(name) => {
                self.builtin.insert(name);
            }
            Found::Modules(names) => {
                for name in names {
                    if self.tree.aliases.is_cpu_specific(&name) {
                        self.visit(&name, &mut Vec::new())?;
                        self.cpu_specific.insert(name);
                    } else {
                        self.put_before(&name, before, path)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn put_before(
        &mut self,
        need: &str,
        before: &mut Vec<String>,
        path: &mut Vec<String>,
    ) -> Result<()> {
        // Soft dependencies may point at each other; the one met first goes first.
        if path.iter().any(|above| above == need) {
            return Ok(());
        }
        // A line from before the module moved into the kernel, as libcrc32c did in 6.15.
        if !self.tree.modules.contains_key(need) && self.tree.builtin.contains(need) {
            self.builtin.insert(need.to_owned());
            return Ok(());
        }
        self.visit(need, path)?;
        let above = self
            .before
            .get(need)
            .cloned()
            .with_context(|| format!("{need} needs itself"))?;
        for name in above.iter().map(String::as_str).chain([need]) {
            if !before.iter().any(|known| known == name) && !path.iter().any(|open| open == name) {
                before.push(name.to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::alias::{parse_aliases, parse_builtin, parse_softdeps};
    use super::super::dep;
    use super::*;

    fn tree(deps: &str, softdeps: &str, aliases: &str, builtin: &str) -> ModuleTree {
        ModuleTree {
            modules: dep::parse(deps, std::path::Path::new("/m")).modules,
            softdeps: parse_softdeps(softdeps),
            aliases: parse_aliases(aliases).into(),
            builtin: parse_builtin(builtin),
            ..ModuleTree::default()
        }
    }

    #[test]
    fn hard_soft_and_hidden_dependencies_come_first_in_load_order() {
        let tree = tree(
            "k/ext4.ko: k/jbd2.ko k/crc16.ko\nk/jbd2.ko:\nk/crc16.ko:\nk/crc32c_generic.ko:\nk/crc32c-intel.ko:\n",
            "softdep ext4 pre: crypto-crc32c\n",
            "alias crypto-crc32c crc32c_generic\nalias crypto-crc32c crc32c_intel\nalias cpu:type:x86* crc32c_intel\n",
            "",
        );
        let mut resolver = Resolver::new(&tree);
        assert_eq!(resolver.add("ext4").unwrap(), Some(vec!["ext4".to_owned()]));
        // jbd2's own hidden dependency on crc32c puts it before jbd2.
        assert_eq!(
            resolver.modules()["ext4"],
            ["crc16", "crc32c_generic", "jbd2"]
        );
        assert!(resolver.cpu_specific().is_empty());
    }

    #[test]
    fn a_dependency_that_only_some_cpus_can_load_is_kept_apart() {
        let tree = tree(
            "k/fs.ko:\nk/x86.ko:\n",
            "softdep fs pre: sum\n",
            "alias sum x86\nalias cpu:type:x86* x86\n",
            "",
        );
        let mut resolver = Resolver::new(&tree);
        resolver.add("fs").unwrap();
        assert!(resolver.modules()["fs"].is_empty());
        assert!(resolver.cpu_specific().contains("x86"));
    }

    #[test]
    fn built_in_and_missing_names_are_told_apart() {
        let tree = tree("k/a.ko:\n", "", "", "kernel/fs/ext4.ko\n");
        let mut resolver = Resolver::new(&tree);
        assert_eq!(resolver.add("ext4").unwrap(), Some(vec![]));
        assert_eq!(resolver.add("xfs").unwrap(), None);
        assert!(resolver.builtin().contains("ext4"));
    }

    #[test]
    fn a_need_that_moved_into_the_kernel_is_no_gap() {
        let tree = tree(
            "k/xfs.ko: k/libcrc32c.ko\n",
            "",
            "",
            "kernel/lib/libcrc32c.ko\n",
        );
        let mut resolver = Resolver::new(&tree);
        resolver.add("xfs").unwrap();
        assert!(resolver.modules()["xfs"].is_empty());
        assert!(resolver.builtin().contains("libcrc32c"));
    }

    #[test]
    fn circles_end_and_gaps_are_named() {
        let circle = tree(
            "k/a.ko: k/b.ko\nk/b.ko: k/a.ko\n",
            "softdep a pre: b\n",
            "",
            "",
        );
        let mut resolver = Resolver::new(&circle);
        resolver.add("a").unwrap();
        assert_eq!(resolver.modules()["a"], ["b"]);
        let gap = tree("k/a.ko: k/b.ko\n", "", "", "");
        let error = Resolver::new(&gap).add("a").unwrap_err().to_string();
        assert!(error.contains("a needs b"), "{error}");
    }

    #[test]
    fn a_chain_without_end_is_refused() {
        use std::fmt::Write;
        let mut deps = String::new();
        for i in 0..10_000 {
            writeln!(deps, "k/m{i}.ko: k/m{}.ko", i + 1).unwrap();
        }
        let chain = tree(&deps, "", "", "");
        let error = Resolver::new(&chain).add("m0").unwrap_err().to_string();
        assert!(error.contains("in a row"), "{error}");
    }
}
