//! Text to values: recursive descent, one function for each level of the grammar.
//!
//! `Form := (forall|exists) Var : Form | Or [implies Form]`, `Or := And (or And)*`,
//! `And := High (and High)*`, `High := not High | ( Form ) | true | false | Pred | Term op`.

use super::{
    Form, Ident, Keyword, LogicError, Pred, Prin, PrinExt, PrinTail, Says, Speaksfor, SubPrin,
    Term,
    lexer::{Lexer, Token},
    limits::{Budget, MAX_LENGTH},
};

type Result<T> = std::result::Result<T, LogicError>;

/// What has a text form.
pub trait Text: Sized {
    /// Reads the value at the start of `text` and gives what follows it.
    ///
    /// The original's readers all worked like this and dropped the rest silently;
    /// `str::parse` is the one that takes nothing but the whole text.
    fn parse_prefix(text: &str) -> Result<(Self, &str)>;
}

struct Parser<'a> {
    lexer: Lexer<'a>,
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

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if !self.budget.enter() {
            return Err(LogicError::TooComplex);
        }
        let value = parse(self)?;
        self.budget.leave();
        Ok(value)
    }

    /// Moves on if `token` is next.
    fn skip(&mut self, token: &Token<'_>) -> bool {
        let mut ahead = self.lexer;
        let found = ahead.next().is_ok_and(|next| next == *token);
        if found {
            self.lexer = ahead;
        }
        found
    }

    fn expect(&mut self, token: &Token<'_>, what: &'static str) -> Result<()> {
        if self.skip(token) {
            Ok(())
        } else {
            self.lexer.error(what)
        }
    }

    fn word(&mut self, word: &str) -> bool {
        self.skip(&Token::Word(word))
    }

    fn ident(&mut self, what: &'static str) -> Result<Ident> {
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

    fn arguments(&mut self) -> Result<Vec<Term>> {
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
    fn parenthesized<T>(&mut self, inner: fn(&mut Self) -> Result<T>) -> Result<T> {
        self.nested(|parser| {
            if !parser.skip(&Token::Punct(b'(')) {
                return inner(parser);
            }
            let value = parser.parenthesized(inner)?;
            parser.expect(&Token::Punct(b')'), "')'")?;
            Ok(value)
        })
    }

    fn term(&mut self) -> Result<Term> {
        self.parenthesized(Self::bare_term)
    }

    fn bare_term(&mut self) -> Result<Term> {
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

    fn form(&mut self) -> Result<Form> {
        self.nested(|parser| {
            let left = parser.or()?;
            if !parser.word("implies") {
                return Ok(left);
            }
            Ok(Form::Implies(Box::new(left), Box::new(parser.form()?)))
        })
    }

    fn or(&mut self) -> Result<Form> {
        let mut left = self.and()?;
        while self.word("or") {
            let right = self.and()?;
            left = match left {
                Form::Or(mut list) => {
                    list.push(right);
                    Form::Or(list)
                }
                other => Form::Or(vec![other, right]),
            };
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Form> {
        let mut left = self.high()?;
        while self.word("and") {
            let right = self.high()?;
            left = match left {
                Form::And(mut list) => {
                    list.push(right);
                    Form::And(list)
                }
                other => Form::And(vec![other, right]),
            };
        }
        Ok(left)
    }

    fn high(&mut self) -> Result<Form> {
        self.nested(Self::high_inside)
    }

    fn high_inside(&mut self) -> Result<Form> {
        match self.lexer.peek()? {
            Token::Word("not") => {
                self.lexer.next()?;
                Ok(Form::Not(Box::new(self.high()?)))
            }
            Token::Word(quantifier @ ("forall" | "exists")) => {
                self.lexer.next()?;
                self.quantified(quantifier == "forall")
            }
            Token::Word(constant @ ("true" | "false")) => {
                self.lexer.next()?;
                Ok(Form::Const(constant == "true"))
            }
            Token::Punct(b'(') => {
                self.lexer.next()?;
                let form = self.form()?;
                self.expect(&Token::Punct(b')'), "')'")?;
                Ok(form)
            }
            Token::Ident(name) => {
                let mut ahead = self.lexer;
                ahead.next()?;
                if ahead.next_byte() == Some(b'(') {
                    self.lexer = ahead;
                    let name = Ident::new(name)?;
                    return Ok(Form::Pred(Pred {
                        name,
                        args: self.arguments()?,
                    }));
                }
                self.statement()
            }
            Token::Punct(_) | Token::End => self.lexer.error("a form"),
            _ => self.statement(),
        }
    }

    fn quantified(&mut self, universal: bool) -> Result<Form> {
        let variable = self.ident("a variable")?;
        self.expect(&Token::Punct(b':'), "':'")?;
        let body = Box::new(self.form()?);
        Ok(if universal {
            Form::Forall(variable, body)
        } else {
            Form::Exists(variable, body)
        })
    }

    /// `Term speaksfor Term` or `Term [from Int] [until Int] says Form`.
    fn statement(&mut self) -> Result<Form> {
        let subject = self.nested(Self::bare_term)?;
        if self.word("speaksfor") {
            let delegator = self.term()?;
            return Ok(Form::Speaksfor(Speaksfor {
                delegate: subject,
                delegator,
            }));
        }
        let (mut time, mut expiration) = (None, None);
        loop {
            if time.is_none() && self.word("from") {
                time = Some(self.parenthesized(Self::bare_int)?);
            } else if expiration.is_none() && self.word("until") {
                expiration = Some(self.parenthesized(Self::bare_int)?);
            } else {
                break;
            }
        }
        self.expect(&Token::Word("says"), "speaksfor, from, until or says")?;
        let message = Box::new(self.form()?);
        Ok(Form::Says(Says {
            speaker: subject,
            time,
            expiration,
            message,
        }))
    }

    fn bare_int(&mut self) -> Result<i64> {
        let before = self.lexer;
        match self.lexer.next() {
            Ok(Token::Int(value)) => Ok(value),
            _ => before.error("an integer"),
        }
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
                let at = text.len() - rest.trim_start().len();
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
