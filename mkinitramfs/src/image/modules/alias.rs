//! `modules.alias`, `modules.softdep` and the built-in lists: the other text
//! files that depmod and the kernel's build leave beside modules.dep.
//!
//! modprobe skips lines that it does not understand in these files, and so do
//! we: they only ever add modules, and a wanted one that stays unresolved is
//! reported by name later.

use std::collections::{BTreeMap, BTreeSet};

use super::name::{module_name, normalize};

/// One line of `modules.alias`: the module `name` drives what matches `pattern`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alias {
    /// Wildcard pattern, as depmod wrote it.
    pub pattern: String,
    /// Module name, normalised.
    pub name: String,
}

/// What should be loaded before and after a module, if it is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SoftDep {
    /// Before, in this order; names or aliases.
    pub pre: Vec<String>,
    /// After, in this order; names or aliases.
    pub post: Vec<String>,
}

/// Parses the text of `modules.alias`.
#[must_use]
pub fn parse_aliases(text: &str) -> Vec<Alias> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next(), words.next()) {
                (Some("alias"), Some(pattern), Some(name), None) => Some(Alias {
                    pattern: pattern.to_owned(),
                    name: normalize(name),
                }),
                _ => None,
            }
        })
        .collect()
}

/// Parses the text of `modules.softdep`; several lines for one module add up.
/// Words before the first `pre:` or `post:` count for nothing, as in modprobe.
#[must_use]
pub fn parse_softdeps(text: &str) -> BTreeMap<String, SoftDep> {
    let mut softdeps: BTreeMap<String, SoftDep> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some("softdep"), Some(name)) = (words.next(), words.next()) else {
            continue;
        };
        let softdep = softdeps.entry(normalize(name)).or_default();
        let mut list = None;
        for word in words {
            match word {
                "pre:" => list = Some(&mut softdep.pre),
                "post:" => list = Some(&mut softdep.post),
                _ => match list.as_deref_mut() {
                    Some(list) if !list.iter().any(|known| known == word) => {
                        list.push(word.to_owned());
                    }
                    _ => {}
                },
            }
        }
    }
    softdeps
}

/// Parses the text of `modules.builtin`: the names of what is in the kernel itself.
#[must_use]
pub fn parse_builtin(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| module_name(line.trim()))
        .collect()
}

/// Parses `modules.builtin.modinfo`, strings of the form `module.key=value` ended
/// by NUL, for the names and aliases of what is in the kernel itself.
#[must_use]
pub fn parse_builtin_modinfo(bytes: &[u8]) -> (BTreeSet<String>, Vec<Alias>) {
    let mut names = BTreeSet::new();
    let mut aliases = Vec::new();
    for item in bytes.split(|&byte| byte == 0) {
        let Ok(item) = std::str::from_utf8(item) else {
            continue;
        };
        let Some((key, value)) = item.split_once('=') else {
            continue;
        };
        let Some((module, field)) = key.split_once('.') else {
            continue;
        };
        let name = normalize(module);
        if field == "alias" {
            aliases.push(Alias {
                pattern: value.to_owned(),
                name: name.clone(),
            });
        }
        // Only things with a "file" (kernels from 5.2 on) could have been modules.
        if field == "file" {
            names.insert(name);
        }
    }
    (names, aliases)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn aliases_keep_their_pattern_and_lose_their_dashes_in_the_name() {
        let parsed =
            parse_aliases("# comment\nalias fs-ext4 ext4\nalias pci:v*d* snd-hda\nalias broken\n");
        assert_eq!(
            parsed,
            [
                Alias {
                    pattern: "fs-ext4".into(),
                    name: "ext4".into()
                },
                Alias {
                    pattern: "pci:v*d*".into(),
                    name: "snd_hda".into()
                },
            ]
        );
    }

    #[test]
    fn softdeps_add_up_over_lines_and_unmarked_words_count_for_nothing() {
        let parsed = parse_softdeps(
            "softdep btrfs pre: sha256\nsoftdep btrfs pre: crc32c post: late\nsoftdep cifs gcm\n",
        );
        let btrfs = parsed.get("btrfs").unwrap();
        assert_eq!(btrfs.pre, ["sha256", "crc32c"]);
        assert_eq!(btrfs.post, ["late"]);
        assert_eq!(parsed.get("cifs"), Some(&SoftDep::default()));
    }

    #[test]
    fn builtin_lists_give_names_and_aliases() {
        assert!(parse_builtin("kernel/fs/ext4/ext4.ko\nkernel/x-y.ko\n").contains("x_y"));
        let (names, aliases) =
            parse_builtin_modinfo(b"ext4.alias=fs-ext4\0ext4.file=fs/ext4/ext4\0junk\0.=\0\xff\0");
        assert!(names.contains("ext4"));
        assert_eq!(
            aliases,
            [Alias {
                pattern: "fs-ext4".into(),
                name: "ext4".into()
            }]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_parsed(text in "(?s).{0,300}|((alias|softdep|pre:|post:|[a-z:*-]{0,9})[ \n]){0,40}") {
            let lines = text.lines().count();
            prop_assert!(parse_aliases(&text).len() <= lines);
            prop_assert!(parse_softdeps(&text).len() <= lines);
            prop_assert!(parse_builtin(&text).len() <= lines);
        }

        #[test]
        fn any_bytes_are_parsed(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (names, aliases) = parse_builtin_modinfo(&bytes);
            prop_assert!(names.len() + aliases.len() <= bytes.len());
        }
    }
}
