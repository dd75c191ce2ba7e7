//! Text files of hashes as the originals read them: pairs of digits apart by anything.

use txt::hash::{Digest, HashAlg, HashError};

use crate::strtoul::strtoul;

/// Longest line that the originals read at once, in bytes.
const MAX_LINE: usize = 1023;

/// A file that the original would refuse, or read wrongly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashFileError {
    /// An algorithm that the original does not know.
    #[error("unsupported alg: {0:#x}")]
    Algorithm(u16),
    /// A line that is wrong.
    #[error("{path} line {line}: {why}")]
    Line {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        why: HashLineError,
    },
}

/// What is wrong with a line of hashes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashLineError {
    /// More hashes than there may be.
    #[error("more than {0} hashes")]
    TooMany(usize),
    /// A number that is too large.
    #[error("{0:#x} is more than one byte")]
    Byte(u64),
    /// Too many bytes for a hash, or too few.
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// The hashes of a file, at most `most`. A number above 0xff is an error here; with `compat` it is
/// cut as the originals do.
///
/// # Errors
/// The algorithm or the line that is wrong.
pub fn parse(
    path: &str,
    text: &[u8],
    alg: HashAlg,
    most: usize,
    compat: bool,
) -> Result<Vec<Digest>, HashFileError> {
    if matches!(alg, HashAlg::Sha512 | HashAlg::Sm3) && !text.is_empty() && compat {
        return Err(HashFileError::Algorithm(alg.tpm_alg()));
    }
    let mut hashes = Vec::new();
    for (index, line) in lines(text).into_iter().enumerate() {
        let wrong = |why| HashFileError::Line {
            path: path.to_owned(),
            line: index.saturating_add(1),
            why,
        };
        if hashes.len() == most {
            return Err(wrong(HashLineError::TooMany(most)));
        }
        let bytes = numbers(line, compat).map_err(wrong)?;
        hashes.push(Digest::new(alg, &bytes).map_err(|error| wrong(error.into()))?);
    }
    Ok(hashes)
}

/// The lines, without their ends; an overlong line comes in pieces, as `fgets` gives them.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        for piece in line.chunks(MAX_LINE) {
            // A C string ends at a NUL.
            let end = piece.iter().position(|byte| *byte == 0);
            let piece = end.and_then(|end| piece.get(..end)).unwrap_or(piece);
            lines.push(piece.strip_suffix(b"\n").unwrap_or(piece));
        }
    }
    lines
}

/// The numbers of a line: each as far as it is hexadecimal, then up to the next digit.
fn numbers(line: &[u8], compat: bool) -> Result<Vec<u8>, HashLineError> {
    // Only ASCII means anything here, so bytes above it may become anything that is no digit.
    let line: String = line
        .iter()
        .map(|b| if b.is_ascii() { char::from(*b) } else { '?' })
        .collect();
    let mut left = line.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let mut bytes = Vec::new();
    while !left.is_empty() {
        let (value, used) = strtoul(left, 16);
        match u8::try_from(value) {
            Ok(byte) => bytes.push(byte),
            Err(_) if compat => bytes.push(value.to_le_bytes()[0]),
            Err(_) => return Err(HashLineError::Byte(value)),
        }
        // What strtoul took ends within the text, which is ASCII.
        match left.split_at_checked(used) {
            Some((_, behind)) if used > 0 => {
                left = behind.trim_start_matches(|c: char| !c.is_ascii_hexdigit());
            }
            _ => break,
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha1(text: &str) -> Result<Vec<Digest>, HashFileError> {
        parse("h", text.as_bytes(), HashAlg::Sha1, 32, false)
    }

    #[test]
    fn pairs_apart_by_anything_are_a_hash() {
        let line = |separator: &str| vec!["ab"; 20].join(separator);
        for text in [
            line(" "),
            line(":"),
            line(", "),
            format!("  \t{}  \r", line(" ")),
        ] {
            let text = format!("{text}\n");
            assert_eq!(sha1(&text).map(|hashes| hashes.len()), Ok(1), "{text}");
        }
        assert_eq!(
            sha1(&format!("{}\n{}", line(" "), line("-"))).map(|h| h.len()),
            Ok(2)
        );
    }

    #[test]
    fn what_the_originals_refuse_is_refused() {
        let line = vec!["ab"; 20].join(" ");
        for text in [
            "\n",
            "# comment\n",
            &"ab".repeat(20),
            &line[..57],
            &format!("{line}\n\n"),
        ] {
            assert!(sha1(text).is_err(), "{text:?}");
        }
        assert_eq!(sha1(""), Ok(vec![]));
    }

    #[test]
    fn a_number_of_more_than_one_byte_needs_compat() {
        let text = format!("1{}", vec!["ab"; 20].join(" "));
        assert!(sha1(&text).unwrap_err().to_string().contains("0x1ab"));
        assert!(parse("h", text.as_bytes(), HashAlg::Sha1, 32, true).is_ok());
    }
}
