//! An entry of the menu and its names.

use std::sync::Arc;

use super::{script::Statement, sections::Section, variables::Arguments, walk::Walk};

/// How an entry is named at one level of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its place, from 0; `None` for a hidden entry, and behind entries that only some machines
    /// have or that are not known.
    pub index: Option<usize>,
    /// Its title.
    pub title: String,
    /// Its `--id`.
    pub id: Option<String>,
}

impl Key {
    pub(super) fn is(&self, name: &str) -> bool {
        self.title == name || self.id.as_deref() == Some(name)
    }
}

/// An entry that boots something.
#[derive(Clone, Debug)]
pub struct MenuEntry {
    /// The submenus it is in, and itself.
    pub path: Vec<Key>,
    /// The line it begins in, from 1.
    pub line: usize,
    /// Do only some machines have it?
    pub conditional: bool,
    /// What the script of `/etc/grub.d` wrote that wrote its first line, where that is certain.
    pub section: Option<Section>,
    /// Its commands.
    pub(super) body: Arc<[Statement]>,
    /// What is known where it is chosen, for all entries of its level.
    pub(super) walk: Arc<Walk>,
    /// `$1` and so on in it.
    pub(super) arguments: Arguments,
}

impl MenuEntry {
    /// Its title.
    pub fn title(&self) -> &str {
        self.path.last().map_or("", |key| key.title.as_str())
    }

    /// Its `--id`.
    pub fn id(&self) -> Option<&str> {
        self.path.last().and_then(|key| key.id.as_deref())
    }

    /// Its name as in GRUB_DEFAULT: numbers with `>` between them.
    pub fn place(&self) -> Option<String> {
        let numbers: Option<Vec<String>> = self
            .path
            .iter()
            .map(|key| key.index.map(|index| index.to_string()))
            .collect();
        numbers.map(|numbers| numbers.join(">"))
    }
}
