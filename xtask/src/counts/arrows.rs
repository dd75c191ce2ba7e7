//! Arrows between packages: which one uses which, and what is in a manifest although nothing names it.

use std::{collections::BTreeSet, path::Path};

use super::{
    allowed::{ARROWS, NAMED_OTHERWISE, ORACLE, SHARED_BY_TESTS, USED_BY_NOBODY},
    package::{Dependency, Kind, Package},
};

/// Arrows that the table does not have.
pub fn not_allowed(package: &Package, root: &Path) -> Vec<String> {
    let is_test = package.is_below_tests(root);
    let allowed = ARROWS.iter().find(|(name, _)| *name == package.name);
    let ours = package
        .dependencies
        .iter()
        .filter(|used| used.directory.is_some());
    let wrong = ours.filter(|used| {
        let is_listed = allowed.is_some_and(|(_, list)| list.contains(&used.name.as_str()));
        let may_use = match used.kind {
            _ if used.name == USED_BY_NOBODY => false,
            Kind::Normal | Kind::Build if package.name == ORACLE => false,
            Kind::Tests if package.name == ORACLE => used.is_below_tests(root),
            _ if is_test => true,
            Kind::Tests => {
                SHARED_BY_TESTS.contains(&used.name.as_str()) || !used.is_below_tests(root)
            }
            Kind::Normal | Kind::Build => is_listed,
        };
        !may_use
    });
    wrong
        .map(|used| {
            let tests = if used.kind == Kind::Tests {
                " (in its tests)"
            } else {
                ""
            };
            format!("{} -> {}{tests}", package.name, used.name)
        })
        .collect()
}

/// Dependencies that no source file of the package names. `words` are the words of its files.
pub fn not_named(package: &Package, words: &BTreeSet<String>) -> Vec<String> {
    let unnamed = package
        .dependencies
        .iter()
        .filter(|used| !words.contains(library(used)));
    unnamed
        .map(|used| format!("{} -> {}", package.name, used.name))
        .collect()
}

/// The name of its library in source files.
fn library(used: &Dependency) -> &str {
    let other = NAMED_OTHERWISE.iter().find(|(name, _)| *name == used.name);
    other.map_or(&used.crate_name, |(_, library)| library)
}
