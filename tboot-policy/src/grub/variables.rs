//! GRUB's variables, as far as the script itself sets them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    bls::BlsPlace,
    boot_directory::{BootDirectory, PREFIX},
    lex::{Piece, Word},
    script::Statement,
};

/// Longest value of a variable, and longest text that a word or a command's arguments become, in
/// bytes: a few lines like `set a="$a$a"` would otherwise make more than any memory holds. What is
/// longer counts as unknown.
pub(super) const MAX_VALUE: usize = 16 << 10;
/// The values of all variables together, in bytes.
const MAX_VALUES: usize = 256 << 10;
/// Most variables, and most names of them that are exported.
pub(super) const MAX_NAMES: usize = 1024;
/// Variables that the scripts of distributions ask for and only the environment block sets:
/// elsewhere they are empty.
const EMPTY_UNLESS_SAVED: [&str; 19] = [
    "default",
    "next_entry",
    "saved_entry",
    "prev_saved_entry",
    "prev_entry",
    "initrdfail",
    "recordfail",
    "kernelopts",
    "default_kernelopts",
    "early_initrd",
    "blsdir",
    "tuned_params",
    "tuned_initrd",
    "boot_success",
    "boot_indeterminate",
    "menu_auto_hide",
    "menu_hide_ok",
    "menu_show_once",
    "fastboot",
];

/// What is known of the variables.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    pub(super) values: BTreeMap<String, Vec<u8>>,
    pub(super) exported: BTreeSet<String>,
    /// What the administrator says a variable is, wherever the script leaves that open.
    pub(super) preset: BTreeMap<String, Vec<u8>>,
    /// What GRUB finds beside grub.cfg, where it is known.
    pub(super) directory: Option<BootDirectory>,
    /// Where the entries of `blscfg` are, where that is known.
    pub(super) bls: Option<BlsPlace>,
    /// `$1`, `$2`, ...: of the entry or function that runs.
    pub(super) arguments: Option<Arguments>,
}

/// The arguments of a menu entry, of a submenu or of a function: `$1` is the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    known: Vec<Vec<u8>>,
    /// What they take, in bytes.
    length: usize,
    /// Do more follow that only the booting machine knows?
    more: bool,
}

impl Arguments {
    /// Adds one, if those before are known.
    pub(super) fn push(&mut self, argument: Vec<u8>) {
        if !self.more {
            // One that is empty takes room as well.
            let length = argument.len().saturating_add(1);
            self.length = self.length.saturating_add(length);
            self.known.push(argument);
            self.more = self.length > MAX_VALUE;
        }
    }

    /// From here on they are unknown.
    pub(super) fn push_unknown(&mut self) {
        self.more = true;
    }

    pub(super) fn shift(&mut self) {
        if !self.known.is_empty() {
            self.known.remove(0);
        }
    }

    /// `$1` and so on, and `$#`; `None`: it is unknown.
    fn value(&self, name: &str) -> Option<Vec<u8>> {
        if name == "#" && !self.more {
            return Some(self.known.len().to_string().into_bytes());
        }
        let place = name.parse::<usize>().ok()?.checked_sub(1)?;
        match self.known.get(place) {
            Some(value) => Some(value.clone()),
            None => (!self.more).then(Vec::new),
        }
    }
}

/// A variable whose value only the booting machine knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown(pub String);

impl Variables {
    /// Sets a variable that the script does not, as the firmware or grubenv would. Submenus see it.
    pub fn preset(&mut self, name: &str, value: &str) {
        self.set(name, value.as_bytes().to_vec());
        self.exported.insert(name.to_owned());
        self.preset
            .insert(name.to_owned(), value.as_bytes().to_vec());
    }

    /// What does not fit is unknown from here on.
    pub(super) fn set(&mut self, name: &str, value: Vec<u8>) {
        self.values.remove(name);
        let all: usize = self.values.values().map(Vec::len).sum();
        let fits = value.len() <= MAX_VALUE && all.saturating_add(value.len()) <= MAX_VALUES;
        if fits && self.values.len() < MAX_NAMES {
            self.values.insert(name.to_owned(), value);
        }
    }

    /// Submenus see it.
    pub(super) fn export(&mut self, name: String) {
        if self.exported.len() < MAX_NAMES {
            self.exported.insert(name);
        }
    }

    /// From here on only the booting machine knows it; or the administrator, who has said it.
    pub(super) fn forget(&mut self, name: &str) {
        match self.preset.get(name) {
            Some(value) => self.set(name, value.clone()),
            None => drop(self.values.remove(name)),
        }
    }

    pub(super) fn value(&self, name: &str) -> Option<&[u8]> {
        self.values.get(name).map(Vec::as_slice)
    }

    /// What GRUB knows when it boots from this directory.
    #[must_use]
    pub fn booting(mut self, directory: BootDirectory) -> Self {
        for name in EMPTY_UNLESS_SAVED {
            if !self.values.contains_key(name) {
                self.set(name, Vec::new());
            }
        }
        for name in ["prefix", "config_directory"] {
            self.set(name, PREFIX.as_bytes().to_vec());
        }
        self.directory = Some(directory);
        self
    }

    /// `blscfg` finds its entries there.
    #[must_use]
    pub fn with_bls(mut self, place: BlsPlace) -> Self {
        self.bls = Some(place);
        self
    }

    /// The arguments that words become, for whatever is called with them.
    pub(super) fn arguments_of(&self, words: &[Word]) -> Arguments {
        let mut arguments = Arguments::default();
        for word in words {
            match self.expand(word) {
                Ok(expanded) => expanded.into_iter().for_each(|text| arguments.push(text)),
                Err(Unknown(_)) => arguments.push_unknown(),
            }
        }
        arguments
    }

    /// A variable's value, or an argument's.
    fn known(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        match name.as_bytes().first() {
            Some(b'0'..=b'9' | b'#') => {
                let arguments = self.arguments.as_ref()?;
                arguments.value(name).map(Cow::Owned)
            }
            _ => self.value(name).map(Cow::Borrowed),
        }
    }

    /// What a submenu sees: exported variables only.
    #[must_use]
    pub fn in_submenu(&self) -> Self {
        let mut inner = self.clone();
        inner.values.retain(|name, _| self.exported.contains(name));
        inner
    }

    /// The arguments that words become.
    pub fn expand_all(&self, words: &[Word]) -> Result<Vec<Vec<u8>>, Unknown> {
        let mut arguments = Vec::new();
        let mut length = 0_usize;
        for word in words {
            let expanded = self.expand(word)?;
            if let Some(Piece::Variable { name, .. }) = word.iter().find(|piece| is_variable(piece))
            {
                length = expanded
                    .iter()
                    .map(Vec::len)
                    .fold(length, usize::saturating_add);
                if length > MAX_VALUE {
                    return Err(Unknown(name.clone()));
                }
            }
            arguments.extend(expanded);
        }
        Ok(arguments)
    }

    /// The arguments that a word becomes: unquoted values are split at blanks, and an empty one
    /// makes no argument.
    pub fn expand(&self, word: &Word) -> Result<Vec<Vec<u8>>, Unknown> {
        let mut arguments: Vec<Vec<u8>> = Vec::new();
        let mut open: Option<Vec<u8>> = None;
        let mut length = 0_usize;
        for piece in word {
            match piece {
                Piece::Empty => {
                    open.get_or_insert_default();
                }
                Piece::Text(text) => open.get_or_insert_default().extend_from_slice(text),
                Piece::Variable { name, quoted } => {
                    let value = self.known(name).ok_or_else(|| Unknown(name.clone()))?;
                    length = length.saturating_add(value.len());
                    if length > MAX_VALUE {
                        return Err(Unknown(name.clone()));
                    }
                    if *quoted {
                        open.get_or_insert_default().extend_from_slice(&value);
                        continue;
                    }
                    for byte in value.as_ref() {
                        if byte.is_ascii_whitespace() {
                            arguments.extend(open.take());
                        } else {
                            open.get_or_insert_default().push(*byte);
                        }
                    }
                }
            }
        }
        arguments.extend(open);
        Ok(arguments)
    }

    /// Does a condition hold? `None` when only the booting machine knows.
    pub(super) fn decide(&self, condition: &[Statement]) -> Option<bool> {
        let [Statement::Command { words, .. }] = condition else {
            return None;
        };
        let arguments = self.expand_all(words).ok()?;
        let texts: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        let tested = match texts.split_first()? {
            (&b"true", []) => return Some(true),
            (&b"false", []) => return Some(false),
            (&b"[", rest) => rest.strip_suffix(&[b"]".as_slice()])?,
            (&b"test", rest) => rest,
            _ => return None,
        };
        self.test(tested)
    }

    fn test(&self, words: &[&[u8]]) -> Option<bool> {
        let parts = |sign: &[u8]| -> Option<[Option<bool>; 2]> {
            let at = words.iter().position(|word| *word == sign)?;
            let (left, right) = (words.get(..at)?, words.get(at.saturating_add(1)..)?);
            // A sign at the begin or end is a text to be tested.
            (!left.is_empty() && !right.is_empty()).then(|| [self.test(left), self.test(right)])
        };
        match parts(b"-o") {
            Some([Some(true), _] | [_, Some(true)]) => return Some(true),
            Some([Some(false), Some(false)]) => return Some(false),
            Some(_) => return None,
            None => {}
        }
        match parts(b"-a") {
            Some([Some(false), _] | [_, Some(false)]) => return Some(false),
            Some([Some(true), Some(true)]) => return Some(true),
            Some(_) => return None,
            None => {}
        }
        self.test_one(words)
    }

    fn test_one(&self, words: &[&[u8]]) -> Option<bool> {
        match words {
            [] => Some(false),
            [b"!", rest @ ..] => self.test_one(rest).map(|holds| !holds),
            [b"-n", text] => Some(!text.is_empty()),
            [b"-z", text] => Some(text.is_empty()),
            [text] => Some(!text.is_empty()),
            [option, path] => self.directory.as_ref()?.test(option, path),
            [a, b"=" | b"==", b] => Some(a == b),
            [a, b"!=", b] => Some(a != b),
            _ => None,
        }
    }
}

const fn is_variable(piece: &Piece) -> bool {
    matches!(piece, Piece::Variable { .. })
}
