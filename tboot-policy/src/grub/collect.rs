//! What stands at one level of the menu, in order, and which of it has a certain place.

use std::sync::Arc;

use super::{
    bls::BlsEntry,
    grub_commands::adds_entries,
    lex::{Piece, Word},
    menu_error::{MAX_ENTRIES, MenuError},
    script::{MenuKind, Statement, literal},
    title::Titled,
    variables::Variables,
    walk::Visitor,
};

/// An entry or submenu.
pub(super) struct Item {
    pub index: Option<usize>,
    pub line: usize,
    pub kind: MenuKind,
    pub conditional: bool,
    pub titled: Titled,
    pub body: Arc<[Statement]>,
}

/// Everything at one level of a menu.
pub(super) struct Collected {
    pub items: Vec<Item>,
    /// Is it certain how many entries stand before the next one?
    countable: bool,
    /// How many have a place.
    shown: usize,
    /// Why there may be entries that the file does not show.
    pub unlisted: Option<String>,
}

impl Collected {
    pub(super) fn new() -> Self {
        Self {
            items: Vec::new(),
            countable: true,
            shown: 0,
            unlisted: None,
        }
    }

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
