//! Words of GRUB's script language.

use super::error::ScriptError;

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text, with quotes and escapes taken off.
    Text(Vec<u8>),
    /// A variable; outside of double quotes its value is split at blanks.
    Variable {
        /// Its name.
        name: String,
        /// Does it stand in double quotes?
        quoted: bool,
    },
    /// Nothing, in quotes: makes a word even where nothing else does.
    Empty,
}

/// A word: pieces that stand together.
pub type Word = Vec<Piece>;

/// What the script consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A word.
    Word(Word),
    /// A line's end or a semicolon.
    End,
    /// `{`
    Open,
    /// `}`
    Close,
}

/// Splits a script into tokens with their lines, from 1.
pub fn tokens(script: &[u8]) -> Result<Vec<(usize, Token)>, ScriptError> {
    let mut lexer = Lexer {
        rest: script,
        line: 1,
    };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next_token()? {
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    rest: &'a [u8],
    line: usize,
}

/// Bytes that end a word.
const fn ends_word(byte: u8) -> bool {
    matches!(
        byte,
        b'{' | b'}' | b'|' | b'&' | b';' | b'<' | b'>' | b' ' | b'\t' | b'\n' | b'\r'
    )
}

impl Lexer<'_> {
    fn bump(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        if *first == b'\n' {
            self.line = self.line.saturating_add(1);
        }
        Some(*first)
    }

    fn next_token(&mut self) -> Result<Option<(usize, Token)>, ScriptError> {
        loop {
            let line = self.line;
            let Some(first) = self.rest.first() else {
                return Ok(None);
            };
            let token = match first {
                b' ' | b'\t' | b'\r' => {
                    self.bump();
                    continue;
                }
                // A line that goes on below.
                b'\\' if self.rest.get(1) == Some(&b'\n') => {
                    self.bump();
                    self.bump();
                    continue;
                }
                b'#' => {
                    while self.rest.first().is_some_and(|byte| *byte != b'\n') {
                        self.bump();
                    }
                    continue;
                }
                b'\n' | b';' => Token::End,
                b'{' => Token::Open,
                b'}' => Token::Close,
                b'|' | b'&' | b'<' | b'>' => {
                    return Err(ScriptError::Character {
                        line,
                        found: char::from(*first),
                    });
                }
                _ => return Ok(Some((line, Token::Word(self.word()?)))),
            };
            self.bump();
            return Ok(Some((line, token)));
        }
    }

    fn word(&mut self) -> Result<Word, ScriptError> {
        let mut word = Word::new();
        while let Some(first) = self.rest.first().copied() {
            match first {
                _ if ends_word(first) => break,
                b'\'' => self.single_quoted(&mut word)?,
                b'"' => self.double_quoted(&mut word)?,
                b'$' if self.rest.get(1) == Some(&b'"') => {
                    self.bump();
                    self.double_quoted(&mut word)?;
                }
                b'$' => self.variable(&mut word, false)?,
                b'\\' => {
                    self.bump();
                    match self.bump() {
                        Some(b'\n') | None => {}
                        Some(escaped) => push(&mut word, escaped),
                    }
                }
                _ => {
                    self.bump();
                    push(&mut word, first);
                }
            }
        }
        Ok(word)
    }

    fn single_quoted(&mut self, word: &mut Word) -> Result<(), ScriptError> {
        let line = self.line;
        self.bump();
        word.push(Piece::Empty);
        loop {
            match self.bump() {
                Some(b'\'') => return Ok(()),
                Some(byte) => push(word, byte),
                None => return Err(ScriptError::OpenQuote { line }),
            }
        }
    }

    fn double_quoted(&mut self, word: &mut Word) -> Result<(), ScriptError> {
        let line = self.line;
        self.bump();
        word.push(Piece::Empty);
        loop {
            match (self.rest.first().copied(), self.rest.get(1).copied()) {
                (Some(b'"'), _) => {
                    self.bump();
                    return Ok(());
                }
                (Some(b'$'), _) => self.variable(word, true)?,
                (Some(b'\\'), Some(escaped @ (b'$' | b'\\' | b'"'))) => {
                    self.bump();
                    self.bump();
                    push(word, escaped);
                }
                (Some(b'\\'), Some(b'\n')) => {
                    self.bump();
                    self.bump();
                }
                (Some(byte), _) => {
                    self.bump();
                    push(word, byte);
                }
                (None, _) => return Err(ScriptError::OpenQuote { line }),
            }
        }
    }

    /// `$name`, `${name}`, `$1`, `$?` ...
    fn variable(&mut self, word: &mut Word, quoted: bool) -> Result<(), ScriptError> {
        let line = self.line;
        self.bump();
        let braces = self.rest.first() == Some(&b'{');
        if braces {
            self.bump();
        }
        let mut name = String::new();
        while let Some(byte) = self.rest.first().copied() {
            let special = name.is_empty() && matches!(byte, b'?' | b'#' | b'*' | b'@');
            let first_digit = name.as_bytes().first().is_some_and(u8::is_ascii_digit);
            let fits = if first_digit {
                byte.is_ascii_digit()
            } else {
                byte.is_ascii_alphanumeric() || byte == b'_'
            };
            if !special && !fits {
                break;
            }
            self.bump();
            name.push(char::from(byte));
            if special {
                break;
            }
        }
        let closed = !braces || self.bump() == Some(b'}');
        if name.is_empty() || !closed {
            return Err(ScriptError::Variable { line });
        }
        word.push(Piece::Variable { name, quoted });
        Ok(())
    }
}

/// Appends a byte to the text at the word's end.
fn push(word: &mut Word, byte: u8) {
    match word.last_mut() {
        Some(Piece::Text(text)) => text.push(byte),
        _ => word.push(Piece::Text(vec![byte])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of one line; variables as <name> or <"name">.
    fn words(line: &str) -> Vec<String> {
        let show = |word: &Word| -> String {
            let pieces = word.iter().map(|piece| match piece {
                Piece::Text(text) => String::from_utf8_lossy(text).into_owned(),
                Piece::Variable { name, quoted: true } => format!("<\"{name}\">"),
                Piece::Variable { name, .. } => format!("<{name}>"),
                Piece::Empty => String::new(),
            });
            pieces.collect()
        };
        let tokens = tokens(line.as_bytes()).unwrap();
        tokens
            .iter()
            .map(|(_, token)| match token {
                Token::Word(word) => show(word),
                Token::End => ";".to_owned(),
                Token::Open => "{".to_owned(),
                Token::Close => "}".to_owned(),
            })
            .collect()
    }

    #[test]
    fn quotes_and_escapes_are_grubs() {
        assert_eq!(words("a 'b c' \"d e\""), ["a", "b c", "d e"]);
        assert_eq!(words(r"a\ b \'c"), ["a b", "'c"]);
        assert_eq!(
            words(r#"'a\b' "c\d" "e\"f" "g\\h" "i\$j""#),
            ["a\\b", "c\\d", "e\"f", "g\\h", "i$j"]
        );
        assert_eq!(words("x='y z'w"), ["x=y zw"]);
        assert_eq!(words("'it'\\''s'"), ["it's"]);
        assert_eq!(words("a\\\nb c \\\n d"), ["ab", "c", "d"]);
        assert_eq!(words("schön 'größe'"), ["schön", "größe"]);
        assert_eq!(words("$\"Lade %s\""), ["Lade %s"]);
    }

    #[test]
    fn variables_are_found_in_and_outside_of_quotes() {
        assert_eq!(
            words("$a ${b}c \"$d\" '$e' $1 $?x"),
            ["<a>", "<b>c", "<\"d\">", "$e", "<1>", "<?>x"]
        );
        assert!(matches!(
            tokens(b"a $ b"),
            Err(ScriptError::Variable { line: 1 })
        ));
        assert!(matches!(
            tokens(b"\n${a b"),
            Err(ScriptError::Variable { line: 2 })
        ));
    }

    #[test]
    fn comments_begin_where_a_word_would() {
        assert_eq!(words("a#b # c ' d\ne"), ["a#b", ";", "e"]);
    }

    #[test]
    fn what_grub_cannot_read_is_refused_with_its_line() {
        assert!(matches!(
            tokens(b"\n\na | b"),
            Err(ScriptError::Character {
                line: 3,
                found: '|'
            })
        ));
        assert!(matches!(
            tokens(b"a\n'b\n"),
            Err(ScriptError::OpenQuote { line: 2 })
        ));
        assert!(matches!(
            tokens(b"\"b\\"),
            Err(ScriptError::OpenQuote { line: 1 })
        ));
    }
}
