//! Options with their values.

use super::option::{ALIASES, ALL, Form, Name};

/// An option of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CryptOption {
    /// Which.
    pub name: Name,
    /// What stands behind it.
    pub value: Value,
}

/// What stands behind an option's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    None,
    /// Text.
    Text(String),
    /// A whole number.
    Number(u64),
    /// `yes` or `no`.
    Switch(bool),
    /// Seconds; `None` is without end.
    Seconds(Option<u64>),
}

/// An option that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// In neither crypttab(5).
    #[error("line {line}: the option {option:?} is not known")]
    Unknown {
        /// Counted from 1.
        line: usize,
        /// The option.
        option: String,
    },
    /// Known, with another value.
    #[error("line {line}: the option {option:?} has no {wanted} as its value")]
    Value {
        /// Counted from 1.
        line: usize,
        /// The option with its value.
        option: String,
        /// What it needs.
        wanted: &'static str,
    },
}

/// Reads the fourth field of `line`.
pub fn options(line: usize, text: &str) -> Result<Vec<CryptOption>, OptionError> {
    if matches!(text, "-" | "none") {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for option in split(text) {
        // systemd passes over empty options, and over other settings of its units.
        if !option.is_empty() && !is_other_unit_setting(&option) {
            found.push(typed(line, &option)?);
        }
    }
    Ok(found)
}

fn is_other_unit_setting(option: &str) -> bool {
    option.starts_with("x-systemd.") && !option.starts_with("x-systemd.device-timeout")
}

/// At commas, unless a backslash stands before.
fn split(text: &str) -> Vec<String> {
    let mut options = Vec::new();
    let mut option = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => option.push(letters.next_if_eq(&',').unwrap_or('\\')),
            ',' => options.push(std::mem::take(&mut option)),
            other => option.push(other),
        }
    }
    options.push(option);
    options
}

fn typed(line: usize, option: &str) -> Result<CryptOption, OptionError> {
    let (name, value) = match option.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (option, None),
    };
    let alias = ALIASES.iter().find(|(other, _)| *other == name);
    let name = alias.map_or(name, |(_, name)| name);
    let row = ALL.iter().find(|(_, text, ..)| *text == name);
    let Some((name, _, form, _)) = row else {
        return Err(OptionError::Unknown {
            line,
            option: option.to_owned(),
        });
    };
    let read = match (form, value) {
        (Form::Flag | Form::TextOrFlag, None) => Ok(Value::None),
        (Form::Flag, Some(_)) => Err("text, which it may not have,"),
        (Form::Text | Form::TextOrFlag, Some(text)) => Ok(Value::Text(text.to_owned())),
        (Form::Text, None) => Err("text"),
        (Form::SwitchOrFlag, None) => Ok(Value::Switch(true)),
        (Form::Switch | Form::SwitchOrFlag, value) => {
            value.and_then(switch).map(Value::Switch).ok_or("yes or no")
        }
        (Form::Number, value) => {
            let number = value.and_then(number);
            number.map(Value::Number).ok_or("whole number")
        }
        (Form::Time, value) => value.and_then(seconds).map(Value::Seconds).ok_or("time"),
    };
    match read {
        Ok(value) => Ok(CryptOption { name: *name, value }),
        Err(wanted) => Err(OptionError::Value {
            line,
            option: option.to_owned(),
            wanted,
        }),
    }
}

/// systemd's `parse_boolean`.
fn switch(text: &str) -> Option<bool> {
    let is_one_of = |words: [&str; 6]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(["1", "yes", "y", "true", "t", "on"]) {
        Some(true)
    } else {
        is_one_of(["0", "no", "n", "false", "f", "off"]).then_some(false)
    }
}

/// Decimal digits only: no sign.
fn number(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// systemd.time(7): numbers with units, added up. 0 and `infinity` are without end (`parse_sec_fix_0`).
fn seconds(text: &str) -> Option<Option<u64>> {
    if text == "infinity" {
        return Some(None);
    }
    let mut total = 0_u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(rest.len());
        let (count, behind) = rest.split_at_checked(digits)?;
        let behind = behind.trim_start();
        let letters = behind.find(|letter: char| !letter.is_ascii_alphabetic());
        let (unit, behind) = behind.split_at_checked(letters.unwrap_or(behind.len()))?;
        let factor = match unit {
            "" | "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hr" | "hour" | "hours" => 3600,
            "d" | "day" | "days" => 86_400,
            _ => return None,
        };
        total = total.checked_add(number(count).filter(|_| digits > 0)?.checked_mul(factor)?)?;
        rest = behind.trim_start();
    }
    Some((total > 0).then_some(total))
}
