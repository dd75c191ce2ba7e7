//! `modules.dep`: where each module's file is and what must be loaded before it
//! (modules.dep(5)).

use std::collections::BTreeMap;

use thiserror::Error;

use super::name::module_name;

/// One loadable module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// File, relative to the folder of modules.dep; may end in .ko.xz and the like.
    pub path: String,
    /// Modules to load before it, first one first.
    pub needs: Vec<String>,
}

/// A line of `modules.dep` that makes no sense.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("line {line}: {reason}")]
pub struct DepError {
    /// Line number, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// Parses the text of `modules.dep`. The first of two lines for one name counts.
///
/// # Errors
/// A line without a colon, or a path that leaves the folder.
pub fn parse(text: &str) -> Result<BTreeMap<String, Module>, DepError> {
    let mut modules = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let fail = |reason: String| DepError {
            line: index.saturating_add(1),
            reason,
        };
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (path, needs) = line
            .split_once(':')
            .ok_or_else(|| fail("no colon after the module's path".into()))?;
        if path.starts_with('/') || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(fail(format!(
                "{path:?} is not a path below this folder; run depmod again"
            )));
        }
        if path.contains(char::is_whitespace) {
            return Err(fail(format!("{path:?} holds white space")));
        }
        let name = module_name(path)
            .ok_or_else(|| fail(format!("{path:?} is not the name of a .ko file")))?;
        // depmod writes the module that must be loaded first last.
        let mut needed = Vec::new();
        for path in needs.split_whitespace().rev() {
            needed.push(
                module_name(path)
                    .ok_or_else(|| fail(format!("{path:?} is not the name of a .ko file")))?,
            );
        }
        modules.entry(name).or_insert(Module {
            path: path.to_owned(),
            needs: needed,
        });
    }
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn needs_come_in_load_order() {
        let modules = parse(
            "kernel/a-b.ko.xz: kernel/c.ko kernel/d.ko\nkernel/c.ko: kernel/d.ko\nkernel/d.ko:\n",
        )
        .unwrap();
        let module = modules.get("a_b").unwrap();
        assert_eq!(module.path, "kernel/a-b.ko.xz");
        assert_eq!(module.needs, ["d", "c"]);
    }

    #[test]
    fn two_dots_within_a_name_leave_no_folder() {
        let modules = parse("kernel/a..ko:\n").unwrap();
        assert_eq!(modules.get("a.").unwrap().path, "kernel/a..ko");
    }

    #[test]
    fn paths_out_of_the_folder_are_refused_with_their_line() {
        for line in [
            "/etc/x.ko:",
            "../x.ko:",
            "kernel//x.ko:",
            "kernel/x.ko",
            "kernel/x.txt:",
        ] {
            let error = parse(&format!("kernel/ok.ko:\n{line}\n")).unwrap_err();
            assert_eq!(error.line, 2, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "(?s).{0,400}|([a-z./:-]{0,20}(\\.ko)?:?[ \n]){0,20}") {
            if let Ok(modules) = parse(&text) {
                for module in modules.values() {
                    prop_assert!(Path::new(&module.path)
                        .components()
                        .all(|part| matches!(part, Component::Normal(_))));
                }
            }
        }
    }
}
