//! The syntax of LVM's metadata: sections in braces, `key = value`, comments after `#`
//! (lvm.conf(5), which has the same).

use std::collections::BTreeMap;

/// LVM's own metadata has four.
const DEEPEST: usize = 8;

/// A text that is not LVM's metadata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// Not text at all.
    #[error("LVM's metadata is not UTF-8")]
    Encoding,
    /// Something else is needed.
    #[error("line {line} of LVM's metadata: {wanted} is missing")]
    Missing {
        /// Counted from 1.
        line: usize,
        /// What was expected.
        wanted: &'static str,
    },
    /// Sections in sections.
    #[error("line {line} of LVM's metadata: more than {DEEPEST} sections in one another")]
    Deep {
        /// Counted from 1.
        line: usize,
    },
    /// Which one counts?
    #[error("line {line} of LVM's metadata: {name:?} is there twice")]
    Twice {
        /// Counted from 1.
        line: usize,
        /// What is.
        name: String,
    },
}

/// What stands behind a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Number(i64),
    /// Text in quotes.
    Text(String),
    /// In brackets.
    List(Vec<Self>),
    /// A number with a fraction, or one that is too large.
    Other,
}

/// Keys with values, and sections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// By key.
    pub values: BTreeMap<String, Value>,
    /// By name.
    pub sections: BTreeMap<String, Self>,
}

/// Reads a metadata text, which ends with a zero byte.
///
/// # Errors
/// If it is not LVM's syntax.
pub fn parse(text: &[u8]) -> Result<Section, SyntaxError> {
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    let rest = std::str::from_utf8(text).map_err(|_| SyntaxError::Encoding)?;
    let mut reader = Reader { rest, whole: rest };
    reader.entries(0)
}

struct Reader<'t> {
    rest: &'t str,
    whole: &'t str,
}

impl<'t> Reader<'t> {
    /// The line that is being read: counted only for errors.
    fn line(&self) -> usize {
        let read = self.whole.len().saturating_sub(self.rest.len());
        let read = self.whole.as_bytes().get(..read).unwrap_or(&[]);
        read.iter()
            .filter(|byte| **byte == b'\n')
            .count()
            .saturating_add(1)
    }

    fn missing(&self, wanted: &'static str) -> SyntaxError {
        let line = self.line();
        SyntaxError::Missing { line, wanted }
    }

    /// The entries up to the brace that closes the section; of the whole text, up to its end.
    fn entries(&mut self, depth: usize) -> Result<Section, SyntaxError> {
        let mut section = Section::default();
        loop {
            self.skip();
            if depth == 0 && self.rest.is_empty() {
                return Ok(section);
            }
            if depth > 0 && self.take('}') {
                return Ok(section);
            }
            let name = self.key()?;
            if section.values.contains_key(&name) || section.sections.contains_key(&name) {
                let line = self.line();
                return Err(SyntaxError::Twice { line, name });
            }
            self.skip();
            if self.take('=') {
                self.skip();
                let value = self.value(false)?;
                section.values.insert(name, value);
            } else if self.take('{') {
                let deeper = depth.saturating_add(1);
                if deeper > DEEPEST {
                    return Err(SyntaxError::Deep { line: self.line() });
                }
                let inner = self.entries(deeper)?;
                section.sections.insert(name, inner);
            } else {
                return Err(self.missing("\"=\" or \"{\""));
            }
        }
    }

    /// White space and comments.
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            if !self.rest.starts_with('#') {
                return;
            }
            self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
    }

    fn take(&mut self, letter: char) -> bool {
        match self.rest.strip_prefix(letter) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn key(&mut self) -> Result<String, SyntaxError> {
        if self.rest.starts_with('"') {
            return self.quoted();
        }
        let is_part = |letter: char| letter.is_ascii_graphic() && !"={}[]\",#".contains(letter);
        let name = self.word(is_part);
        if name.is_empty() {
            return Err(self.missing("a key"));
        }
        Ok(name.to_owned())
    }

    fn word(&mut self, is_part: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|letter| !is_part(letter));
        let (word, rest) = end
            .and_then(|end| self.rest.split_at_checked(end))
            .unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }

    fn value(&mut self, is_in_list: bool) -> Result<Value, SyntaxError> {
        if self.rest.starts_with('"') {
            return self.quoted().map(Value::Text);
        }
        // A list holds no lists.
        if !is_in_list && self.take('[') {
            return self.list();
        }
        let word = self.word(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
        if !word.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
            return Err(self.missing("a value"));
        }
        Ok(word.parse().map_or(Value::Other, Value::Number))
    }

    fn list(&mut self) -> Result<Value, SyntaxError> {
        let mut values = Vec::new();
        loop {
            self.skip();
            if self.take(']') {
                return Ok(Value::List(values));
            }
            if !values.is_empty() {
                if !self.take(',') {
                    return Err(self.missing("\",\" or \"]\""));
                }
                self.skip();
            }
            values.push(self.value(true)?);
        }
    }

    /// Text in quotes: a backslash stands before a quote or a backslash.
    fn quoted(&mut self) -> Result<String, SyntaxError> {
        let mut text = String::new();
        let mut letters = self.rest.char_indices().skip(1);
        loop {
            match letters.next() {
                None => return Err(self.missing("the end of a quoted text")),
                Some((at, '"')) => {
                    let rest = self.rest.get(at..).unwrap_or("");
                    self.rest = rest.strip_prefix('"').unwrap_or(rest);
                    return Ok(text);
                }
                Some((_, '\\')) => match letters.next() {
                    Some((_, letter)) => text.push(letter),
                    None => return Err(self.missing("the end of a quoted text")),
                },
                Some((_, letter)) => text.push(letter),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn values_and_sections_are_read() {
        let text = "vg-1 { # a comment with } and \"\n id=\"a\\\"\\\\b\"\n n = -12\nx=1.5\n\
                    l=[\"a\",0 , 3]\n e=[ ]\ninner { }\n}\nversion = 1\n\0";
        let tree = parse(text.as_bytes()).unwrap();
        let group = &tree.sections["vg-1"];
        assert_eq!(tree.values["version"], Value::Number(1));
        assert_eq!(group.values["id"], Value::Text("a\"\\b".to_owned()));
        assert_eq!(group.values["n"], Value::Number(-12));
        assert_eq!(group.values["x"], Value::Other);
        assert_eq!(group.values["e"], Value::List(vec![]));
        assert_eq!(group.sections["inner"], Section::default());
        let list = [
            Value::Text("a".to_owned()),
            Value::Number(0),
            Value::Number(3),
        ];
        assert_eq!(group.values["l"], Value::List(list.to_vec()));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        assert_eq!(
            error("a = 1\nb"),
            "line 2 of LVM's metadata: \"=\" or \"{\" is missing"
        );
        assert_eq!(
            error("a = 1\n\nb = x"),
            "line 3 of LVM's metadata: a value is missing"
        );
        assert_eq!(error("a {"), "line 1 of LVM's metadata: a key is missing");
        assert_eq!(error("}"), "line 1 of LVM's metadata: a key is missing");
        assert_eq!(
            error("a = [1 2]"),
            "line 1 of LVM's metadata: \",\" or \"]\" is missing"
        );
        assert_eq!(
            error("a = [[]]"),
            "line 1 of LVM's metadata: a value is missing"
        );
        assert!(error("a = \"b").contains("quoted text"));
        assert!(error("a = \"b\\").contains("quoted text"));
        assert_eq!(
            error("a=1\na{}"),
            "line 2 of LVM's metadata: \"a\" is there twice"
        );
        assert!(error(&"a{".repeat(9)).contains("more than 8 sections"));
        assert!(error(&"a{".repeat(1 << 20)).contains("more than 8 sections"));
        assert_eq!(parse(b"a=\"\xff\""), Err(SyntaxError::Encoding));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([a-c{}=#\\[\\],\"\\\\ \n0-9]|\\PC){0,60}") {
            if let Ok(section) = parse(text.as_bytes()) {
                let read = section.values.len() + section.sections.len();
                prop_assert!(read <= text.len());
            }
        }
    }
}
