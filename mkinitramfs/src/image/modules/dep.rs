//! `modules.dep`: where each module's file is and what must be loaded before it
//! (modules.dep(5)).

use std::{collections::BTreeMap, fmt, path::Path};

use super::name::module_name;

/// One loadable module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// File, relative to the directory of modules.dep; may end in .ko.xz and the like.
    pub path: String,
    /// Modules to load before it, first one first.
    pub needs: Vec<String>,
}

/// A line of `modules.dep` that was passed over: as long as nothing needs its module, the
/// image is as good without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Line number, counted from 1.
    pub line: usize,
    /// The path that the line is about, as far as it can be told.
    pub path: String,
    /// What is wrong.
    pub reason: SkipReason,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, path, reason } = self;
        write!(f, "line {line} ({path:?}) was passed over: {reason}")
    }
}

/// What `modules.dep` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Deps {
    /// Modules by name. The first of two lines for one name counts.
    pub modules: BTreeMap<String, Module>,
    /// Lines that make no sense.
    pub skipped: Vec<Skipped>,
}

/// Parses the text of `modules.dep`. Absolute paths are taken where they lie below `directory`, the
/// directory of modules.dep; some distributions' depmod writes them.
pub fn parse(text: &str, directory: &Path) -> Deps {
    let mut deps = Deps::default();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match module(line, directory) {
            Ok((name, module)) => {
                deps.modules.entry(name).or_insert(module);
            }
            Err(reason) => deps.skipped.push(Skipped {
                line: index.saturating_add(1),
                path: shown(line),
                reason,
            }),
        }
    }
    deps
}

/// Why a line is passed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// No colon.
    #[error("it has no colon behind a module's path")]
    NoColon,
    /// Another directory's file.
    #[error("that is not a path below this directory")]
    Elsewhere,
    /// White space in the path.
    #[error("the path contains white space")]
    WhiteSpace,
    /// Another file than a module.
    #[error("{0:?} is not a module file (.ko, or that with .gz, .xz, .zst or .lzma)")]
    NotAModule(String),
}

/// One line: a module's name, its file and what it needs.
fn module(line: &str, directory: &Path) -> Result<(String, Module), SkipReason> {
    let (path, needs) = line.split_once(':').ok_or(SkipReason::NoColon)?;
    let path = below(path, directory).ok_or(SkipReason::Elsewhere)?;
    if path.contains(char::is_whitespace) {
        return Err(SkipReason::WhiteSpace);
    }
    let name_of =
        |path: &str| module_name(path).ok_or_else(|| SkipReason::NotAModule(path.to_owned()));
    // depmod writes the module that must be loaded first last.
    let needs = needs.split_whitespace().rev().map(name_of);
    let module = Module {
        path: path.to_owned(),
        needs: needs.collect::<Result<_, _>>()?,
    };
    Ok((name_of(path)?, module))
}

/// The path relative to the directory; `None` when it leaves it.
fn below<'a>(path: &'a str, directory: &Path) -> Option<&'a str> {
    let relative = match path.strip_prefix('/') {
        None => path,
        Some(_) => Path::new(path).strip_prefix(directory).ok()?.to_str()?,
    };
    let clean = |part: &str| !matches!(part, "" | "." | "..");
    relative.split('/').all(clean).then_some(relative)
}

/// The beginning of a line, for a sentence about it.
fn shown(line: &str) -> String {
    const LONGEST: usize = 80;
    line.split(':')
        .next()
        .unwrap_or(line)
        .chars()
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Deps {
        super::parse(text, Path::new("/lib/modules/6.1"))
    }

    #[test]
    fn needs_come_in_load_order() {
        let deps = parse(
            "kernel/a-b.ko.xz: kernel/c.ko kernel/d.ko\nkernel/c.ko: kernel/d.ko\nkernel/d.ko:\n",
        );
        let module = deps.modules.get("a_b").unwrap();
        assert_eq!(module.path, "kernel/a-b.ko.xz");
        assert_eq!(module.needs, ["d", "c"]);
    }

    #[test]
    fn two_dots_within_a_name_leave_no_directory() {
        let deps = parse("kernel/a..ko:\n");
        assert_eq!(deps.modules.get("a.").unwrap().path, "kernel/a..ko");
    }

    #[test]
    fn an_odd_line_is_passed_over_with_its_number_and_the_others_count() {
        for line in [
            "/etc/x.ko:",
            "/lib/modules/6.1/../x.ko:",
            "/lib/modules/6.10/x.ko:",
            "../x.ko:",
            "kernel//x.ko:",
            "kernel/x.ko",
            "kernel/x.txt:",
            "kernel/a name.ko:",
            "kernel/x.ko: kernel/y.ko.lz4",
        ] {
            let deps = parse(&format!("kernel/ok.ko:\n{line}\nkernel/z.ko:\n"));
            assert_eq!(
                deps.modules.keys().collect::<Vec<_>>(),
                ["ok", "z"],
                "{line}"
            );
            assert_eq!(deps.skipped.len(), 1, "{line}");
            assert_eq!(deps.skipped[0].line, 2, "{line}");
        }
    }

    #[test]
    fn absolute_paths_below_the_directory_are_taken() {
        let deps = parse("/lib/modules/6.1/kernel/a.ko.lzma: /lib/modules/6.1/kernel/b.ko\n");
        let module = deps.modules.get("a").unwrap();
        assert_eq!(module.path, "kernel/a.ko.lzma");
        assert_eq!(module.needs, ["b"]);
    }

    proptest! {
        #[test]
        fn no_text_leads_out_of_the_directory(text in "(?s).{0,400}|([a-z./:-]{0,20}(\\.ko)?:?[ \n]){0,20}") {
            for module in parse(&text).modules.values() {
                prop_assert!(Path::new(&module.path)
                    .components()
                    .all(|part| matches!(part, Component::Normal(_))));
            }
        }
    }
}
