//! Text files of hashes as the originals read them: pairs of digits apart by anything.

use txt::hash::{Digest, HashAlg};

use super::strtoul::strtoul;

/// Longest line that the originals read at once, in bytes.
const MAX_LINE: usize = 1023;

/// The hashes of a file, at most `most`. A number above 0xff is an error here; with `compat` it is
/// cut as the originals do.
pub fn parse(
    path: &str,
    text: &[u8],
    alg: HashAlg,
    most: usize,
    compat: bool,
) -> Result<Vec<Digest>, String> {
    if matches!(alg, HashAlg::Sha512 | HashAlg::Sm3) && !text.is_empty() && compat {
        return Err(format!("unsupported alg: {:#x}", alg.tpm_alg()));
    }
    let mut hashes = Vec::new();
    for (index, line) in lines(text).into_iter().enumerate() {
        let wrong = |what: String| format!("{path} line {}: {what}", index.saturating_add(1));
        if hashes.len() == most {
            return Err(wrong(format!("more than {most} hashes")));
        }
        let bytes = numbers(line, compat).map_err(wrong)?;
        hashes.push(Digest::new(alg, &bytes).map_err(|error| wrong(error.to_string()))?);
    }
    Ok(hashes)
}

/// The lines, without their ends; an overlong line comes in pieces, as `fgets` gives them.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        for piece in line.chunks(MAX_LINE) {
            // A C string ends at a NUL.
            let piece = piece.split(|byte| *byte == 0).next().unwrap_or_default();
            lines.push(piece.strip_suffix(b"\n").unwrap_or(piece));
        }
    }
    lines
}

/// The numbers of a line: each as far as it is hexadecimal, then up to the next digit.
fn numbers(line: &[u8], compat: bool) -> Result<Vec<u8>, String> {
    // Only ASCII means anything here, so bytes above it may become anything that is no digit.
    let line: String = line
        .iter()
        .map(|b| if b.is_ascii() { char::from(*b) } else { '?' })
        .collect();
    let mut rest = line.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let mut bytes = Vec::new();
    while !rest.is_empty() {
        let (value, used) = strtoul(rest, 16);
        match u8::try_from(value) {
            Ok(byte) => bytes.push(byte),
            Err(_) if compat => bytes.push(value.to_le_bytes()[0]),
            Err(_) => return Err(format!("{:#x} is more than one byte", value)),
        }
        if used == 0 {
            break;
        }
        rest = rest.get(used..).unwrap_or_default();
        rest = rest.trim_start_matches(|c: char| !c.is_ascii_hexdigit());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha1(text: &str) -> Result<Vec<Digest>, String> {
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
        assert!(sha1(&text).unwrap_err().contains("0x1ab"));
        assert!(parse("h", text.as_bytes(), HashAlg::Sha1, 32, true).is_ok());
    }
}
