//! Text files of hashes: one on each line, in any usual notation; '#' begins a comment.

use crate::hash::{Digest, HashAlg};

/// The hashes of a text. The error names line and column.
pub fn parse(text: &str, alg: HashAlg) -> Result<Vec<Digest>, String> {
    let mut hashes = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let content = line.split('#').next().unwrap_or_default();
        if content.trim().is_empty() {
            continue;
        }
        let line = index.saturating_add(1);
        hashes.push(parse_line(content, alg).map_err(|error| format!("line {line}: {error}"))?);
    }
    Ok(hashes)
}

/// One hash: hexadecimal digits, bytes possibly apart by blanks, ':', ',' or '-', each possibly
/// after "0x".
fn parse_line(text: &str, alg: HashAlg) -> Result<Digest, String> {
    let mut digits = String::new();
    let mut column = 1_usize;
    for word in text.split_inclusive([' ', '\t', '\r', ':', ',', '-']) {
        let bare = word.trim_end_matches([' ', '\t', '\r', ':', ',', '-']);
        let bare_digits = bare.strip_prefix("0x").or_else(|| bare.strip_prefix("0X"));
        let bare_digits = bare_digits.unwrap_or(bare);
        if let Some(wrong) = bare_digits.find(|c: char| !c.is_ascii_hexdigit()) {
            let skipped = bare.len().saturating_sub(bare_digits.len());
            return Err(format!(
                "column {}: no hexadecimal digit",
                skipped.saturating_add(wrong).saturating_add(column)
            ));
        }
        if bare_digits.len() % 2 != 0 {
            return Err(format!("column {column}: an odd number of digits"));
        }
        digits.push_str(bare_digits);
        column = column.saturating_add(word.chars().count());
    }
    Digest::from_hex(alg, &digits).map_err(|error| error.to_string())
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
        let error = |text: &str| parse(text, HashAlg::Sha1).unwrap_err();
        assert!(error("\nzz").starts_with("line 2: column 1"));
        assert!(error("aa bg").starts_with("line 1: column 5"));
        assert!(error("aaa").contains("odd"));
        assert!(error("aa bb").contains("20 bytes, found 2"));
    }
}
