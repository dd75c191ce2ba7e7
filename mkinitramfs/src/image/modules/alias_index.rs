//! The aliases of a kernel, found quickly: a machine has hundreds of devices and a
//! distribution's kernel 20,000 patterns.

use std::collections::{BTreeSet, HashMap};

use super::alias::Alias;
use super::name::{alias_matches, normalize};

/// Length of the literal beginning that most patterns have: `pci:v00008086`.
const LONG: usize = 13;
/// Length of the shorter one, the bus: `pci:`.
const SHORT: usize = 4;

/// Aliases by the literal text they begin with.
#[derive(Debug, Default)]
pub struct AliasIndex {
    aliases: Vec<Alias>,
    by_beginning: HashMap<Vec<u8>, Vec<usize>>,
    cpu_specific: BTreeSet<String>,
}

impl From<Vec<Alias>> for AliasIndex {
    fn from(aliases: Vec<Alias>) -> Self {
        let mut by_beginning: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        let mut cpu_specific = BTreeSet::new();
        for (index, alias) in aliases.iter().enumerate() {
            let literal = alias
                .pattern
                .find(['*', '?', '['])
                .unwrap_or(alias.pattern.len());
            let beginning = [LONG, SHORT]
                .into_iter()
                .filter(|length| *length <= literal)
                .find_map(|length| beginning(&alias.pattern, length));
            // What begins with a pattern is looked at for every text.
            by_beginning
                .entry(beginning.unwrap_or_default())
                .or_default()
                .push(index);
            if alias.pattern.starts_with("cpu:") {
                cpu_specific.insert(alias.name.clone());
            }
        }
        Self {
            aliases,
            by_beginning,
            cpu_specific,
        }
    }
}

impl AliasIndex {
    /// All aliases, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Alias> {
        self.aliases.iter()
    }

    /// The names of all aliases whose pattern matches `text`, sorted.
    #[must_use]
    pub fn matching(&self, text: &str) -> BTreeSet<&str> {
        [LONG, SHORT, 0]
            .into_iter()
            .filter_map(|length| self.by_beginning.get(&beginning(text, length)?))
            .flatten()
            .filter_map(|index| self.aliases.get(*index))
            .filter(|alias| alias_matches(&alias.pattern, text))
            .map(|alias| alias.name.as_str())
            .collect()
    }

    /// Whether the module's init refuses on CPUs that lack a feature: it says so
    /// with a `cpu:` alias.
    #[must_use]
    pub fn is_cpu_specific(&self, name: &str) -> bool {
        self.cpu_specific.contains(name)
    }
}

/// The first bytes of `text`, '-' as '_', as matching treats them; `None` where it is shorter.
fn beginning(text: &str, length: usize) -> Option<Vec<u8>> {
    let bytes = text.as_bytes().get(..length)?;
    Some(normalize(&String::from_utf8_lossy(bytes)).into_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_index_finds_what_a_search_of_all_finds(
            patterns in proptest::collection::vec("[ab:_-]{0,16}[*?]?[ab]{0,3}", 0..30),
            text in "[ab:_-]{0,18}",
        ) {
            let aliases: Vec<Alias> = patterns
                .iter()
                .enumerate()
                .map(|(index, pattern)| Alias { pattern: pattern.clone(), name: format!("m{index}") })
                .collect();
            let expected: BTreeSet<String> = aliases
                .iter()
                .filter(|alias| alias_matches(&alias.pattern, &text))
                .map(|alias| alias.name.clone())
                .collect();
            let index = AliasIndex::from(aliases);
            let found: BTreeSet<String> = index.matching(&text).into_iter().map(str::to_owned).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
