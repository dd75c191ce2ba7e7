//! Text with what does not print escaped.

use std::fmt::{self, Display, Write};

/// Does the character show itself, and nothing else?
///
/// Controls (C0, DEL, C1) steer terminals; bidirectional controls, line separators and invisible
/// characters change how the text around them reads.
pub const fn is_printable(character: char) -> bool {
    !matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            // Soft hyphen; Arabic letter mark; Mongolian vowel separator.
            | '\u{ad}' | '\u{61c}' | '\u{180e}'
            // Zero width characters and directional marks, separators, embeddings and overrides.
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            // Invisible operators and directional isolates.
            | '\u{2060}'..='\u{206f}'
            // Byte order mark, annotations, tags, variation selectors, what is not a character.
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// A value whose text stays on one line.
pub fn line<T: Display>(value: T) -> impl Display {
    Shown { value, keep: &[] }
}

/// A value whose text may have line breaks and tabs.
pub fn text<T: Display>(value: T) -> impl Display {
    Shown {
        value,
        keep: &['\n', '\t'],
    }
}

struct Shown<T> {
    value: T,
    keep: &'static [char],
}

impl<T: Display> Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut escaping = Escaping {
            to: f,
            keep: self.keep,
        };
        write!(escaping, "{}", self.value)
    }
}

struct Escaping<'a, 'f> {
    to: &'a mut fmt::Formatter<'f>,
    keep: &'static [char],
}

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(|c| !is_printable(c) && !self.keep.contains(&c)) {
            let (before, after) = rest.split_at(at);
            self.to.write_str(before)?;
            let mut characters = after.chars();
            if let Some(character) = characters.next() {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    write!(self.to, "\\u{unit:04x}")?;
                }
            }
            rest = characters.as_str();
        }
        self.to.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_character_there_is_prints_or_is_escaped() {
        for character in '\0'..=char::MAX {
            let shown = line(character).to_string();
            assert!(shown.chars().all(is_printable), "{character:?}: {shown:?}");
            assert!(
                shown == character.to_string() || shown.starts_with("\\u"),
                "{character:?}: {shown:?}"
            );
            let kept = text(character).to_string();
            if matches!(character, '\n' | '\t') {
                assert_eq!(kept, character.to_string());
            } else {
                assert_eq!(kept, shown);
            }
            // General_Category Cc, as the standard library knows it.
            assert!(!(character.is_control() && is_printable(character)));
        }
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in [
            "a b",
            "/dev/sda3",
            "Größe, č, 漢字, emoji 🙂",
            "\\u001b",
            "~!@#\"'",
        ] {
            assert_eq!(line(text).to_string(), text);
        }
        assert_eq!(text("a\tb\n").to_string(), "a\tb\n");
    }

    #[test]
    fn a_drawn_prompt_is_shown_as_what_it_is() {
        let drawn = "aes\u{1b}[2J\u{1b}[HPassphrase:\r\n\u{9b}1A \u{202e}x\u{e0041}";
        let shown =
            "aes\\u001b[2J\\u001b[HPassphrase:\\u000d\\u000a\\u009b1A \\u202ex\\udb40\\udc41";
        assert_eq!(line(drawn).to_string(), shown);
    }

    proptest! {
        #[test]
        fn no_bytes_reach_a_terminal_as_controls(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let from_outside = String::from_utf8_lossy(&bytes);
            let shown = line(&from_outside).to_string();
            prop_assert!(shown.chars().all(is_printable));
            prop_assert!(shown.bytes().all(|byte| byte >= 0x20 && byte != 0x7f));
            let shown = text(&from_outside).to_string();
            prop_assert!(shown.chars().all(|c| is_printable(c) || c == '\n' || c == '\t'));
        }

        // Values are written in pieces; each piece is looked at.
        #[test]
        fn pieces_are_escaped_like_the_whole(parts in prop::collection::vec(any::<String>(), 0..5)) {
            let whole: String = parts.concat();
            let pieces = Pieces(parts);
            prop_assert_eq!(line(&pieces).to_string(), line(&whole).to_string());
        }
    }

    struct Pieces(Vec<String>);

    impl Display for Pieces {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.iter().try_for_each(|part| f.write_str(part))
        }
    }
}
