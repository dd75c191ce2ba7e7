//! The two kinds of words: identifiers (`Program`, `X`) and keywords (`key`, `tpm2`).

use std::fmt;

use super::error::{LogicError, shortened};

/// Words that cannot be the kind of a principal.
pub(super) const RESERVED: [&str; 13] = [
    "from",
    "until",
    "says",
    "speaksfor",
    "forall",
    "exists",
    "implies",
    "or",
    "and",
    "not",
    "false",
    "true",
    "ext",
];

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks the spelling.
            ///
            /// # Errors
            /// When it is not spelled so.
            pub fn new(text: &str) -> Result<Self, LogicError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok($name(text.into()))
                } else {
                    Err(LogicError::Name { expected: $expected, found: shortened(text) })
                }
            }

            /// The word itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl std::str::FromStr for $name {
            type Err = LogicError;
            fn from_str(text: &str) -> Result<Self, LogicError> {
                Self::new(text)
            }
        }
    };
}

word!(
    /// Name of a predicate, an extension or a variable: `[A-Z][a-zA-Z0-9_]*`.
    Ident,
    "an identifier (an upper-case letter, then letters, digits or underscores)",
    is_identifier
);

impl Ident {
    /// A name that was checked when this was compiled: see [`ident!`].
    pub(crate) fn checked(text: &'static str) -> Self {
        Self(text.into())
    }
}

word!(
    /// Kind of a principal: `[a-z][a-z0-9]*`, not reserved. The digits are ours: the
    /// original's parser refused its own `tpm2`.
    Keyword,
    "the kind of a principal (lower-case letters and digits, not a reserved word)",
    |text| {
        let mut bytes = text.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_lowercase())
            && bytes.all(in_keyword)
            && !RESERVED.contains(&text)
    }
);

pub(crate) const fn is_identifier(text: &str) -> bool {
    let Some((first, mut rest)) = text.as_bytes().split_first() else {
        return false;
    };
    while let Some((next, after)) = rest.split_first() {
        if !in_identifier(*next) {
            return false;
        }
        rest = after;
    }
    first.is_ascii_uppercase()
}

pub(super) const fn in_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

pub(super) fn in_keyword(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}
