//! Values to text: the canonical form, and two styles for people.
//!
//! Parentheses are written only where the grammar needs them. What reaches as far right
//! as it can (`says`, `speaksfor`, quantifiers) needs none at the right end.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE};

use super::{
    ast::{Form, Pred, Prin, PrinExt, PrinTail, SubPrin, Term},
    quoted,
};

/// How byte strings and long values are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Everything, bytes in hex: the text that stands for the value.
    #[default]
    Canonical,
    /// Strings and bytes longer than 32 are cut to 24 and `...`.
    Short,
    /// Bytes as `{base64url}`.
    Base64,
}

/// Binding strength of a form, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Low,
    Or,
    And,
    High,
}

/// Longest string that [`Style::Short`] shows whole, and what it keeps of a longer one.
const SHORT_WHOLE: usize = 32;
const SHORT_KEPT: usize = 24;

struct Printer {
    out: String,
    style: Style,
}

impl Printer {
    fn shown<'a>(&self, bytes: &'a [u8]) -> (&'a [u8], &'static str) {
        match bytes.get(..SHORT_KEPT) {
            Some(kept) if self.style == Style::Short && bytes.len() > SHORT_WHOLE => (kept, "..."),
            _ => (bytes, ""),
        }
    }

    fn terms(&mut self, terms: &[Term]) {
        self.out.push('(');
        for (position, term) in terms.iter().enumerate() {
            if position > 0 {
                self.out.push_str(", ");
            }
            self.term(term);
        }
        self.out.push(')');
    }

    fn sub_prin(&mut self, sub: &SubPrin) {
        for PrinExt { name, args } in &sub.0 {
            self.out.push('.');
            self.out.push_str(name.as_str());
            self.terms(args);
        }
    }

    fn prin(&mut self, prin: &Prin) {
        self.out.push_str(prin.kind.as_str());
        self.out.push('(');
        self.term(&prin.id);
        self.out.push(')');
        self.sub_prin(&prin.ext);
    }

    fn tail(&mut self, tail: &PrinTail) {
        self.out.push_str("ext");
        self.sub_prin(&tail.0);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let (shown, dots) = self.shown(bytes);
        let text = match self.style {
            Style::Base64 => format!("{{{}}}", URL_SAFE.encode(shown)),
            _ => format!("[{}]", hex::encode(shown)),
        };
        self.out.push_str(&text);
        self.out.push_str(dots);
    }

    fn term(&mut self, term: &Term) {
        match term {
            Term::Str(string) => {
                let (shown, dots) = self.shown(string.as_bytes());
                quoted::print(&mut self.out, shown);
                self.out.push_str(dots);
            }
            Term::Bytes(bytes) => self.bytes(bytes),
            Term::Int(value) => self.out.push_str(&value.to_string()),
            Term::Prin(prin) => self.prin(prin),
            Term::PrinTail(tail) => self.tail(tail),
            Term::Var(name) => self.out.push_str(name.as_str()),
        }
    }

    fn pred(&mut self, pred: &Pred) {
        self.out.push_str(pred.name.as_str());
        self.terms(&pred.args);
    }

    fn level(form: &Form, rightmost: bool) -> Level {
        match form {
            Form::Pred(_) | Form::Const(_) | Form::Not(_) => Level::High,
            Form::And(list) | Form::Or(list) if list.is_empty() => Level::High,
            Form::And(list) | Form::Or(list) if list.len() == 1 => list
                .first()
                .map_or(Level::High, |only| Self::level(only, rightmost)),
            Form::And(_) => Level::And,
            Form::Or(_) => Level::Or,
            Form::Implies(..) => Level::Low,
            Form::Speaksfor(_) | Form::Says(_) | Form::Forall(..) | Form::Exists(..) => {
                if rightmost { Level::High } else { Level::Low }
            }
        }
    }

    /// Writes `form` where at least `level` is needed.
    fn operand(&mut self, form: &Form, level: Level, rightmost: bool) {
        if Self::level(form, rightmost) < level {
            self.out.push('(');
            self.form(form, true);
            self.out.push(')');
        } else {
            self.form(form, rightmost);
        }
    }

    fn list(&mut self, list: &[Form], rightmost: bool, nothing: &str, word: &str, level: Level) {
        match list {
            [] => self.out.push_str(nothing),
            [only] => self.form(only, rightmost),
            [others @ .., last] => {
                for form in others {
                    self.operand(form, level, false);
                    self.out.push_str(word);
                }
                self.operand(last, level, rightmost);
            }
        }
    }

    fn form(&mut self, form: &Form, rightmost: bool) {
        match form {
            Form::Pred(pred) => self.pred(pred),
            Form::Const(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Form::Not(inner) => {
                self.out.push_str("not ");
                // `speaksfor` ends by itself; `says` and the quantifiers would take in
                // what follows, so they need parentheses unless nothing does.
                let closed = rightmost || matches!(only(inner), Form::Speaksfor(_));
                self.operand(inner, Level::High, closed);
            }
            Form::And(list) => self.list(list, rightmost, "true", " and ", Level::And),
            Form::Or(list) => self.list(list, rightmost, "false", " or ", Level::Or),
            Form::Implies(left, right) => {
                self.operand(left, Level::Or, false);
                self.out.push_str(" implies ");
                self.operand(right, Level::Low, rightmost);
            }
            Form::Speaksfor(speaksfor) => {
                self.term(&speaksfor.delegate);
                self.out.push_str(" speaksfor ");
                self.term(&speaksfor.delegator);
            }
            Form::Says(says) => {
                self.term(&says.speaker);
                for (word, time) in [(" from ", says.time), (" until ", says.expiration)] {
                    if let Some(time) = time {
                        self.out.push_str(word);
                        self.out.push_str(&time.to_string());
                    }
                }
                self.out.push_str(" says ");
                self.form(&says.message, true);
            }
            Form::Forall(variable, body) => self.quantified("forall ", variable.as_str(), body),
            Form::Exists(variable, body) => self.quantified("exists ", variable.as_str(), body),
        }
    }

    fn quantified(&mut self, word: &str, variable: &str, body: &Form) {
        self.out.push_str(word);
        self.out.push_str(variable);
        self.out.push_str(": ");
        self.form(body, true);
    }
}

/// What a list of one stands for: it is printed as its element.
fn only(mut form: &Form) -> &Form {
    while let Form::And(list) | Form::Or(list) = form {
        match list.as_slice() {
            [element] => form = element,
            _ => break,
        }
    }
    form
}

/// What can be printed in each [`Style`].
pub trait Printed {
    /// The text in the given style. [`Style::Canonical`] is what `to_string` gives.
    fn printed(&self, style: Style) -> String;
}

macro_rules! printed {
    ($($type:ty => $print:expr),* $(,)?) => {$(
        impl Printed for $type {
            fn printed(&self, style: Style) -> String {
                let print: fn(&mut Printer, &$type) = $print;
                let mut printer = Printer { out: String::new(), style };
                print(&mut printer, self);
                printer.out
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.printed(Style::Canonical))
            }
        }
    )*};
}

printed!(
    Term => Printer::term,
    Prin => Printer::prin,
    PrinTail => Printer::tail,
    SubPrin => Printer::sub_prin,
    Pred => Printer::pred,
    Form => |printer, form| printer.form(form, true),
);
