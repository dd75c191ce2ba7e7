//! Which bank tboot extends: its command line option `extpol=`.

use tpm::pcr::Bank;

/// Which banks tboot extends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extpol {
    /// One bank, in which it also compares hashes.
    Fixed(Bank),
    /// Every bank, and it compares nothing: any module boots.
    Embedded,
}

/// An extend policy whose PCR values are not computed here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtpolError {
    /// `agile` is gone since tboot 1.11, which takes it for another value silently.
    #[error(
        "tboot's option extpol={0} is not supported: tboot 1.11 has it no more; use extpol=sha256 (the default), sha1 or sha384"
    )]
    Unsupported(String),
    /// Not a value that tboot documents.
    #[error("tboot's option extpol={0} is unknown: sha256 (the default), sha1 or sha384")]
    Unknown(String),
    /// Given more than once with different values.
    #[error("tboot's command line has both extpol={0} and extpol={1}: keep one")]
    Twice(String, String),
}

/// The banks that tboot extends with this command line; sha256 when it does not say.
pub fn extend_policy(cmdline: &[u8]) -> Result<Extpol, ExtpolError> {
    let text = String::from_utf8_lossy(cmdline);
    let mut values = text
        .split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix("extpol="));
    let Some(value) = values.next() else {
        return Ok(Extpol::Fixed(Bank::Sha256));
    };
    if let Some(other) = values.find(|other| *other != value) {
        return Err(ExtpolError::Twice(value.to_owned(), other.to_owned()));
    }
    match value {
        "sha1" => Ok(Extpol::Fixed(Bank::Sha1)),
        "sha256" => Ok(Extpol::Fixed(Bank::Sha256)),
        "sha384" => Ok(Extpol::Fixed(Bank::Sha384)),
        "embedded" => Ok(Extpol::Embedded),
        "agile" => Err(ExtpolError::Unsupported(value.to_owned())),
        _ => Err(ExtpolError::Unknown(value.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bank_is_the_one_of_the_command_line() {
        for (cmdline, expected) in [
            ("logging=serial,memory", Extpol::Fixed(Bank::Sha256)),
            ("", Extpol::Fixed(Bank::Sha256)),
            ("logging=none extpol=sha1 ", Extpol::Fixed(Bank::Sha1)),
            ("extpol=sha384 extpol=sha384", Extpol::Fixed(Bank::Sha384)),
            ("extpol=embedded", Extpol::Embedded),
        ] {
            assert_eq!(extend_policy(cmdline.as_bytes()), Ok(expected));
        }
    }

    #[test]
    fn what_cannot_be_computed_is_refused() {
        for text in ["extpol=agile", "extpol=md5", "extpol=sha1 extpol=sha256"] {
            assert!(extend_policy(text.as_bytes()).is_err(), "{text}");
        }
    }
}
