//! Protocol buffers in text form, as far as tao.config uses it: fields with strings,
//! numbers, words or other messages in `<>` or `{}`.

use std::fmt::Write as _;

/// Longest text, deepest nesting and most fields that are read.
const MAX_LENGTH: usize = 1 << 20;
const MAX_DEPTH: usize = 16;
const MOST_FIELDS: usize = 1 << 14;

/// Why a text is not such a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// Something else than expected.
    #[error("line {line}: expected {expected}")]
    Syntax {
        /// From 1.
        line: usize,
        /// What belongs there.
        expected: &'static str,
    },
    /// Too long, too deep, or too many fields.
    #[error(
        "longer than {MAX_LENGTH} bytes, nested deeper than {MAX_DEPTH} or of more than {MOST_FIELDS} fields"
    )]
    TooLarge,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `"text"`
    Text(String),
    /// `42`, `true`, `NAME`
    Word(String),
    /// `< ... >`
    Message(Message),
}

/// Fields in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message(pub Vec<(String, Value)>);

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    fields: usize,
}

impl<'a> Reader<'a> {
    fn error<T>(&self, expected: &'static str) -> Result<T, TextError> {
        Err(TextError::Syntax {
            line: self.line,
            expected,
        })
    }

    /// `length` ends a character that was found in the rest.
    fn skip(&mut self, length: usize) -> &'a str {
        let (skipped, rest) = self.rest.split_at(length);
        self.line = self.line.saturating_add(skipped.matches('\n').count());
        self.rest = rest;
        skipped
    }

    fn space(&mut self) {
        loop {
            let trimmed = self
                .rest
                .trim_start_matches([' ', '\t', '\r', '\n', ',', ';']);
            self.skip(self.rest.len().saturating_sub(trimmed.len()));
            if !self.rest.starts_with('#') {
                return;
            }
            let line = self.rest.find('\n').unwrap_or(self.rest.len());
            self.skip(line);
        }
    }

    fn take(&mut self, mark: char) -> bool {
        self.space();
        let found = self.rest.starts_with(mark);
        if found {
            self.skip(mark.len_utf8());
        }
        found
    }

    fn word(&mut self) -> &'a str {
        self.space();
        let end = self
            .rest
            .find(|found: char| !(found.is_ascii_alphanumeric() || "_-+.".contains(found)));
        self.skip(end.unwrap_or(self.rest.len()))
    }

    fn text(&mut self) -> Result<String, TextError> {
        let mut bytes = Vec::new();
        loop {
            let mut chars = self.rest.chars();
            match chars.next() {
                Some('"') => {
                    self.skip(1);
                    let text = String::from_utf8(bytes);
                    return text.or_else(|_| self.error("a string in UTF-8"));
                }
                Some('\\') => {
                    let (byte, length) = match chars.next() {
                        Some('n') => (b'\n', 2),
                        Some('r') => (b'\r', 2),
                        Some('t') => (b'\t', 2),
                        Some(mark @ ('"' | '\'' | '\\')) => (mark as u8, 2),
                        Some('0'..='7') => {
                            let digits = self.rest.get(1..4);
                            match digits.map(|digits| u8::from_str_radix(digits, 8)) {
                                Some(Ok(byte)) => (byte, 4),
                                _ => return self.error("three octal digits after \\"),
                            }
                        }
                        _ => return self.error("\\n, \\r, \\t, \\\", \\\\ or \\ooo"),
                    };
                    bytes.push(byte);
                    self.skip(length);
                }
                Some(other) if other != '\n' => {
                    bytes.extend_from_slice(self.skip(other.len_utf8()).as_bytes());
                }
                _ => return self.error("a string that ends on its line"),
            }
        }
    }

    fn message(&mut self, close: Option<char>, depth: usize) -> Result<Message, TextError> {
        if depth > MAX_DEPTH {
            return Err(TextError::TooLarge);
        }
        let mut fields = Vec::new();
        loop {
            if let Some(close) = close
                && self.take(close)
            {
                return Ok(Message(fields));
            }
            self.space();
            if self.rest.is_empty() {
                return match close {
                    None => Ok(Message(fields)),
                    Some(_) => self.error("the end of a message: > or }"),
                };
            }
            let name = self.word();
            if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
                return self.error("the name of a field");
            }
            self.fields = self.fields.saturating_add(1);
            if self.fields > MOST_FIELDS {
                return Err(TextError::TooLarge);
            }
            let colon = self.take(':');
            let value = if self.take('<') {
                Value::Message(self.message(Some('>'), depth.saturating_add(1))?)
            } else if self.take('{') {
                Value::Message(self.message(Some('}'), depth.saturating_add(1))?)
            } else if !colon {
                return self.error("':' or a message");
            } else if self.take('"') {
                Value::Text(self.text()?)
            } else {
                match self.word() {
                    "" => return self.error("a value"),
                    word => Value::Word(word.to_owned()),
                }
            };
            fields.push((name.to_owned(), value));
        }
    }
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// When the text is not such a message, with the line.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if text.len() > MAX_LENGTH {
            return Err(TextError::TooLarge);
        }
        let mut reader = Reader {
            rest: text,
            line: 1,
            fields: 0,
        };
        reader.message(None, 0)
    }

    /// The last message of that name: a later one takes the place of an earlier one.
    pub fn message(&self, name: &str) -> Option<&Self> {
        self.0.iter().rev().find_map(|(found, value)| match value {
            Value::Message(message) if found == name => Some(message),
            _ => None,
        })
    }

    /// The last text of that name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find_map(|(found, value)| match value {
            Value::Text(text) if found == name => Some(text.as_str()),
            _ => None,
        })
    }

    fn print(&self, out: &mut String, depth: usize) {
        for (name, value) in &self.0 {
            let indent = "  ".repeat(depth);
            let printed = match value {
                Value::Text(text) => writeln!(out, "{indent}{name}: \"{}\"", escaped(text)),
                Value::Word(word) => writeln!(out, "{indent}{name}: {word}"),
                Value::Message(message) => {
                    out.push_str(&format!("{indent}{name}: <\n"));
                    message.print(out, depth.saturating_add(1));
                    writeln!(out, "{indent}>")
                }
            };
            debug_assert!(printed.is_ok(), "a String takes everything");
        }
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x20..0x7f => out.push(char::from(byte)),
            other => out.push_str(&format!("\\{other:03o}")),
        }
    }
    out
}

impl std::fmt::Display for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        self.print(&mut out, 0);
        f.write_str(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_originals_example_reads_and_prints_as_it_is() {
        let text = include_str!("../../tests/vectors/tao.config.example.txt");
        let message = Message::parse(text).unwrap();
        assert_eq!(message.to_string(), text);
        let info = message.message("domain_info").unwrap();
        assert_eq!(info.text("guard_type"), Some("Datalog"));
    }

    #[test]
    fn what_is_no_message_is_refused_with_its_line() {
        for (text, line) in [
            ("a: <\n b: 1\n", 3),
            ("a: \"x\ny\"", 1),
            ("\n\n: 1", 3),
            ("a", 1),
            ("a:", 1),
            ("a: \"\\q\"", 1),
            (">", 1),
        ] {
            let error = Message::parse(text).unwrap_err();
            assert!(
                matches!(error, TextError::Syntax { line: found, .. } if found == line),
                "{text}: {error}"
            );
        }
        assert_eq!(Message::parse(&"a <".repeat(20)), Err(TextError::TooLarge));
    }

    proptest! {
        #[test]
        fn any_text_survives(text in "\\PC*") {
            let message = Message(vec![("field".to_owned(), Value::Text(text))]);
            prop_assert_eq!(Message::parse(&message.to_string()).unwrap(), message);
        }

        #[test]
        fn random_text_never_panics(text in "[a-z:<>{}\"\\\\#0-9 \n]{0,60}") {
            drop(Message::parse(&text));
        }
    }
}
