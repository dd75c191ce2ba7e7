//! Splits text into tokens, one at a time, as the parser asks for them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE};

use super::{
    LogicError, Str,
    error::shortened,
    identifier::{RESERVED, in_identifier},
    quoted,
};

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Lower-case word: reserved, or the kind of a principal.
    Word(&'a str),
    /// Identifier.
    Ident(&'a str),
    /// `"text"`
    Str(Str),
    /// `[0a]` or `{Cg==}`
    Bytes(Vec<u8>),
    /// `-42`
    Int(i64),
    /// One of `( ) , . :`
    Punct(u8),
    /// End of the text.
    End,
}

/// A position in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Lexer { text, at: 0 }
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The very next byte, white space included: some marks must follow directly.
    pub(super) fn next_byte(&self) -> Option<u8> {
        self.rest().bytes().next()
    }

    /// "Expected this, found what is here."
    pub(super) fn error<T>(&self, expected: &'static str) -> Result<T, LogicError> {
        let found = match self.rest() {
            "" => "the end".to_owned(),
            rest => format!("{:?}", shortened(rest)),
        };
        Err(LogicError::Syntax {
            expected,
            at: self.at,
            found,
        })
    }

    /// The same position behind white space.
    pub(super) fn after_space(mut self) -> Self {
        self.skip_space();
        self
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at = self
            .at
            .saturating_add(rest.len().saturating_sub(rest.trim_start().len()));
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, _) = self.rest().split_at_checked(length).unwrap_or_default();
        self.at = self.at.saturating_add(taken.len());
        taken
    }

    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a str {
        let length = self
            .rest()
            .bytes()
            .take_while(|byte| belongs(*byte))
            .count();
        self.take(length)
    }

    /// The next token without moving on; errors are those of [`Lexer::next`].
    pub(super) fn peek(&self) -> Result<Token<'a>, LogicError> {
        let mut ahead = *self;
        ahead.next()
    }

    /// Reads one token.
    pub(super) fn next(&mut self) -> Result<Token<'a>, LogicError> {
        self.skip_space();
        let Some(first) = self.next_byte() else {
            return Ok(Token::End);
        };
        match first {
            b'(' | b')' | b',' | b'.' | b':' => {
                self.take(1);
                Ok(Token::Punct(first))
            }
            b'a'..=b'z' => Ok(Token::Word(self.word())),
            b'A'..=b'Z' => Ok(Token::Ident(self.take_while(in_identifier))),
            b'-' | b'0'..=b'9' => self.int(),
            b'"' => self.string(),
            b'[' => self.bytes(b']', "hex digits and ']'", |inside| {
                hex::decode(inside).ok()
            }),
            b'{' => self.bytes(b'}', "base64url and '}'", |inside| {
                URL_SAFE.decode(inside).ok()
            }),
            _ => self.error("a form or a term"),
        }
    }

    /// Lower-case letters; digits too (`tpm2`), unless the letters are a reserved word.
    fn word(&mut self) -> &'a str {
        let start = self.at;
        let letters = self.take_while(|byte| byte.is_ascii_lowercase());
        if RESERVED.contains(&letters) {
            return letters;
        }
        self.take_while(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn int(&mut self) -> Result<Token<'a>, LogicError> {
        let before = *self;
        self.take_while(|byte| byte == b'-');
        self.take_while(|byte| byte.is_ascii_digit());
        match self.text.get(before.at..self.at).map(str::parse) {
            Some(Ok(value)) => Ok(Token::Int(value)),
            _ => before.error("an integer of 64 bits"),
        }
    }

    fn string(&mut self) -> Result<Token<'a>, LogicError> {
        match quoted::parse(self.rest()) {
            Some((value, length)) => {
                self.take(length);
                Ok(Token::Str(Str::from(value)))
            }
            None => self.error("a string with valid escapes and a closing quote"),
        }
    }

    /// White space inside is ignored, as the original's documentation says (its code
    /// repeated the bytes before it).
    fn bytes(
        &mut self,
        close: u8,
        expected: &'static str,
        decode: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<Token<'a>, LogicError> {
        let before = *self;
        self.take(1);
        let inside = self.take_while(|byte| byte != close);
        let compact: Vec<u8> = inside
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        match decode(&compact) {
            Some(bytes) if self.next_byte() == Some(close) => {
                self.take(1);
                Ok(Token::Bytes(bytes))
            }
            _ => before.error(expected),
        }
    }
}
