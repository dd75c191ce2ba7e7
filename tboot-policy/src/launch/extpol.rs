//! Which bank tboot extends: its command line option `extpol=`.

use tpm::pcr::Bank;

/// An extend policy whose PCR values are not computed here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtpolError {
    /// `embedded` extends every bank but compares no hash; `agile` is gone since tboot 1.11.
    #[error(
        "tboot's option extpol={0} is not supported: with it tboot doesn't enforce the launch policy; use extpol=sha256 (the default), sha1 or sha384"
    )]
    Unsupported(String),
    /// Not a value that tboot documents.
    #[error("tboot's option extpol={0} is unknown: sha256 (the default), sha1 or sha384")]
    Unknown(String),
    /// Given more than once with different values.
    #[error("tboot's command line has both extpol={0} and extpol={1}: keep one")]
    Twice(String, String),
}

/// The bank that tboot extends with this command line; sha256 when it doesn't say.
pub fn extend_bank(cmdline: &[u8]) -> Result<Bank, ExtpolError> {
    let text = String::from_utf8_lossy(cmdline);
    let mut values = text
        .split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix("extpol="));
    let Some(value) = values.next() else {
        return Ok(Bank::Sha256);
    };
    if let Some(other) = values.find(|other| *other != value) {
        return Err(ExtpolError::Twice(value.to_owned(), other.to_owned()));
    }
    match value {
        "sha1" => Ok(Bank::Sha1),
        "sha256" => Ok(Bank::Sha256),
        "sha384" => Ok(Bank::Sha384),
        "embedded" | "agile" => Err(ExtpolError::Unsupported(value.to_owned())),
        _ => Err(ExtpolError::Unknown(value.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bank_is_the_one_of_the_command_line() {
        assert_eq!(extend_bank(b"logging=serial,memory"), Ok(Bank::Sha256));
        assert_eq!(extend_bank(b""), Ok(Bank::Sha256));
        assert_eq!(extend_bank(b"logging=none extpol=sha1 "), Ok(Bank::Sha1));
        assert_eq!(
            extend_bank(b"extpol=sha384 extpol=sha384"),
            Ok(Bank::Sha384)
        );
    }

    #[test]
    fn what_cannot_be_computed_is_refused() {
        for text in [
            "extpol=embedded",
            "extpol=agile",
            "extpol=md5",
            "extpol=sha1 extpol=sha256",
        ] {
            assert!(extend_bank(text.as_bytes()).is_err(), "{text}");
        }
    }
}
