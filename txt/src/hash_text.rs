//! Text files of hashes: one on each line, in any usual notation; '#' begins a comment.

use crate::hash::{Digest, HashAlg, HashError};

/// A text that is not one of hashes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct HashTextError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: HashLineError,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashLineError {
    /// A sign that is not a digit.
    #[error("column {0}: not a hexadecimal digit")]
    Digit(usize),
    /// Half a byte.
    #[error("column {0}: an odd number of digits")]
    Odd(usize),
    /// Another number of bytes than the hash has.
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// The hashes of a text.
///
/// # Errors
/// The first line that is wrong.
pub fn parse(text: &str, alg: HashAlg) -> Result<Vec<Digest>, HashTextError> {
    let mut hashes = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let content = line.split_once('#').map_or(line, |(content, _)| content);
        if content.trim().is_empty() {
            continue;
        }
        let line = index.saturating_add(1);
        hashes.push(parse_line(content, alg).map_err(|why| HashTextError { line, why })?);
    }
    Ok(hashes)
}

/// One hash: hexadecimal digits, bytes possibly apart by blanks, ':', ',' or '-', each possibly
/// after "0x".
fn parse_line(text: &str, alg: HashAlg) -> Result<Digest, HashLineError> {
    let mut digits = String::new();
    let mut column = 1_usize;
    for word in text.split_inclusive([' ', '\t', '\r', ':', ',', '-']) {
        let bare = word.trim_end_matches([' ', '\t', '\r', ':', ',', '-']);
        let bare_digits = bare.strip_prefix("0x").or_else(|| bare.strip_prefix("0X"));
        let bare_digits = bare_digits.unwrap_or(bare);
        if let Some(wrong) = bare_digits.find(|c: char| !c.is_ascii_hexdigit()) {
            let skipped = bare.len().saturating_sub(bare_digits.len());
            let at = skipped.saturating_add(wrong).saturating_add(column);
            return Err(HashLineError::Digit(at));
        }
        if bare_digits.len() % 2 != 0 {
            return Err(HashLineError::Odd(column));
        }
        digits.push_str(bare_digits);
        column = column.saturating_add(word.chars().count());
    }
    Ok(Digest::from_hex(alg, &digits)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_usual_notation_is_the_same_hash() {
        let hash = HashAlg::Sha1.digest(b"x");
        let hex = hash.to_string();
        let pairs: Vec<&str> = (0..20).map(|n| &hex[2 * n..2 * n + 2]).collect();
        for text in [
            hex.clone(),
            hex.to_uppercase(),
            pairs.join(" "),
            pairs.join(":"),
            pairs.join(", "),
            format!("0x{}", pairs.join(" 0x")),
            format!("0x{hex}"),
            format!("# comment\n\n  {}  # tboot\r\n", pairs.join(" ")),
        ] {
            assert_eq!(
                parse(&text, HashAlg::Sha1),
                Ok(vec![hash.clone()]),
                "{text}"
            );
        }
    }

    #[test]
    fn errors_name_line_and_column() {
        let error = |text: &str| parse(text, HashAlg::Sha1).unwrap_err().to_string();
        assert!(error("\nzz").starts_with("line 2: column 1"));
        assert!(error("aa bg").starts_with("line 1: column 5"));
        assert!(error("aaa").contains("odd"));
        assert!(error("aa bb").contains("20 bytes, found 2"));
    }
}
