//! Text to statements: the levels of the grammar that are forms.
//!
//! `Form := (forall|exists) Var (, Var)* : Form | Or [implies Form]`, `Or := And (or And)*`,
//! `And := High (and High)*`, `High := not High | ( Form ) | true | false | Pred | Term op`.

use super::{
    ast::{Form, Pred, Says, Speaksfor},
    identifier::Ident,
    lexer::Token,
    parse::{Parser, Result},
};

impl Parser<'_> {
    pub(super) fn form(&mut self) -> Result<Form> {
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
        // Several variables at once, as people write rules, are so many quantifiers.
        let body = if self.lexer.peek()? == Token::Punct(b',') {
            self.lexer.next()?;
            self.nested(|parser| parser.quantified(universal))?
        } else {
            self.expect(&Token::Punct(b':'), "':' or ','")?;
            self.form()?
        };
        let body = Box::new(body);
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
