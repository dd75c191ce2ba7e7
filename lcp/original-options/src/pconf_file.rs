//! The PCR files of the legacy pconf element: `locality:HEX`, then lines `PCR:HEX`.
//!
//! They are `lcp2_crtpolelt`'s (tboot 1.9 and later). [`pconf_file_tpm12`](crate::pconf_file_tpm12) reads
//! those of tboot 1.8's `lcp_crtpolelt`, which make the same element and are another format: there no file
//! has a locality (it is 0x1f), PCRs go up to 23 and not to 7, a value is pairs of digits with anything
//! between them and not one run of digits, and the selection has three bytes and not one. They also differ
//! in what `compat` brings back: here a composite of length 0, there values in the file's order. A reader
//! of both would be a switch at every step, and each is held to recordings of its own tool.

use txt::{
    codec::FormatError,
    element::PcrInfoShort,
    hash::{Digest, HashAlg, HashError},
};

use crate::strtoul::strtoul;

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
    /// A file without a locality.
    #[error("{0}: no locality")]
    NoLocality(String),
    /// A file without a PCR.
    #[error("{0}: no PCR")]
    NoPcr(String),
    /// Values that do not fit into the element.
    #[error(transparent)]
    Element(#[from] FormatError),
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PconfLineError {
    /// Neither form.
    #[error("expected locality:HEX or PCR:HEX")]
    Form,
    /// A locality that there is not.
    #[error("the locality must be 1 to 1f")]
    Locality,
    /// Two localities.
    #[error("the locality is given twice")]
    LocalityTwice,
    /// A PCR before the locality.
    #[error("the locality must come first")]
    LocalityFirst,
    /// A PCR that the element has no room for.
    #[error("expected a PCR from 0 to 7")]
    Pcr,
    /// A value that is no hash.
    #[error(transparent)]
    Hash(#[from] PlainHashError),
}

/// A text that is no hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlainHashError {
    /// Of the wrong length.
    #[error("a {alg} hash has {} digits, found {found} characters", .alg.digest_len().saturating_mul(2))]
    Length {
        /// The algorithm.
        alg: HashAlg,
        /// How many characters there are.
        found: usize,
    },
    /// Not hexadecimal.
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// A hash of an option or a PCR line: exactly two digits for each byte. With `compat` what is no
/// digit counts as 0, as in the original.
///
/// # Errors
/// The text has another length, or (without `compat`) is not hexadecimal.
pub fn hash(text: &str, alg: HashAlg, compat: bool) -> Result<Digest, PlainHashError> {
    let expected = alg.digest_len().saturating_mul(2);
    if text.len() != expected {
        let found = text.len();
        return Err(PlainHashError::Length { alg, found });
    }
    if !compat {
        return Ok(Digest::from_hex(alg, text)?);
    }
    let pairs = text.as_bytes().chunks(2).map(|pair| {
        let pair = String::from_utf8_lossy(pair);
        strtoul(&pair, 16).0.to_le_bytes()[0]
    });
    Ok(Digest::new(alg, &pairs.collect::<Vec<u8>>())?)
}

/// One PCR_INFO_SHORT out of a file.
///
/// # Errors
/// The line that is wrong, or what the file lacks.
pub fn parse(path: &str, text: &[u8], compat: bool) -> Result<PcrInfoShort, PconfFileError> {
    let text = String::from_utf8_lossy(text);
    let mut locality = None;
    let mut values: [Option<Digest>; 8] = Default::default();
    for (index, line) in text.split('\n').enumerate() {
        let wrong = |why| PconfFileError::Line {
            path: path.to_owned(),
            line: index.saturating_add(1),
            why,
        };
        if line.is_empty() || line.starts_with(['#', '\r']) {
            continue;
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| wrong(PconfLineError::Form))?;
        let value = value.trim_end_matches('\r');
        if name == "locality" {
            let mask = strtoul(value, 16).0;
            let mask = u8::try_from(mask)
                .ok()
                .filter(|mask| (1..=0x1f).contains(mask));
            let mask = mask.ok_or_else(|| wrong(PconfLineError::Locality))?;
            if locality.replace(mask).is_some() {
                return Err(wrong(PconfLineError::LocalityTwice));
            }
            continue;
        }
        let pcr = usize::try_from(strtoul(name, 10).0).unwrap_or(usize::MAX);
        let digit = name.starts_with(|c: char| c.is_ascii_digit());
        let slot = values.get_mut(pcr).filter(|_| digit);
        let slot = slot.ok_or_else(|| wrong(PconfLineError::Pcr))?;
        if locality.is_none() {
            return Err(wrong(PconfLineError::LocalityFirst));
        }
        // The original takes the first 40 characters, whatever follows.
        let value = if compat {
            value.get(..40).unwrap_or(value)
        } else {
            value.trim_end()
        };
        *slot = Some(hash(value, HashAlg::Sha1, compat).map_err(|error| wrong(error.into()))?);
    }
    let locality = locality.ok_or_else(|| PconfFileError::NoLocality(path.to_owned()))?;
    let mut select = 0u8;
    let mut selected = Vec::new();
    for (pcr, value) in values.into_iter().enumerate() {
        if let Some(value) = value {
            select |= 1 << pcr;
            selected.push(value);
        }
    }
    if selected.is_empty() {
        return Err(PconfFileError::NoPcr(path.to_owned()));
    }
    let info = if compat {
        PcrInfoShort::with_zero_value_size(vec![select], locality, &selected)
    } else {
        PcrInfoShort::from_values(vec![select], locality, &selected)
    };
    Ok(info?)
}
