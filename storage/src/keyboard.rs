//! The keyboard of the console: /etc/default/keyboard (keyboard(5)) and /etc/vconsole.conf
//! (vconsole.conf(5)).
//!
//! Both are read as assignments of a shell. What a shell would still change (`$`, backquotes) is refused:
//! the value would not be the one that the running system has.

use crate::table::{self, TableError};

/// What the two files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyboard {
    /// A keymap by its name (`KEYMAP=`; Debian's `KMAP=` can be a path).
    pub keymap: Option<String>,
    /// A second one, for `KEYMAP_TOGGLE=`.
    pub toggle: Option<String>,
    /// XKB's model of the keyboard (`XKBMODEL=`).
    pub model: Option<String>,
    /// XKB's layouts, separated by commas.
    pub layout: Option<String>,
    /// XKB's variants of them.
    pub variant: Option<String>,
    /// XKB's options.
    pub options: Option<String>,
    /// The console's font (`FONT=`).
    pub font: Option<String>,
}

/// A file that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyboardError {
    /// Its size.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Neither a comment nor an assignment.
    #[error("line {0} is not an assignment NAME=value")]
    Assignment(usize),
    /// A shell would make something else of it.
    #[error("line {0} has a value that only a shell can tell")]
    Shell(usize),
    /// No keymap has such a name.
    #[error("line {line}: {value:?} cannot name a keymap, a layout or a font")]
    Value {
        /// Counted from 1.
        line: usize,
        /// What it says.
        value: String,
    },
}

impl Keyboard {
    /// Reads one of the files over what another said; an empty value takes nothing away.
    ///
    /// # Errors
    /// If a line is not understood; the error names it.
    pub fn read(&mut self, text: &str) -> Result<(), KeyboardError> {
        for (number, line) in table::lines(text)? {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            let assignment = line.split_once('=').filter(|(name, _)| is_variable(name));
            let (name, value) = assignment.ok_or(KeyboardError::Assignment(number))?;
            let value = shell_value(value).ok_or(KeyboardError::Shell(number))?;
            let place = match name {
                "KEYMAP" | "KMAP" => &mut self.keymap,
                "KEYMAP_TOGGLE" => &mut self.toggle,
                "XKBMODEL" => &mut self.model,
                "XKBLAYOUT" => &mut self.layout,
                "XKBVARIANT" => &mut self.variant,
                "XKBOPTIONS" => &mut self.options,
                "FONT" => &mut self.font,
                // What else there is says nothing of what a key means.
                _ => continue,
            };
            if value.is_empty() {
                continue;
            }
            if !is_value(&value) {
                return Err(KeyboardError::Value {
                    line: number,
                    value,
                });
            }
            *place = Some(value);
        }
        Ok(())
    }
}

fn is_variable(name: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    !name.is_empty() && name.chars().all(is_part) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Can it name a keymap, a layout or a font? It becomes the argument of a program, or part of a path.
pub fn is_value(value: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_-.,:+()@/".contains(letter);
    value.len() <= 256
        && value.chars().all(is_part)
        && !value.starts_with('-')
        && !value.split('/').any(|part| part == "..")
}

/// One word of a shell, with its quotation marks taken away.
fn shell_value(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut letters = text.trim().chars();
    let mut quote = None;
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            (mark @ ('"' | '\''), None) => quote = Some(mark),
            (mark, Some(open)) if mark == open => quote = None,
            (other, Some('\'')) => value.push(other),
            ('$' | '`', _) => return None,
            ('\\', _) => value.push(letters.next()?),
            (letter, None) if letter.is_whitespace() => {
                // A comment may follow, nothing else.
                let rest = letters.as_str().trim_start();
                return (rest.is_empty() || rest.starts_with('#')).then_some(value);
            }
            (';' | '&' | '|' | '<' | '>' | '(' | ')', None) => return None,
            (other, _) => value.push(other),
        }
    }
    quote.is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keyboard(texts: &[&str]) -> Result<Keyboard, String> {
        let mut keyboard = Keyboard::default();
        for text in texts {
            keyboard.read(text).map_err(|error| error.to_string())?;
        }
        Ok(keyboard)
    }

    #[test]
    fn what_installers_write_is_read() {
        // Debian's, then Fedora's.
        let found = keyboard(&[
            "# KEYBOARD CONFIGURATION FILE\n\nXKBMODEL=\"pc105\"\nXKBLAYOUT=\"de,us\"\nXKBVARIANT=\"nodeadkeys,\"\n\
             XKBOPTIONS=\"\"\n\nBACKSPACE=\"guess\"\n",
            "KEYMAP=\"de-nodeadkeys\"\nFONT=eurlatgr # large\nXKBOPTIONS='terminate:ctrl_alt_bksp'\n",
        ])
        .unwrap();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(found.model, text("pc105"));
        assert_eq!(found.layout, text("de,us"));
        assert_eq!(found.variant, text("nodeadkeys,"));
        assert_eq!(found.options, text("terminate:ctrl_alt_bksp"));
        assert_eq!(found.keymap, text("de-nodeadkeys"));
        assert_eq!(found.font, text("eurlatgr"));
        assert_eq!(
            keyboard(&["KMAP=/etc/console/boottime.kmap.gz\n"])
                .unwrap()
                .keymap,
            text("/etc/console/boottime.kmap.gz")
        );
    }

    #[test]
    fn what_a_shell_would_change_is_refused() {
        for text in [
            "KEYMAP=$X",
            "KEYMAP=\"`x`\"",
            "KEYMAP=a;b",
            "KEYMAP=\"a",
            "KEYMAP=a b",
            "KEYMAP=a\\",
            "KEYMAP=$(x)",
        ] {
            let error = keyboard(&["\n", text]).unwrap_err();
            assert_eq!(
                error, "line 1 has a value that only a shell can tell",
                "{text}"
            );
        }
        for text in ["keymap", "export KEYMAP=us", "1=a", "=a", ". /etc/x"] {
            assert!(
                keyboard(&[text]).unwrap_err().contains("not an assignment"),
                "{text}"
            );
        }
    }

    #[test]
    fn no_value_leads_out_of_the_keymaps() {
        for text in [
            "KEYMAP=../../etc/shadow",
            "KEYMAP=-x",
            "KEYMAP='a b'",
            "KEYMAP='$x'",
            "XKBLAYOUT=ä",
        ] {
            assert!(
                keyboard(&[text]).unwrap_err().contains("cannot name"),
                "{text}"
            );
        }
        let long = format!("KEYMAP={}", "a".repeat(257));
        assert!(keyboard(&[&long]).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(KEYMAP=|[a-z\"'\\\\$/. \n#]|\\PC){0,60}") {
            if let Ok(Keyboard { keymap: Some(keymap), .. }) = keyboard(&[&text]) {
                prop_assert!(is_value(&keymap) && !keymap.is_empty());
            }
        }
    }
}
