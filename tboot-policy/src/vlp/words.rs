//! The words of command lines and listings for a policy's fields.

use std::{fmt, str::FromStr};

use tpm::pcr::PcrIndex;

use super::{ModuleNumber, Object, PolicyType};

/// A word that means nothing here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {what}: {expected}")]
pub struct WordError {
    what: &'static str,
    expected: &'static str,
    found: String,
}

fn wrong(what: &'static str, expected: &'static str, found: &str) -> WordError {
    WordError {
        what,
        expected,
        found: found.to_owned(),
    }
}

impl PolicyType {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NonFatal => "nonfatal",
            Self::Continue => "continue",
            Self::Halt => "halt",
        }
    }

    /// What tboot does with a module that is not as the policy wants it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::NonFatal => "tboot boots whatever the modules are",
            Self::Continue => "tboot boots also with a wrong hash, not with other errors",
            Self::Halt => "tboot halts",
        }
    }
}

impl FromStr for PolicyType {
    type Err = WordError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "nonfatal" => Ok(Self::NonFatal),
            "continue" => Ok(Self::Continue),
            "halt" => Ok(Self::Halt),
            _ => Err(wrong("a policy type", "nonfatal, continue or halt", text)),
        }
    }
}

/// `module 3`, `any module`, ...
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(number) => write!(f, "module {}", number.get()),
            Self::AnyModule => f.write_str("any module"),
            Self::NvHashed => f.write_str("an NV index, hashed"),
            Self::NvRaw => f.write_str("an NV index, as a digest"),
        }
    }
}

impl Object {
    /// A module number, or `any`.
    pub fn module_from_word(text: &str) -> Result<Self, WordError> {
        if text == "any" {
            return Ok(Self::AnyModule);
        }
        let number = text.parse().ok().and_then(ModuleNumber::new);
        number
            .map(Object::Module)
            .ok_or_else(|| wrong("a module", "a number from 0 to 127, or any", text))
    }
}

/// A PCR number, or `none`.
pub fn pcr_from_word(text: &str) -> Result<Option<PcrIndex>, WordError> {
    if text == "none" {
        return Ok(None);
    }
    let number = text.parse::<u8>().ok();
    let pcr = number.and_then(|number| PcrIndex::try_from(number).ok());
    pcr.map(Some)
        .ok_or_else(|| wrong("a PCR", "a number from 0 to 23, or none", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_mean_nothing_are_refused() {
        assert_eq!(Object::module_from_word("any"), Ok(Object::AnyModule));
        assert!(Object::module_from_word("127").is_ok());
        for text in ["128", "-1", "", "ANY", "0x1"] {
            assert!(Object::module_from_word(text).is_err(), "{text}");
        }
        assert_eq!(pcr_from_word("none"), Ok(None));
        assert!(pcr_from_word("23").is_ok() && pcr_from_word("24").is_err());
        for kind in [PolicyType::NonFatal, PolicyType::Continue, PolicyType::Halt] {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
    }
}
