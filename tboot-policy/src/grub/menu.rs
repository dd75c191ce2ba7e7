//! The entries of GRUB's menu, and how they are named.

use std::sync::Arc;

use super::{
    bls::BlsEntry,
    default::{self, Leads, Level, NoDefault, Slot},
    entry::adds_entries,
    error::ScriptError,
    lex::{Piece, Word},
    script::{MenuKind, Statement, literal, parse},
    title::Titled,
    variables::{Arguments, Variables},
    walk::{Visitor, Walk},
};

/// Most entries that are listed in a message.
const MAX_LISTED: usize = 20;
/// Most entries that a menu may have.
const MAX_ENTRIES: usize = 4096;
/// Deepest submenus, and most of them.
const MAX_DEPTH: usize = 8;
const MAX_LEVELS: usize = 512;

/// A menu that can't be read, or an entry that isn't in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MenuError {
    /// GRUB can't read the script either.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// No entry of this name.
    #[error("no menu entry {name:?}; there are: {known}")]
    NoEntry {
        /// What was asked for.
        name: String,
        /// The entries that there are.
        known: String,
    },
    /// Several entries of this name.
    #[error(
        "{name:?} names several menu entries: {found}; name one by its place, as GRUB_DEFAULT does"
    )]
    Several {
        /// What was asked for.
        name: String,
        /// The entries.
        found: String,
    },
    /// A menu that is larger than any real one.
    #[error(
        "the menu has more than {MAX_ENTRIES} entries or {MAX_DEPTH} levels, or functions that never end"
    )]
    TooLarge,
}

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
    fn is(&self, name: &str) -> bool {
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

/// A whole menu, submenus flattened.
#[derive(Clone, Debug, Default)]
pub struct Menu {
    entries: Vec<MenuEntry>,
    levels: Vec<Level>,
}

impl Menu {
    /// Reads a grub.cfg. `preset`: variables that the firmware or grubenv sets.
    pub fn parse(script: &[u8], preset: Variables) -> Result<Self, MenuError> {
        let mut menu = Menu::default();
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
        let mut collected = Collected {
            countable: true,
            ..Collected::default()
        };
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
    /// Why that can't be told.
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

struct Item {
    index: Option<usize>,
    line: usize,
    kind: MenuKind,
    conditional: bool,
    titled: Titled,
    body: Arc<[Statement]>,
}

#[derive(Default)]
struct Collected {
    items: Vec<Item>,
    countable: bool,
    /// How many have a place.
    shown: usize,
    unlisted: Option<String>,
}

impl Collected {
    fn add(
        &mut self,
        line: usize,
        kind: MenuKind,
        titled: Titled,
        body: Arc<[Statement]>,
        certain: bool,
    ) {
        let mut index = None;
        if kind != MenuKind::Hidden {
            self.countable &= certain;
            index = self.countable.then_some(self.shown);
            self.shown = self.shown.saturating_add(1);
        }
        self.items.push(Item {
            index,
            line,
            kind,
            conditional: !certain,
            titled,
            body,
        });
    }

    /// What comes from here on may have another place, and any name may be another entry's.
    fn unlisted(&mut self, why: String) {
        self.countable = false;
        self.unlisted.get_or_insert(why);
    }

    /// The entries that `blscfg` adds.
    fn bls(&mut self, line: usize, arguments: &[Word], variables: &Variables, certain: bool) {
        if !arguments.is_empty() {
            let why =
                format!("line {line}: blscfg is told which entries to show, which is not followed");
            return self.unlisted(why);
        }
        let Some(place) = &variables.bls else {
            return self.unlisted(format!("line {line}: blscfg adds entries of other files"));
        };
        match place.read(variables.value("blsdir")) {
            Ok(found) => {
                self.countable &= found.ordered;
                for entry in found.entries {
                    let (titled, body) = bls_item(line, &entry);
                    self.add(line, MenuKind::Entry, titled, body, certain);
                }
            }
            Err(why) => self.unlisted(format!("line {line}: {why}")),
        }
    }
}

/// A BLS entry as GRUB makes one of it: it loads a Linux, never tboot.
fn bls_item(line: usize, entry: &BlsEntry) -> (Titled, Arc<[Statement]>) {
    let word = |text: &str| vec![Piece::Text(text.as_bytes().to_vec())];
    let words = vec![word("linux"), word(&entry.linux)];
    let titled = Titled {
        title: entry.title.clone(),
        id: Some(entry.id.clone()),
        ..Titled::default()
    };
    (titled, Arc::new([Statement::Command { line, words }]))
}

impl Visitor for Collected {
    type Error = MenuError;

    fn too_long(&self, _line: usize) -> MenuError {
        MenuError::TooLarge
    }

    fn command(
        &mut self,
        line: usize,
        words: &[Word],
        variables: &Variables,
        certain: bool,
    ) -> Result<(), Self::Error> {
        let Some((first, arguments)) = words.split_first() else {
            return Ok(());
        };
        match literal(first).as_deref() {
            Some("blscfg" | "bls_import") => self.bls(line, arguments, variables, certain),
            Some(command) if adds_entries(command) => self.unlisted(format!(
                "line {line}: {command} runs another script or menu, whose entries are not known"
            )),
            _ => {}
        }
        Ok(())
    }

    fn menu(
        &mut self,
        line: usize,
        kind: MenuKind,
        words: &[Word],
        body: &Arc<[Statement]>,
        variables: &Variables,
        certain: bool,
    ) -> Result<(), Self::Error> {
        // A function can make entries without end.
        if self.items.len() > MAX_ENTRIES {
            return Err(MenuError::TooLarge);
        }
        let titled = Titled::of(words, variables);
        self.add(line, kind, titled, Arc::clone(body), certain);
        Ok(())
    }
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
