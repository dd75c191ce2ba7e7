//! Statements of GRUB's script language.

use std::sync::Arc;

use super::{
    MAX_LEN,
    error::{MAX_DEPTH, ScriptError},
    lex::{Piece, Token, Word, tokens},
};

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// A command with its arguments.
    Command {
        /// The line, from 1.
        line: usize,
        /// The words; at least one.
        words: Vec<Word>,
    },
    /// `if`, with its conditions.
    If {
        /// The line, from 1.
        line: usize,
        /// Conditions and what they guard, in order.
        branches: Vec<(Vec<Self>, Vec<Self>)>,
        /// What follows `else`.
        otherwise: Vec<Self>,
    },
    /// `menuentry`, `submenu` or `hiddenentry`.
    Menu {
        /// The line, from 1.
        line: usize,
        /// Which of them.
        kind: MenuKind,
        /// The words behind the command.
        words: Vec<Word>,
        /// What is in the braces.
        body: Arc<[Self]>,
    },
    /// `for`, `while`, `until`.
    Loop {
        /// The line, from 1.
        line: usize,
        /// The variable that `for` sets.
        variable: Option<String>,
        /// What is repeated, conditions included.
        body: Vec<Self>,
    },
    /// A function.
    Function {
        /// The line, from 1.
        line: usize,
        /// Its name.
        name: String,
        /// What it does.
        body: Arc<[Self]>,
    },
}

/// The commands with a block behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MenuKind {
    /// `menuentry`.
    Entry,
    /// `submenu`.
    Submenu,
    /// `hiddenentry` (SUSE): booted by its hotkey only. It has no place in the menu, and is never
    /// the default. Other GRUBs have no such command and go on.
    Hidden,
}

/// Reads a whole script.
pub fn parse(script: &[u8]) -> Result<Vec<Statement>, ScriptError> {
    if script.len() > MAX_LEN {
        return Err(ScriptError::TooLong(script.len()));
    }
    let tokens = tokens(script)?;
    let mut parser = Parser {
        rest: &tokens,
        line: 1,
        depth: 0,
    };
    let statements = parser.statements(&[])?;
    match parser.rest.first() {
        None => Ok(statements),
        Some(_) => Err(parser.expected("a command")),
    }
}

/// The text of a word without variables.
pub fn literal(word: &Word) -> Option<String> {
    let mut text = Vec::new();
    for piece in word {
        match piece {
            Piece::Text(more) => text.extend_from_slice(more),
            Piece::Empty => {}
            Piece::Variable { .. } => return None,
        }
    }
    String::from_utf8(text).ok()
}

struct Parser<'a> {
    rest: &'a [(usize, Token)],
    line: usize,
    depth: usize,
}

impl Parser<'_> {
    fn bump(&mut self) {
        if let Some(((line, _), rest)) = self.rest.split_first() {
            self.line = *line;
            self.rest = rest;
        }
    }

    /// The word that stands next, when it is plain text: where a command may stand, keywords are
    /// such words.
    fn keyword(&self) -> Option<&str> {
        match self.rest.first() {
            Some((_, Token::Word(word))) => match word.as_slice() {
                [Piece::Text(text)] => std::str::from_utf8(text).ok(),
                _ => None,
            },
            _ => None,
        }
    }

    fn expected(&self, expected: &'static str) -> ScriptError {
        let (line, found) = match self.rest.first() {
            None => (self.line, "the end of the file".to_owned()),
            Some((line, Token::End)) => (*line, "the end of a command".to_owned()),
            Some((line, Token::Open)) => (*line, "{".to_owned()),
            Some((line, Token::Close)) => (*line, "}".to_owned()),
            Some((line, Token::Word(word))) => {
                let unknown = || "a word with a variable".to_owned();
                (
                    *line,
                    literal(word).map_or_else(unknown, |word| format!("{word:?}")),
                )
            }
        };
        ScriptError::Expected {
            line,
            expected,
            found,
        }
    }

    fn expect_keyword(&mut self, keyword: &'static str) -> Result<(), ScriptError> {
        if self.keyword() != Some(keyword) {
            return Err(self.expected(keyword));
        }
        self.bump();
        Ok(())
    }

    /// Statements up to one of the keywords, a closing brace, or the end.
    fn statements(&mut self, until: &[&str]) -> Result<Vec<Statement>, ScriptError> {
        let mut statements = Vec::new();
        loop {
            match self.rest.first() {
                None | Some((_, Token::Close)) => return Ok(statements),
                Some((_, Token::End)) => self.bump(),
                Some((_, Token::Open)) => return Err(self.expected("a command")),
                Some((line, Token::Word(_))) => {
                    let line = *line;
                    if self.keyword().is_some_and(|word| until.contains(&word)) {
                        return Ok(statements);
                    }
                    if self.depth == MAX_DEPTH {
                        return Err(ScriptError::TooDeep { line });
                    }
                    self.depth = self.depth.saturating_add(1);
                    let statement = self.statement(line);
                    self.depth = self.depth.saturating_sub(1);
                    statements.push(statement?);
                }
            }
        }
    }

    fn statement(&mut self, line: usize) -> Result<Statement, ScriptError> {
        match self.keyword() {
            Some("if") => self.condition(line),
            Some("for") => {
                self.bump();
                let variable = self.keyword().map(str::to_owned);
                while !matches!(self.rest.first(), None | Some((_, Token::End))) {
                    self.bump();
                }
                self.repeated(line, variable, Vec::new())
            }
            Some("while" | "until") => {
                self.bump();
                let condition = self.statements(&["do"])?;
                self.repeated(line, None, condition)
            }
            Some("function") => {
                self.bump();
                let Some(name) = self.keyword().map(str::to_owned) else {
                    return Err(self.expected("a function's name"));
                };
                self.bump();
                let body = self.block()?;
                let body = body.into();
                Ok(Statement::Function { line, name, body })
            }
            Some(word @ ("menuentry" | "submenu" | "hiddenentry")) => {
                let kind = match word {
                    "submenu" => MenuKind::Submenu,
                    "hiddenentry" => MenuKind::Hidden,
                    _ => MenuKind::Entry,
                };
                self.bump();
                let words = self.words();
                let body = self.block()?.into();
                Ok(Statement::Menu {
                    line,
                    kind,
                    words,
                    body,
                })
            }
            _ => {
                let words = self.words();
                match self.rest.first() {
                    Some((_, Token::Open)) => Err(self.expected("the end of the command")),
                    _ => Ok(Statement::Command { line, words }),
                }
            }
        }
    }

    fn words(&mut self) -> Vec<Word> {
        let mut words = Vec::new();
        while let Some((_, Token::Word(word))) = self.rest.first() {
            words.push(word.clone());
            self.bump();
        }
        words
    }

    fn ends(&mut self) {
        while let Some((_, Token::End)) = self.rest.first() {
            self.bump();
        }
    }

    fn block(&mut self) -> Result<Vec<Statement>, ScriptError> {
        self.ends();
        if !matches!(self.rest.first(), Some((_, Token::Open))) {
            return Err(self.expected("{"));
        }
        self.bump();
        let body = self.statements(&[])?;
        if !matches!(self.rest.first(), Some((_, Token::Close))) {
            return Err(self.expected("}"));
        }
        self.bump();
        Ok(body)
    }

    fn condition(&mut self, line: usize) -> Result<Statement, ScriptError> {
        let mut branches = Vec::new();
        loop {
            self.bump();
            let condition = self.statements(&["then"])?;
            self.expect_keyword("then")?;
            let body = self.statements(&["elif", "else", "fi"])?;
            branches.push((condition, body));
            if self.keyword() != Some("elif") {
                break;
            }
        }
        let mut otherwise = Vec::new();
        if self.keyword() == Some("else") {
            self.bump();
            otherwise = self.statements(&["fi"])?;
        }
        self.expect_keyword("fi")?;
        Ok(Statement::If {
            line,
            branches,
            otherwise,
        })
    }

    fn repeated(
        &mut self,
        line: usize,
        variable: Option<String>,
        condition: Vec<Statement>,
    ) -> Result<Statement, ScriptError> {
        self.ends();
        self.expect_keyword("do")?;
        let mut body = condition;
        body.extend(self.statements(&["done"])?);
        self.expect_keyword("done")?;
        Ok(Statement::Loop {
            line,
            variable,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grub_mkconfig_writes_is_read() {
        let script = b"if [ x$a = xb ]; then\n  set c=d\nelif true ; then\n  x\nelse\n  y\nfi\n\
            function f {\n  g\n}\nfor i in a b; do\n h $i\ndone\nwhile true; do :; done\n\
            submenu 's' {\nmenuentry 'm' --class if {\n echo if fi then\n}\n}\n";
        let statements = parse(script).unwrap();
        assert_eq!(statements.len(), 5);
        let Statement::If {
            branches,
            otherwise,
            ..
        } = &statements[0]
        else {
            panic!("{statements:?}");
        };
        assert_eq!((branches.len(), otherwise.len()), (2, 1));
        let Statement::Menu {
            kind: MenuKind::Submenu,
            body,
            ..
        } = &statements[4]
        else {
            panic!("{statements:?}");
        };
        let Statement::Menu {
            kind: MenuKind::Entry,
            body,
            line: 16,
            ..
        } = &body[0]
        else {
            panic!("{body:?}");
        };
        let Statement::Command { words, .. } = &body[0] else {
            panic!("{body:?}");
        };
        assert_eq!(words.len(), 4, "keywords are words behind a command");
    }

    #[test]
    fn what_is_not_closed_is_refused() {
        for script in [
            "menuentry a {\n b\n",
            "if a; then b",
            "for i in a; do b",
            "a }",
            "if a; b; fi",
            "a {b}",
            "function {}",
        ] {
            assert!(parse(script.as_bytes()).is_err(), "{script}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_not_recursed_into() {
        let script = "if a; then ".repeat(100_000);
        assert!(matches!(
            parse(script.as_bytes()),
            Err(ScriptError::TooDeep { line: 1 })
        ));
    }
}
