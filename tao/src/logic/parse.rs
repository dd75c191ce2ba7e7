//! Text to values: recursive descent, one function for each level of the grammar. Here
//! are terms and names; forms are in `parse_form`.

use super::{
    ast::{Form, Pred, Prin, PrinExt, PrinTail, SubPrin, Term},
    error::LogicError,
    identifier::{Ident, Keyword},
    lexer::{Lexer, Token},
    limits::{Budget, MAX_LENGTH},
};

pub(super) type Result<T> = std::result::Result<T, LogicError>;

/// What has a text form.
pub trait Text: Sized {
    /// Reads the value at the start of `text` and gives what follows it.
    ///
    /// The original's readers all worked like this and dropped the rest silently;
    /// `str::parse` is the one that takes nothing but the whole text.
    ///
    /// # Errors
    /// When the text does not begin with such a value.
    fn parse_prefix(text: &str) -> Result<(Self, &str)>;
}

pub(super) struct Parser<'a> {
    pub(super) lexer: Lexer<'a>,
    budget: Budget,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self> {
        if text.len() > MAX_LENGTH {
            return Err(LogicError::TooLong(text.len()));
        }
        Ok(Parser {
            lexer: Lexer::new(text),
            budget: Budget::default(),
        })
    }

    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if !self.budget.enter() {
            return Err(LogicError::TooComplex);
        }
        let value = parse(self)?;
        self.budget.leave();
        Ok(value)
    }

    /// Moves on if `token` is next.
    pub(super) fn skip(&mut self, token: &Token<'_>) -> bool {
        let mut ahead = self.lexer;
        let found = ahead.next().is_ok_and(|next| next == *token);
        if found {
            self.lexer = ahead;
        }
        found
    }

    pub(super) fn expect(&mut self, token: &Token<'_>, what: &'static str) -> Result<()> {
        if self.skip(token) {
            Ok(())
        } else {
            self.lexer.error(what)
        }
    }

    pub(super) fn word(&mut self, word: &str) -> bool {
        self.skip(&Token::Word(word))
    }

    pub(super) fn ident(&mut self, what: &'static str) -> Result<Ident> {
        let before = self.lexer;
        match self.lexer.next() {
            Ok(Token::Ident(name)) => Ident::new(name),
            _ => before.error(what),
        }
    }

    /// `(` directly after a name.
    fn open_arguments(&mut self) -> Result<()> {
        if self.lexer.next_byte() == Some(b'(') {
            self.expect(&Token::Punct(b'('), "'('")
        } else {
            self.lexer.error("'(' directly after the name")
        }
    }

    pub(super) fn arguments(&mut self) -> Result<Vec<Term>> {
        self.open_arguments()?;
        let mut terms = Vec::new();
        if self.skip(&Token::Punct(b')')) {
            return Ok(terms);
        }
        loop {
            terms.push(self.term()?);
            if self.skip(&Token::Punct(b')')) {
                return Ok(terms);
            }
            self.expect(&Token::Punct(b','), "',' or ')'")?;
        }
    }

    /// A value in any number of parentheses.
    pub(super) fn parenthesized<T>(&mut self, inner: fn(&mut Self) -> Result<T>) -> Result<T> {
        self.nested(|parser| {
            if !parser.skip(&Token::Punct(b'(')) {
                return inner(parser);
            }
            let value = parser.parenthesized(inner)?;
            parser.expect(&Token::Punct(b')'), "')'")?;
            Ok(value)
        })
    }

    pub(super) fn term(&mut self) -> Result<Term> {
        self.parenthesized(Self::bare_term)
    }

    pub(super) fn bare_term(&mut self) -> Result<Term> {
        let before = self.lexer;
        match self.lexer.next()? {
            Token::Str(string) => Ok(Term::Str(string)),
            Token::Bytes(bytes) => Ok(Term::Bytes(bytes.into())),
            Token::Int(value) => Ok(Term::Int(value)),
            Token::Ident(name) => Ident::new(name).map(Term::Var),
            Token::Word("ext") => self.tail_extensions().map(Term::PrinTail),
            Token::Word(kind) => self.prin_of(kind).map(Term::from),
            Token::Punct(_) | Token::End => before.error("a term"),
        }
    }

    fn prin_of(&mut self, kind: &str) -> Result<Prin> {
        let kind = Keyword::new(kind)?;
        self.open_arguments()?;
        let id = self.nested(Self::bare_term)?;
        self.expect(&Token::Punct(b')'), "')'")?;
        Ok(Prin {
            kind,
            id,
            ext: self.extensions()?,
        })
    }

    fn bare_prin(&mut self) -> Result<Prin> {
        let before = self.lexer;
        match self.lexer.next() {
            Ok(Token::Word(kind)) if kind != "ext" => self.prin_of(kind),
            _ => before.error("a principal"),
        }
    }

    /// `.Name(args)` as often as a dot follows directly.
    fn extensions(&mut self) -> Result<SubPrin> {
        let mut chain = Vec::new();
        while self.lexer.next_byte() == Some(b'.') {
            self.expect(&Token::Punct(b'.'), "'.'")?;
            let name = self.ident("the name of an extension")?;
            if !self.budget.enter() {
                return Err(LogicError::TooComplex);
            }
            chain.push(PrinExt {
                name,
                args: self.arguments()?,
            });
            self.budget.leave();
        }
        Ok(SubPrin(chain))
    }

    fn tail_extensions(&mut self) -> Result<PrinTail> {
        let chain = self.extensions()?;
        if chain.0.is_empty() {
            self.lexer.error("'.' and an extension after ext")
        } else {
            Ok(PrinTail(chain))
        }
    }

    fn bare_tail(&mut self) -> Result<PrinTail> {
        self.expect(&Token::Word("ext"), "ext")?;
        self.tail_extensions()
    }

    fn sub_prin(&mut self) -> Result<SubPrin> {
        let chain = self.extensions()?;
        if chain.0.is_empty() {
            self.lexer.error("'.' and an extension")
        } else {
            Ok(chain)
        }
    }

    fn bare_pred(&mut self) -> Result<Pred> {
        let name = self.ident("a predicate")?;
        Ok(Pred {
            name,
            args: self.arguments()?,
        })
    }
}

macro_rules! text {
    ($($type:ty => $parse:expr),* $(,)?) => {$(
        impl Text for $type {
            fn parse_prefix(text: &str) -> Result<(Self, &str)> {
                let parse: fn(&mut Parser<'_>) -> Result<$type> = $parse;
                let mut parser = Parser::new(text)?;
                let value = parse(&mut parser)?;
                Ok((value, parser.lexer.rest()))
            }
        }

        impl std::str::FromStr for $type {
            type Err = LogicError;
            fn from_str(text: &str) -> Result<Self> {
                let (value, rest) = Self::parse_prefix(text)?;
                if rest.trim_start().is_empty() {
                    return Ok(value);
                }
                let at = text.len().saturating_sub(rest.trim_start().len());
                let found = format!("{:?}", super::error::shortened(rest.trim_start()));
                Err(LogicError::Syntax { expected: "the end", at, found })
            }
        }
    )*};
}

text!(
    Term => |parser| parser.term(),
    Prin => |parser| parser.parenthesized(Parser::bare_prin),
    PrinTail => |parser| parser.parenthesized(Parser::bare_tail),
    Pred => |parser| parser.parenthesized(Parser::bare_pred),
    SubPrin => |parser| {
        // Leading white space is skipped for every other kind by its first token.
        parser.lexer = parser.lexer.after_space();
        parser.sub_prin()
    },
    Form => |parser| parser.form(),
);
