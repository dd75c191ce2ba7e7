//! PCR files of tboot 1.8's pconf element: lines `PCR:HEX HEX ...`.
//!
//! Why they have a reader of their own stands in [`pconf_file`](crate::pconf_file).

use txt::{
    codec::FormatError,
    element::PcrInfoShort,
    hash::{Digest, HashAlg},
};

use crate::hash_file::{self, HashFileError};

/// A file that the original would refuse, or read wrongly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PconfFileError {
    /// A line that is wrong.
    #[error("{path} line {line}: {why}")]
    Line {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        why: PconfLineError,
    },
    /// A value that is no hash.
    #[error(transparent)]
    Value(#[from] HashFileError),
    /// A file without a PCR.
    #[error("{0}: no PCR")]
    NoPcr(String),
    /// Values that do not fit into the element.
    #[error(transparent)]
    Element(#[from] FormatError),
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PconfLineError {
    /// No colon.
    #[error("expected PCR:HEX")]
    Form,
    /// No number in front of it.
    #[error("expected a PCR")]
    NoPcr,
    /// A PCR that no TPM 1.2 has.
    #[error("expected a PCR from 0 to 23")]
    Pcr,
    /// A PCR that has a value already.
    #[error("this PCR is given twice")]
    Twice,
    /// Nothing behind the colon.
    #[error("no value")]
    NoValue,
}

/// One PCR_INFO_SHORT out of a file. The original hashes the values in the file's order, so that a
/// file that isn't sorted matches no platform; here they are sorted, unless `compat` is asked for.
///
/// # Errors
/// The line that is wrong, or what the file lacks.
pub fn parse(path: &str, text: &[u8], compat: bool) -> Result<PcrInfoShort, PconfFileError> {
    let text = String::from_utf8_lossy(text);
    let mut select = vec![0u8; 3];
    let mut values: Vec<(usize, Digest)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let wrong = |why| PconfFileError::Line {
            path: path.to_owned(),
            line: index.saturating_add(1),
            why,
        };
        let (pcr, value) = line
            .split_once(':')
            .ok_or_else(|| wrong(PconfLineError::Form))?;
        let pcr: usize = pcr
            .trim()
            .parse()
            .map_err(|_| wrong(PconfLineError::NoPcr))?;
        let byte = select.get_mut(pcr / 8);
        let byte = byte.ok_or_else(|| wrong(PconfLineError::Pcr))?;
        if *byte & 1 << (pcr % 8) != 0 {
            return Err(wrong(PconfLineError::Twice));
        }
        *byte |= 1 << (pcr % 8);
        let digests = hash_file::parse(path, value.as_bytes(), HashAlg::Sha1, 1, compat);
        let digest = digests?.into_iter().next();
        values.push((pcr, digest.ok_or_else(|| wrong(PconfLineError::NoValue))?));
    }
    if values.is_empty() {
        return Err(PconfFileError::NoPcr(path.to_owned()));
    }
    if !compat {
        values.sort_by_key(|(pcr, _)| *pcr);
    }
    let values: Vec<Digest> = values.into_iter().map(|(_, value)| value).collect();
    Ok(PcrInfoShort::from_values(select, 0x1f, &values)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_lines_counts_with_compat_only() {
        let line = |pcr: usize, byte: &str| format!("{pcr}:{}\n", [byte; 20].join(" "));
        let sorted = [line(1, "aa"), line(17, "bb")].concat();
        let other = [line(17, "bb"), line(1, "aa")].concat();
        let info = |text: &str, compat| parse("p", text.as_bytes(), compat).unwrap();
        assert_eq!(info(&sorted, false), info(&other, false));
        assert_eq!(info(&sorted, true), info(&sorted, false));
        assert_ne!(info(&sorted, true), info(&other, true));
    }

    #[test]
    fn wrong_lines_are_named() {
        let good = format!("0:{}\n", ["aa"; 20].join(" "));
        for text in ["", "x", "24:aa", "0:aa", &format!("{good}{good}")] {
            assert!(parse("p", text.as_bytes(), false).is_err(), "{text}");
        }
    }
}
