//! Lines of tables in /etc: comments, fields between white space, octal escapes, quotes.

/// More than any administrator writes.
const MOST_LINES: usize = 4096;
const LONGEST_LINE: usize = 4096;

/// A table that is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Too many lines.
    #[error("has more than {MOST_LINES} lines")]
    Long,
    /// A line without an end.
    #[error("line {0} has more than {LONGEST_LINE} bytes")]
    LongLine(usize),
}

/// The lines of a text, counted from 1.
///
/// # Errors
/// If there are too many, or one is too long.
pub fn lines(text: &str) -> Result<Vec<(usize, &str)>, TableError> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if number > MOST_LINES {
            return Err(TableError::Long);
        }
        if line.len() > LONGEST_LINE {
            return Err(TableError::LongLine(number));
        }
        found.push((number, line));
    }
    Ok(found)
}

/// The fields of each line that is not a comment. An empty line has none.
///
/// # Errors
/// As [`lines`].
pub fn fields(text: &str) -> Result<Vec<(usize, std::str::SplitAsciiWhitespace<'_>)>, TableError> {
    let lines = lines(text)?.into_iter();
    Ok(lines
        .filter(|(_, line)| !line.trim_start().starts_with('#'))
        .map(|(number, line)| (number, line.split_ascii_whitespace()))
        .collect())
}

/// `UUID="..."` is as good as `UUID=...`.
pub fn unquote(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text)
}

/// White space and backslashes are written as three octal digits after a backslash: `\040` (getmntent(3);
/// util-linux takes any octal number). Any other backslash stands for itself.
pub fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        match escape(rest) {
            Some((byte, behind)) => {
                bytes.push(byte);
                rest = behind;
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    // Escapes can make bytes that are not text.
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'\\', digits @ ..] = text else {
        return None;
    };
    let (digits, rest) = digits.split_at_checked(3)?;
    let digits = std::str::from_utf8(digits).ok()?;
    let is_octal = digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let byte = u8::from_str_radix(digits, 8).ok().filter(|byte| *byte != 0);
    byte.filter(|_| is_octal).map(|byte| (byte, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn octal_numbers_are_decoded_and_other_backslashes_stay() {
        assert_eq!(unescape("/my\\040data\\134x\\011"), "/my data\\x\t");
        assert_eq!(unescape("\\303\\244"), "ä");
        for same in [
            "\\", "\\04", "\\049", "\\777", "\\000", "\\+12", "a\\b", "\\377",
        ] {
            assert_eq!(unescape(same), same);
        }
    }

    #[test]
    fn a_table_without_end_is_refused() {
        let many = "a b\n".repeat(MOST_LINES + 1);
        let long = format!("a b\na {}\n", "b".repeat(LONGEST_LINE));
        assert_eq!(lines(&many), Err(TableError::Long));
        assert_eq!(lines(&long), Err(TableError::LongLine(2)));
    }

    proptest! {
        #[test]
        fn what_getmntent_escapes_comes_back(text in "([a-z \t\n\\\\]|\\PC){0,30}") {
            let escaped: String = text.chars().map(|letter| match letter {
                ' ' | '\t' | '\n' | '\\' => format!("\\{:03o}", u32::from(letter)),
                other => other.to_string(),
            }).collect();
            prop_assert_eq!(unescape(&escaped), text);
        }
    }
}
