//! The modules of a package and the files that they are in; what a path in one of them leads to.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use proc_macro2::TokenTree;

use super::{
    scope::{Mention, Scope, Submodule},
    tokens::{self, without_tests},
};

/// How many names are followed, one to the next, before a path counts as leading nowhere.
const MAX_STEPS: usize = 32;

/// The modules of one crate. The root is the first.
#[derive(Default)]
pub struct Modules {
    all: Vec<Module>,
    /// Files of `#[path]`, with the place that names them.
    pub elsewhere: Vec<Elsewhere>,
}

struct Module {
    file: PathBuf,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    scope: Scope,
}

/// A file that is a module because an attribute says so.
pub struct Elsewhere {
    pub named_in: PathBuf,
    pub line: usize,
    pub file: PathBuf,
}

/// What a path leads to: a module, or an item that is defined in one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    Module(usize),
    Item(usize),
}

/// One file uses something that is defined in another.
#[derive(Clone)]
pub struct Arrow {
    pub from: PathBuf,
    pub to: PathBuf,
    pub line: usize,
    /// As it is written.
    pub path: String,
    /// From a module to one that it is a part of.
    pub is_up: bool,
}

impl Modules {
    /// Reads the crate whose root is `file`.
    pub fn read(file: &Path) -> Result<Self> {
        let mut modules = Self::default();
        let directory = file.parent().unwrap_or(Path::new("")).to_path_buf();
        modules.add(None, file, &directory, &tokens::read(file)?)?;
        Ok(modules)
    }

    /// The files, each once.
    pub fn files(&self) -> BTreeSet<&Path> {
        self.all
            .iter()
            .map(|module| module.file.as_path())
            .collect()
    }

    /// Every use of something that is defined in another file of the crate.
    pub fn arrows(&self) -> Vec<Arrow> {
        let mut arrows = Vec::new();
        for (index, module) in self.all.iter().enumerate() {
            for mention in &module.scope.mentions {
                for definer in self.definers(index, mention) {
                    let Some(to) = self.all.get(definer).map(|module| module.file.as_path()) else {
                        continue;
                    };
                    if to != module.file && !self.passes_on(index, mention, definer) {
                        arrows.push(Arrow {
                            from: module.file.clone(),
                            to: to.to_path_buf(),
                            line: mention.line,
                            path: mention.segments.join("::"),
                            is_up: self.is_up(index, to),
                        });
                    }
                }
            }
        }
        arrows
    }

    /// Adds the module in `file`, whose submodules are in `directory`.
    fn add(
        &mut self,
        parent: Option<usize>,
        file: &Path,
        directory: &Path,
        tokens: &[TokenTree],
    ) -> Result<usize> {
        let mut scope = Scope::read(tokens);
        let submodules = std::mem::take(&mut scope.submodules);
        let index = self.all.len();
        self.all.push(Module {
            file: file.to_path_buf(),
            parent,
            children: BTreeMap::new(),
            scope,
        });
        for submodule in submodules {
            let name = submodule.name.clone();
            let child = self.add_child(index, file, directory, submodule)?;
            if let Some(module) = self.all.get_mut(index) {
                module.children.insert(name, child);
            }
        }
        Ok(index)
    }

    fn add_child(
        &mut self,
        parent: usize,
        file: &Path,
        directory: &Path,
        submodule: Submodule,
    ) -> Result<usize> {
        let below = directory.join(&submodule.name);
        if let Some(content) = submodule.content {
            return self.add(Some(parent), file, &below, &without_tests(content));
        }
        if let Some(path) = &submodule.path {
            let found = file.parent().unwrap_or(directory).join(path);
            let directory = found.parent().unwrap_or(directory).to_path_buf();
            self.elsewhere.push(Elsewhere {
                named_in: file.to_path_buf(),
                line: submodule.line,
                file: found.clone(),
            });
            return self.add(Some(parent), &found, &directory, &tokens::read(&found)?);
        }
        for found in [below.with_extension("rs"), below.join("mod.rs")] {
            if found.is_file() {
                return self.add(Some(parent), &found, &below, &tokens::read(&found)?);
            }
        }
        bail!(
            "{}:{}: no file for the module {}",
            file.display(),
            submodule.line,
            submodule.name
        )
    }

    /// The modules in which what is mentioned is defined. A module alone is defined nowhere: what is
    /// used of it is mentioned elsewhere.
    fn definers(&self, module: usize, mention: &Mention) -> BTreeSet<usize> {
        let mut meanings = BTreeSet::new();
        self.look_up(module, &mention.segments, MAX_STEPS, &mut meanings);
        let definers = meanings.into_iter().filter_map(|meaning| match meaning {
            Meaning::Module(found) => mention.glob.then_some(found),
            Meaning::Item(found) => Some(found),
        });
        definers.collect()
    }

    /// Does a module merely hand on what one of its submodules defines? That is how the parts of a
    /// module are put together: it uses nothing.
    fn passes_on(&self, module: usize, mention: &Mention, definer: usize) -> bool {
        let (Some(here), Some(name)) = (self.all.get(module), &mention.passed_on) else {
            return false;
        };
        !here.scope.words.contains(name) && self.is_below(definer, module)
    }

    /// Is `file` that of a module which this one is a part of?
    fn is_up(&self, module: usize, file: &Path) -> bool {
        let mut next = self.all.get(module);
        while let Some(module) = next {
            if module.file == file {
                return true;
            }
            next = module.parent.and_then(|parent| self.all.get(parent));
        }
        false
    }

    fn is_below(&self, module: usize, ancestor: usize) -> bool {
        let mut next = Some(module);
        while let Some(module) = next {
            if module == ancestor {
                return true;
            }
            next = self.all.get(module).and_then(|module| module.parent);
        }
        false
    }

    /// What `path` means in `module`. A name may mean a module and an item at once.
    fn look_up(
        &self,
        module: usize,
        path: &[String],
        steps: usize,
        meanings: &mut BTreeSet<Meaning>,
    ) {
        let (Some((first, rest)), Some(here)) = (path.split_first(), self.all.get(module)) else {
            return;
        };
        match first.as_str() {
            "crate" => self.continue_in(0, rest, steps, meanings),
            "self" => self.continue_in(module, rest, steps, meanings),
            "super" => {
                if let Some(parent) = here.parent {
                    self.continue_with_super(parent, rest, steps, meanings);
                }
            }
            // A bare word of this module, or the name of another crate.
            name if here.children.contains_key(name) || here.scope.bindings.contains_key(name) => {
                self.continue_in(module, path, steps, meanings);
            }
            _ => {}
        }
    }

    fn continue_with_super(
        &self,
        module: usize,
        path: &[String],
        steps: usize,
        meanings: &mut BTreeSet<Meaning>,
    ) {
        let parent = self.all.get(module).and_then(|module| module.parent);
        match (path.split_first(), parent) {
            (Some((first, rest)), Some(parent)) if first == "super" => {
                self.continue_with_super(parent, rest, steps, meanings);
            }
            _ => self.continue_in(module, path, steps, meanings),
        }
    }

    /// What `path` means of the things in `module`.
    fn continue_in(
        &self,
        module: usize,
        path: &[String],
        steps: usize,
        meanings: &mut BTreeSet<Meaning>,
    ) {
        let (Some(here), Some(steps)) = (self.all.get(module), steps.checked_sub(1)) else {
            return;
        };
        let Some((name, rest)) = path.split_first() else {
            meanings.insert(Meaning::Module(module));
            return;
        };
        let child = here.children.get(name);
        if let Some(child) = child {
            self.continue_in(*child, rest, steps, meanings);
            if !rest.is_empty() {
                return; // a function may have the module's name, but nothing is in a function
            }
        }
        if here.scope.items.contains(name) {
            meanings.insert(Meaning::Item(module));
        } else if let Some(bound) = here.scope.bindings.get(name) {
            // `use serde;` binds a name to itself: another crate.
            if bound.first() != Some(name) || child.is_some() {
                let whole: Vec<String> = bound.iter().chain(rest).cloned().collect();
                self.look_up(module, &whole, steps, meanings);
            }
        } else if child.is_none() {
            self.continue_in_globs(module, path, steps, meanings);
        }
    }

    /// What `path` means of the things that `::*` brings into `module`. What none of them has is
    /// made by a macro here.
    fn continue_in_globs(
        &self,
        module: usize,
        path: &[String],
        steps: usize,
        meanings: &mut BTreeSet<Meaning>,
    ) {
        let Some(here) = self.all.get(module) else {
            return;
        };
        let mut sources = BTreeSet::new();
        for glob in &here.scope.globs {
            self.look_up(module, glob, steps, &mut sources);
        }
        for source in sources {
            match source {
                Meaning::Module(source) if self.has(source, path) => {
                    return self.continue_in(source, path, steps, meanings);
                }
                // What is in an enum.
                Meaning::Module(_) | Meaning::Item(_) => {}
            }
        }
        meanings.insert(Meaning::Item(module));
    }

    fn has(&self, module: usize, path: &[String]) -> bool {
        match (self.all.get(module), path.first()) {
            (Some(module), Some(name)) => {
                module.children.contains_key(name)
                    || module.scope.items.contains(name)
                    || module.scope.bindings.contains_key(name)
            }
            _ => false,
        }
    }
}
