//! `tao logic`: between the text and the binary form of names and statements.

use std::{fmt, io::Read as _, process::ExitCode, str::FromStr};

use anyhow::{Context as _, bail};
use argh::FromArgs;
use serde_json::json;
use tao::logic::{Form, LogicError, Pred, Prin, PrinTail, SubPrin, Term, Text, limits::MAX_LENGTH};

/// Convert names and statements of the auth logic between text and binary form.
#[derive(FromArgs)]
#[argh(subcommand, name = "logic")]
pub struct Logic {
    #[argh(subcommand)]
    command: LogicCommand,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum LogicCommand {
    Encode(Encode),
    Decode(Decode),
    Check(Check),
}

/// Read text from standard input, print the hex of its binary form. What follows a
/// complete value is ignored with a warning; see also `check`.
#[derive(FromArgs)]
#[argh(subcommand, name = "encode")]
struct Encode {
    /// form, term, prin, subprin, printail or pred (default: form)
    #[argh(option, default = "Kind::Form")]
    kind: Kind,
    /// print JSON
    #[argh(switch)]
    json: bool,
}

/// Read hex from standard input, print the text it stands for.
#[derive(FromArgs)]
#[argh(subcommand, name = "decode")]
struct Decode {
    /// form, term, prin, subprin, printail or pred (default: form)
    #[argh(option, default = "Kind::Form")]
    kind: Kind,
    /// print JSON
    #[argh(switch)]
    json: bool,
}

/// Read text from standard input and say whether all of it is one value; print its
/// canonical text.
#[derive(FromArgs)]
#[argh(subcommand, name = "check")]
struct Check {
    /// form, term, prin, subprin, printail or pred (default: form)
    #[argh(option, default = "Kind::Form")]
    kind: Kind,
    /// print JSON
    #[argh(switch)]
    json: bool,
}

/// Levels of the grammar.
#[derive(Clone, Copy)]
enum Kind {
    Form,
    Term,
    Prin,
    SubPrin,
    PrinTail,
    Pred,
}

/// A word that is not a kind.
struct UnknownKind(String);

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a kind: form, term, prin, subprin, printail or pred",
            self.0
        )
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Ok(match text {
            "form" => Self::Form,
            "term" => Self::Term,
            "prin" => Self::Prin,
            "subprin" => Self::SubPrin,
            "printail" => Self::PrinTail,
            "pred" => Self::Pred,
            _ => return Err(UnknownKind(text.to_owned())),
        })
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Term => "term",
            Self::Prin => "prin",
            Self::SubPrin => "subprin",
            Self::PrinTail => "printail",
            Self::Pred => "pred",
        }
    }
}

/// A value of any kind, in both forms.
struct Value {
    text: String,
    bytes: Vec<u8>,
    rest: String,
}

macro_rules! for_kind {
    ($kind:expr, $type:ident => $body:expr) => {
        match $kind {
            Kind::Form => {
                type $type = Form;
                $body
            }
            Kind::Term => {
                type $type = Term;
                $body
            }
            Kind::Prin => {
                type $type = Prin;
                $body
            }
            Kind::SubPrin => {
                type $type = SubPrin;
                $body
            }
            Kind::PrinTail => {
                type $type = PrinTail;
                $body
            }
            Kind::Pred => {
                type $type = Pred;
                $body
            }
        }
    };
}

fn parse_prefix(kind: Kind, text: &str) -> Result<Value, LogicError> {
    for_kind!(kind, T => {
        let (value, rest) = T::parse_prefix(text)?;
        Ok(Value { text: value.to_string(), bytes: value.encode(), rest: rest.trim().to_owned() })
    })
}

fn parse(kind: Kind, text: &str) -> Result<Value, LogicError> {
    for_kind!(kind, T => {
        let value: T = text.parse()?;
        Ok(Value { text: value.to_string(), bytes: value.encode(), rest: String::new() })
    })
}

fn decode(kind: Kind, bytes: &[u8]) -> Result<Value, LogicError> {
    for_kind!(kind, T => {
        let value = T::decode(bytes)?;
        Ok(Value { text: value.to_string(), bytes: value.encode(), rest: String::new() })
    })
}

fn input() -> anyhow::Result<String> {
    let mut text = String::new();
    let limit = (MAX_LENGTH as u64).saturating_mul(2).saturating_add(1024);
    std::io::stdin()
        .take(limit)
        .read_to_string(&mut text)
        .context("standard input")?;
    Ok(text)
}

fn print(kind: Kind, value: &Value, as_json: bool, plain: &str) {
    if as_json {
        let hex = hex::encode(&value.bytes);
        println!(
            "{}",
            json!({"kind": kind.name(), "text": value.text, "hex": hex})
        );
    } else {
        println!("{plain}");
    }
}

pub fn logic(command: &Logic) -> anyhow::Result<ExitCode> {
    let text = input()?;
    match command.command {
        LogicCommand::Encode(Encode { kind, json }) => {
            let value = parse_prefix(kind, &text)?;
            if !value.rest.is_empty() {
                // A form stands in parentheses where the original reads one.
                if matches!(kind, Kind::Form) && !value.rest.starts_with(')') {
                    bail!(
                        "expected the end after {}, found {:?}",
                        value.text,
                        value.rest
                    );
                }
                eprintln!("tao: ignored after {}: {:?}", value.text, value.rest);
            }
            print(kind, &value, json, &hex::encode(&value.bytes));
        }
        LogicCommand::Decode(Decode { kind, json }) => {
            let digits: String = text.split_whitespace().collect();
            let bytes = hex::decode(digits).context("standard input is not hex")?;
            let value = decode(kind, &bytes)?;
            print(kind, &value, json, &value.text);
        }
        LogicCommand::Check(Check { kind, json }) => {
            let value = parse(kind, &text)?;
            print(kind, &value, json, &value.text);
        }
    }
    Ok(ExitCode::SUCCESS)
}
