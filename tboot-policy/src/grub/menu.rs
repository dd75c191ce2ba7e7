//! The entries of GRUB's menu, and how they are named.

use std::sync::Arc;

use super::{
    collect::Collected,
    default::{self, Leads, Level, NoDefault, Slot},
    menu_entry::{Key, MenuEntry},
    menu_error::{MAX_DEPTH, MAX_ENTRIES, MAX_LEVELS, MenuError},
    script::{MenuKind, Statement, parse},
    sections::Sections,
    title::Titled,
    variables::Variables,
    walk::Walk,
};

/// Most entries that are listed in a message.
const MAX_LISTED: usize = 20;
/// A whole menu, submenus flattened.
#[derive(Clone, Debug, Default)]
pub struct Menu {
    entries: Vec<MenuEntry>,
    levels: Vec<Level>,
    sections: Sections,
}

impl Menu {
    /// Reads a grub.cfg. `preset`: variables that the firmware or grubenv sets.
    pub fn parse(script: &[u8], preset: Variables) -> Result<Self, MenuError> {
        let mut menu = Self {
            sections: Sections::of(script),
            ..Self::default()
        };
        let statements = parse(script)?;
        menu.level(&statements, Walk::new(preset), &[], false)?;
        Ok(menu)
    }

    fn level(
        &mut self,
        statements: &[Statement],
        mut walk: Walk,
        above: &[Key],
        conditional: bool,
    ) -> Result<usize, MenuError> {
        if above.len() >= MAX_DEPTH || self.levels.len() >= MAX_LEVELS {
            return Err(MenuError::TooLarge);
        }
        let mut collected = Collected::new();
        walk.visit(statements, true, &mut collected)?;
        let walk = Arc::new(walk);
        let this = self.levels.len();
        self.levels.push(Level {
            default: walk.variables.value("default").map(<[u8]>::to_vec),
            unlisted: collected.unlisted,
            ..Level::default()
        });
        for item in collected.items {
            let mut path = above.to_vec();
            let Titled {
                title,
                id,
                arguments,
            } = item.titled;
            let key = Key {
                index: item.index,
                title,
                id,
            };
            path.push(key.clone());
            let conditional = conditional || item.conditional;
            let leads = if item.kind == MenuKind::Submenu {
                let inner = walk.in_submenu(arguments);
                Leads::Submenu(self.level(&item.body, inner, &path, conditional)?)
            } else {
                if self.entries.len() == MAX_ENTRIES {
                    return Err(MenuError::TooLarge);
                }
                self.entries.push(MenuEntry {
                    path,
                    line: item.line,
                    conditional,
                    section: self.sections.at(item.line).cloned(),
                    body: item.body,
                    walk: Arc::clone(&walk),
                    arguments,
                });
                Leads::Entry(self.entries.len().saturating_sub(1))
            };
            if item.kind == MenuKind::Hidden {
                continue;
            }
            if let Some(level) = self.levels.get_mut(this) {
                level.slots.push(Slot {
                    key,
                    conditional,
                    leads,
                });
            }
        }
        Ok(this)
    }

    /// The entry that GRUB boots when nobody chooses one. The menu must have been read with
    /// [`Variables::booting`].
    ///
    /// # Errors
    /// Why that cannot be told.
    pub fn default_entry(&self) -> Result<&MenuEntry, NoDefault> {
        let found = self.entries.get(default::find(&self.levels)?);
        found.ok_or(NoDefault::Empty)
    }

    /// The entries in order.
    pub fn entries(&self) -> &[MenuEntry] {
        &self.entries
    }

    /// The entry of a name: title, id, or as in GRUB_DEFAULT (`submenu>entry`, each a title, an id
    /// or a number from 0).
    pub fn find(&self, name: &str) -> Result<&MenuEntry, MenuError> {
        let named: Vec<&MenuEntry> = self
            .entries
            .iter()
            .filter(|entry| entry.path.last().is_some_and(|key| key.is(name)))
            .collect();
        let found = if named.is_empty() {
            let parts = split_path(name);
            let placed = self.entries.iter().filter(|entry| {
                entry.path.len() == parts.len()
                    && entry.path.iter().zip(&parts).all(|(key, part)| {
                        key.is(part) || key.index.is_some_and(|index| index.to_string() == *part)
                    })
            });
            placed.collect()
        } else {
            named
        };
        match found.as_slice() {
            [entry] => Ok(entry),
            [] => Err(MenuError::NoEntry {
                name: name.to_owned(),
                known: list(&self.entries.iter().collect::<Vec<_>>()),
            }),
            several => Err(MenuError::Several {
                name: name.to_owned(),
                found: list(several),
            }),
        }
    }
}

/// Parts of a name with `>` between them; `>>` is one `>`.
fn split_path(name: &str) -> Vec<String> {
    let parts = name.replace(">>", "\0");
    parts
        .split('>')
        .map(|part| part.replace('\0', ">"))
        .collect()
}

fn list(entries: &[&MenuEntry]) -> String {
    let mut names: Vec<String> = entries
        .iter()
        .take(MAX_LISTED)
        .map(|entry| {
            let place = entry
                .place()
                .map_or(String::new(), |place| format!("{place}: "));
            format!("{place}{:?}", entry.title())
        })
        .collect();
    if entries.is_empty() {
        names.push("none".to_owned());
    }
    if let Some(more @ 1..) = entries.len().checked_sub(MAX_LISTED) {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &[u8] =
        b"menuentry 'Debian' --class debian $menuentry_id_option 'gnulinux-simple' { linux /x }\n\
        submenu 'tboot 1.10' {\nmenuentry 'A > B' { x }\nmenuentry 'Twin' { x }\n}\n\
        submenu 'tboot 1.11' --id new {\nmenuentry 'Twin' { x }\n}\n\
        if [ $grub_platform = efi ]; then\nmenuentry 'Firmware' { fwsetup }\nfi\n\
        menuentry 'Last' { x }\n";

    fn menu() -> Menu {
        Menu::parse(SCRIPT, Variables::default()).unwrap()
    }

    fn line(name: &str) -> Result<usize, MenuError> {
        menu().find(name).map(|entry| entry.line)
    }

    #[test]
    fn entries_are_found_by_title_id_and_place() {
        for (name, expected) in [
            ("Debian", 1),
            ("gnulinux-simple", 1),
            ("0", 1),
            ("A > B", 3),
            ("1>0", 3),
            ("tboot 1.10>A >> B", 3),
            ("new>Twin", 7),
            ("2>0", 7),
            ("Last", 12),
        ] {
            assert_eq!(line(name), Ok(expected), "{name}");
        }
    }

    #[test]
    fn twins_and_strangers_are_refused_with_what_there_is() {
        let error = line("Twin").unwrap_err().to_string();
        assert!(error.contains("1>1: \"Twin\", 2>0: \"Twin\""), "{error}");
        let error = line("5").unwrap_err().to_string();
        assert!(
            error.contains("0: \"Debian\"") && error.contains("\"Last\""),
            "{error}"
        );
    }

    #[test]
    fn a_function_is_not_copied_for_each_entry() {
        let mut script = format!("function f {{\n{}}}\n", "a b\n".repeat(20_000));
        for number in 0..1000 {
            script.push_str(&format!("menuentry 'e{number}' {{ x }}\n"));
        }
        let menu = Menu::parse(script.as_bytes(), Variables::default()).unwrap();
        let walks: Vec<_> = menu
            .entries
            .iter()
            .map(|entry| Arc::as_ptr(&entry.walk))
            .collect();
        assert!(walks.len() == 1000 && walks.iter().all(|walk| *walk == walks[0]));
        let submenus = "submenu s { menuentry e { x }\n}\n".repeat(600);
        let error = Menu::parse(submenus.as_bytes(), Variables::default()).unwrap_err();
        assert_eq!(error, MenuError::TooLarge);
    }

    #[test]
    fn hidden_entries_have_no_place() {
        let script = b"hiddenentry 'Text' --hotkey 't' { set t=1 }\nmenuentry 'A' { x }\nmenuentry 'B' --id b { x }\nset default=1\n";
        let menu = Menu::parse(script, Variables::default()).unwrap();
        assert_eq!(menu.default_entry().unwrap().title(), "B");
        assert_eq!(menu.find("1").unwrap().id(), Some("b"));
        assert_eq!(menu.entries().len(), 3);
        // GRUB does not find it by its name either.
        let script = [script.as_slice(), b"set default=Text\n"].concat();
        let menu = Menu::parse(&script, Variables::default()).unwrap();
        assert_eq!(menu.default_entry().unwrap().title(), "A");
    }

    #[test]
    fn places_behind_an_entry_that_not_every_machine_has_do_not_count() {
        let menu = menu();
        assert_eq!(
            menu.entries()
                .iter()
                .filter(|entry| entry.conditional)
                .count(),
            1
        );
        assert_eq!(menu.find("Last").unwrap().place(), None);
        assert!(line("4").is_err());
    }
}
