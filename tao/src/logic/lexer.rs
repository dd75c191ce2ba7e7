//! Splits text into tokens, one at a time, as the parser asks for them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE};

use super::{
    ast::Str,
    error::{LogicError, shortened},
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
    /// How long the whole text is.
    length: usize,
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Lexer {
            length: text.len(),
            rest: text,
        }
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &'a str {
        self.rest
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
            at: self.length.saturating_sub(self.rest.len()),
            found,
        })
    }

    /// The same position behind white space.
    pub(super) fn after_space(mut self) -> Self {
        self.skip_space();
        self
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// `length` ends a character that was found in the rest.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    /// All characters up to the first that does not belong.
    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|next| !belongs(next));
        self.take(end.unwrap_or(self.rest.len()))
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
            b'A'..=b'Z' => {
                Ok(Token::Ident(self.take_while(|next| {
                    next.is_ascii() && in_identifier(next as u8)
                })))
            }
            b'-' | b'0'..=b'9' => self.int(),
            b'"' => self.string(),
            b'[' => self.bytes(']', "hex digits and ']'", |inside| hex::decode(inside).ok()),
            b'{' => self.bytes('}', "base64url and '}'", |inside| {
                URL_SAFE.decode(inside).ok()
            }),
            _ => self.error("a form or a term"),
        }
    }

    /// Lower-case letters; digits too (`tpm2`), unless the letters are a reserved word.
    fn word(&mut self) -> &'a str {
        let mut after_letters = *self;
        let letters = after_letters.take_while(|next| next.is_ascii_lowercase());
        if RESERVED.contains(&letters) {
            *self = after_letters;
            return letters;
        }
        self.take_while(|next| next.is_ascii_lowercase() || next.is_ascii_digit())
    }

    fn int(&mut self) -> Result<Token<'a>, LogicError> {
        let before = *self;
        let signs = self.take_while(|next| next == '-').len();
        let digits = self.take_while(|next| next.is_ascii_digit()).len();
        let (number, _) = before.rest.split_at(signs.saturating_add(digits));
        match number.parse() {
            Ok(value) => Ok(Token::Int(value)),
            Err(_) => before.error("an integer of 64 bits"),
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
        close: char,
        expected: &'static str,
        decode: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<Token<'a>, LogicError> {
        let before = *self;
        self.take(1);
        let inside = self.take_while(|next| next != close);
        let compact: Vec<u8> = inside
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        match decode(&compact) {
            Some(bytes) if self.rest.starts_with(close) => {
                self.take(1);
                Ok(Token::Bytes(bytes))
            }
            _ => before.error(expected),
        }
    }
}
