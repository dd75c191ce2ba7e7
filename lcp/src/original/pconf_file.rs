//! The PCR files of the legacy pconf element: `locality:HEX`, then lines `PCR:HEX`.

use txt::{
    element::PcrInfoShort,
    hash::{Digest, HashAlg},
};

use super::strtoul::strtoul;

/// A hash of an option or a PCR line: exactly two digits for each byte. With `compat` what is no
/// digit counts as 0, as in the original.
pub fn hash(text: &str, alg: HashAlg, compat: bool) -> Result<Digest, String> {
    let expected = alg.digest_len().saturating_mul(2);
    if text.len() != expected {
        let found = text.len();
        return Err(format!(
            "a {alg} hash has {expected} digits, found {found} characters"
        ));
    }
    if !compat {
        return Digest::from_hex(alg, text).map_err(|error| error.to_string());
    }
    let pairs = text.as_bytes().chunks(2).map(|pair| {
        let pair = String::from_utf8_lossy(pair);
        strtoul(&pair, 16).0.to_le_bytes()[0]
    });
    Digest::new(alg, &pairs.collect::<Vec<u8>>()).map_err(|error| error.to_string())
}

/// One PCR_INFO_SHORT out of a file.
pub fn parse(path: &str, text: &[u8], compat: bool) -> Result<PcrInfoShort, String> {
    let text = String::from_utf8_lossy(text);
    let mut locality = None;
    let mut values: [Option<Digest>; 8] = Default::default();
    for (index, line) in text.split('\n').enumerate() {
        let wrong = |what: String| format!("{path} line {}: {what}", index.saturating_add(1));
        if line.is_empty() || line.starts_with(['#', '\r']) {
            continue;
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| wrong("expected locality:HEX or PCR:HEX".into()))?;
        let value = value.trim_end_matches('\r');
        if name == "locality" {
            let mask = strtoul(value, 16).0;
            let mask = u8::try_from(mask)
                .ok()
                .filter(|mask| (1..=0x1f).contains(mask));
            let mask = mask.ok_or_else(|| wrong("the locality must be 1 to 1f".into()))?;
            if locality.replace(mask).is_some() {
                return Err(wrong("the locality is given twice".into()));
            }
            continue;
        }
        let pcr = usize::try_from(strtoul(name, 10).0).unwrap_or(usize::MAX);
        let digit = name.starts_with(|c: char| c.is_ascii_digit());
        let slot = values.get_mut(pcr).filter(|_| digit);
        let slot = slot.ok_or_else(|| wrong("expected a PCR from 0 to 7".into()))?;
        if locality.is_none() {
            return Err(wrong("the locality must come first".into()));
        }
        // The original takes the first 40 characters, whatever follows.
        let value = if compat {
            value.get(..40).unwrap_or(value)
        } else {
            value.trim_end()
        };
        *slot = Some(hash(value, HashAlg::Sha1, compat).map_err(wrong)?);
    }
    let locality = locality.ok_or_else(|| format!("{path}: no locality"))?;
    let mut select = 0u8;
    let mut selected = Vec::new();
    for (pcr, value) in values.into_iter().enumerate() {
        if let Some(value) = value {
            select |= 1 << pcr;
            selected.push(value);
        }
    }
    if selected.is_empty() {
        return Err(format!("{path}: no PCR"));
    }
    let info = if compat {
        PcrInfoShort::with_zero_value_size(vec![select], locality, &selected)
    } else {
        PcrInfoShort::from_values(vec![select], locality, &selected)
    };
    info.map_err(|error| error.to_string())
}
