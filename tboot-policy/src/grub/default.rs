//! The entry that GRUB boots when nobody touches a key.
//!
//! GRUB reads the variable `default` as a number if it begins like one, else as the title or the id
//! of an entry; behind `>` follows the same for the submenu. Where nothing fits it takes the first
//! entry (GRUB's normal/menu.c, `get_entry_number`).

use super::menu_entry::Key;

/// Why the entry that boots by itself cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDefault {
    /// There is no entry at all, or GRUB comes to an empty submenu.
    #[error("the menu, or the submenu that GRUB chooses, has no entry")]
    Empty,
    /// The variable is set where the machine decides, or by another script.
    #[error("the value of $default depends on what only the booting machine knows")]
    Unknown,
    /// Entries may stand in the menu that the file does not show.
    #[error("{0}")]
    Unlisted(String),
    /// The machine decides whether the entry is there.
    #[error(
        "{0:?} may be another entry: which entries stand in the menu depends on what only the booting machine knows"
    )]
    Conditional(String),
}

/// One level of the menu: what is in it, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Level {
    pub slots: Vec<Slot>,
    /// The value of `default` where the level has been read; `None`: only the machine knows. In a
    /// submenu `None` is the rule, as GRUB then goes on with what stands behind the `>`.
    pub default: Option<Vec<u8>>,
    /// Why there may be entries that the file does not show: one of them may have any name.
    pub unlisted: Option<String>,
}

/// An entry or submenu.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub key: Key,
    /// Do only some machines have it?
    pub conditional: bool,
    pub leads: Leads,
}

/// What a slot leads to: places in the menu's lists.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leads {
    Entry(usize),
    Submenu(usize),
}

/// The default entry among the levels, of which the first is the whole menu.
pub(super) fn find(levels: &[Level]) -> Result<usize, NoDefault> {
    let mut level = levels.first().ok_or(NoDefault::Empty)?;
    let mut wanted = match &level.default {
        Some(default) => default.clone(),
        None => return Err(level.unlisted().unwrap_or(NoDefault::Unknown)),
    };
    // Submenus are never deeper than there are levels.
    for _ in levels {
        if let Some(why) = level.unlisted() {
            return Err(why);
        }
        let (name, behind) = split(&wanted);
        let slot = level.slot(&name)?;
        if slot.conditional {
            return Err(NoDefault::Conditional(slot.key.title.clone()));
        }
        match slot.leads {
            Leads::Entry(entry) => return Ok(entry),
            Leads::Submenu(inner) => {
                level = levels.get(inner).ok_or(NoDefault::Empty)?;
                wanted = level.default.clone().unwrap_or(behind);
            }
        }
    }
    Err(NoDefault::Empty)
}

impl Level {
    fn unlisted(&self) -> Option<NoDefault> {
        self.unlisted.clone().map(NoDefault::Unlisted)
    }

    fn slot(&self, name: &[u8]) -> Result<&Slot, NoDefault> {
        let named = |slot: &&Slot| {
            let is = |text: &str| text.as_bytes() == name;
            is(&slot.key.title) || slot.key.id.as_deref().is_some_and(is)
        };
        let number = match number(name) {
            Number::None => match self.slots.iter().find(named) {
                Some(slot) => return Ok(slot),
                None => 0,
            },
            Number::TooLarge => 0,
            Number::Is(number) => number,
        };
        let counts = |slot: &Slot| slot.key.index.is_some();
        let uncertain = || NoDefault::Conditional(String::from_utf8_lossy(name).into_owned());
        // GRUB keeps it as an int: what is left of a larger number depends on its words' length.
        if i32::try_from(number).is_err() {
            return Err(uncertain());
        }
        match self.slots.get(number) {
            Some(slot) if counts(slot) => Ok(slot),
            // Beyond the end is the first, if the end is certain.
            None if self.slots.iter().all(counts) => self.slots.first().ok_or(NoDefault::Empty),
            _ => Err(uncertain()),
        }
    }
}

/// The name of this level, in which `>>` means `>`, and what stands behind it.
fn split(value: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut name = Vec::new();
    let mut rest = value;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'>' {
            match after.strip_prefix(b">") {
                Some(after) => rest = after,
                None => break,
            }
        }
        name.push(*byte);
    }
    (name, rest.to_vec())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    None,
    TooLarge,
    Is(usize),
}

/// What GRUB's strtoul makes of a text: it stops at the first sign that is not a digit.
fn number(text: &[u8]) -> Number {
    let text = text.trim_ascii_start();
    let (digits, base) = match text {
        [b'0', b'x', rest @ ..] => (rest, 16),
        [b'0', b'0'..=b'7', ..] => (text, 8),
        _ => (text, 10),
    };
    let mut found = Number::None;
    for byte in digits {
        let Some(digit) = char::from(*byte).to_digit(base) else {
            break;
        };
        let before = match found {
            Number::Is(number) => number,
            _ => 0,
        };
        let next = before.checked_mul(base as usize);
        match next.and_then(|next| next.checked_add(digit as usize)) {
            Some(number) => found = Number::Is(number),
            None => return Number::TooLarge,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::{BootDirectory, Menu, Variables};

    const MENU: &str = "menuentry 'Debian' --id plain { a }\n\
        submenu 'more > less' --id sub {\nmenuentry 'six' { b }\nmenuentry '6 of one' --id x { c }\n\
        submenu 'deep' { menuentry 'd' --id deepest { d } }\n}\n\
        submenu 'none' {\n}\nmenuentry 'Last' { e }\n";
    const HEADER: &str = "if [ -s $prefix/grubenv ]; then\nset have_grubenv=true\nload_env\nfi\n\
        if [ \"${next_entry}\" ] ; then\nset default=\"${next_entry}\"\nset next_entry=\nsave_env next_entry\n\
        else\nset default=\"${saved_entry}\"\nfi\n";

    /// The title of the default entry.
    fn booted(script: &str, environment: &str) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        if !environment.is_empty() {
            let block = format!("# GRUB Environment Block\n{environment}#####");
            std::fs::write(directory.path().join("grubenv"), block).unwrap();
        }
        let variables =
            Variables::default().booting(BootDirectory::read(directory.path()).unwrap());
        let menu = Menu::parse(script.as_bytes(), variables).unwrap();
        let found = menu.default_entry().ok();
        found.map(|entry| entry.title().to_owned())
    }

    #[test]
    fn the_default_is_the_one_that_grub_takes() {
        for (default, title) in [
            ("", "Debian"),
            ("0", "Debian"),
            ("3", "Last"),
            ("Last", "Last"),
            ("plain", "Debian"),
            ("1", "six"),
            ("sub", "six"),
            ("1>1", "6 of one"),
            ("sub>x", "6 of one"),
            ("more >> less>six", "six"),
            ("sub>deep>deepest", "d"),
            ("1>2", "d"),
            // What fits nothing is the first, at each level.
            ("gone", "Debian"),
            ("17", "Debian"),
            ("99999999999999999999999", "Debian"),
            ("sub>gone", "six"),
            // Begins like a number, so that it is one: no seventh entry.
            ("sub>6 of one", "six"),
            ("0x3", "Last"),
            ("003", "Last"),
            (" 3rd", "Last"),
        ] {
            let script = format!("set default='{default}'\n{MENU}");
            assert_eq!(booted(&script, "").as_deref(), Some(title), "{default:?}");
        }
        assert_eq!(booted(MENU, "").as_deref(), Some("Debian"));
        // Its lower half is 1, which is what a GRUB of 64 bits boots.
        assert_eq!(booted(&format!("set default=4294967297\n{MENU}"), ""), None);
        // An empty submenu boots nothing.
        assert_eq!(booted(&format!("set default=2\n{MENU}"), ""), None);
    }

    #[test]
    fn next_entry_goes_before_saved_entry() {
        let script = format!("{HEADER}{MENU}");
        for (environment, title) in [
            ("", "Debian"),
            ("saved_entry=3\n", "Last"),
            ("next_entry=\nsaved_entry=sub>x\n", "6 of one"),
            ("next_entry=sub>x\nsaved_entry=3\n", "6 of one"),
        ] {
            let found = booted(&script, environment);
            assert_eq!(found.as_deref(), Some(title), "{environment:?}");
        }
    }

    #[test]
    fn what_only_the_machine_knows_is_not_guessed() {
        let efi = "if [ $grub_platform = efi ]; then\n";
        for script in [
            format!("{efi}set default=1\nfi\n{MENU}"),
            format!("set default=1\n{efi}menuentry 'fw' {{ a }}\nfi\n{MENU}"),
            format!("set default=fw\n{efi}menuentry 'fw' {{ a }}\nfi\n{MENU}"),
            format!("set default=9\n{MENU}{efi}menuentry 'fw' {{ a }}\nfi\n"),
            format!("set default=3\n{MENU}source $prefix/custom.cfg\n"),
        ] {
            assert_eq!(booted(&script, ""), None, "{script}");
        }
        // Behind the default it does no harm, and a script that is not there is not run.
        let script = format!(
            "set default=Last\n{MENU}{efi}menuentry 'fw' {{ a }}\nfi\n\
             if [ -f ${{config_directory}}/custom.cfg ]; then\nsource ${{config_directory}}/custom.cfg\n\
             elif [ -z \"${{config_directory}}\" -a -f $prefix/custom.cfg ]; then\nsource $prefix/custom.cfg\nfi\n"
        );
        assert_eq!(booted(&script, "").as_deref(), Some("Last"));
    }
}
