//! SECURITY.md names a test for each attack. A name that no test has any more claims what nobody
//! shows, so it stops `cargo xtask test`.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;

/// Stands behind the beginning of a name.
const CUT: char = '…';
/// Directories without sources of ours.
const NOT_SOURCES: [&str; 3] = ["target", ".git", "corpus"];

/// Is each test that SECURITY.md names there?
///
/// # Errors
/// The first names that no test has.
pub fn check() -> Result<()> {
    let root = workspace::root()?;
    let path = root.join("SECURITY.md");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let named = named(&text);
    ensure!(!named.is_empty(), "SECURITY.md names no tests");
    let functions = functions(&root)?;
    let missing: Vec<&str> = named
        .into_iter()
        .filter(|name| !is_there(name, &functions))
        .collect();
    if !missing.is_empty() {
        bail!(
            "SECURITY.md names tests that are not there: {}",
            missing.join(", ")
        );
    }
    Ok(())
}

/// The names in the table's third column: whole ones, and beginnings with their mark.
fn named(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.starts_with('|'))
        .filter_map(|line| line.split('|').nth(3))
        .flat_map(|column| column.split([' ', ',', ';', ':', '(', ')']))
        .filter(|word| word.ends_with(CUT) || word.matches('_').count() > 3)
        .filter(|word| !word.contains('`'))
        .collect()
}

fn is_there(name: &str, functions: &BTreeSet<String>) -> bool {
    match name.strip_suffix(CUT) {
        Some(beginning) => functions
            .range(beginning.to_owned()..)
            .next()
            .is_some_and(|function| function.starts_with(beginning)),
        None => functions.contains(name),
    }
}

/// All functions of the sources below a directory.
fn functions(root: &Path) -> Result<BTreeSet<String>> {
    let mut functions = BTreeSet::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory);
        for entry in entries.with_context(|| directory.display().to_string())? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir()
                && !path.is_symlink()
                && !NOT_SOURCES.iter().any(|other| name == *other)
            {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                functions.extend(text.lines().filter_map(function).map(str::to_owned));
            }
        }
    }
    Ok(functions)
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let (_, behind) = line.split_once("fn ")?;
    let end = behind.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
    behind.get(..end).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_in_the_third_column_are_found() {
        let text = "| attack a_b_c_d_e | rule | `file` a_test…, taoboot `reseal`: the_whole_name_of_one (unit) |";
        assert_eq!(named(text), ["a_test…", "the_whole_name_of_one"]);
    }

    #[test]
    fn a_name_that_no_test_has_is_missed() {
        let functions = BTreeSet::from(["a_test_of_it".to_owned(), "b".to_owned()]);
        assert!(is_there("a_test…", &functions) && is_there("a_test_of_it", &functions));
        assert!(!is_there("a_test", &functions) && !is_there("another…", &functions));
        assert_eq!(function("    fn a_test_of_it() {"), Some("a_test_of_it"));
    }
}
