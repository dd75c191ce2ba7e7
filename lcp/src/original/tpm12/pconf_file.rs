//! PCR files of tboot 1.8's pconf element: lines `PCR:HEX HEX ...`.

use txt::{
    element::PcrInfoShort,
    hash::{Digest, HashAlg},
};

use crate::original::hash_file;

/// One PCR_INFO_SHORT out of a file. The original hashes the values in the file's order, so that a
/// file that isn't sorted matches no platform; here they are sorted, unless `compat` is asked for.
pub fn parse(path: &str, text: &[u8], compat: bool) -> Result<PcrInfoShort, String> {
    let text = String::from_utf8_lossy(text);
    let mut select = vec![0u8; 3];
    let mut values: Vec<(usize, Digest)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let wrong = |what: &str| format!("{path} line {}: {what}", index.saturating_add(1));
        let (pcr, value) = line
            .split_once(':')
            .ok_or_else(|| wrong("expected PCR:HEX"))?;
        let pcr: usize = pcr.trim().parse().map_err(|_| wrong("expected a PCR"))?;
        let byte = select.get_mut(pcr / 8);
        let byte = byte.ok_or_else(|| wrong("expected a PCR from 0 to 23"))?;
        if *byte & 1 << (pcr % 8) != 0 {
            return Err(wrong("this PCR is given twice"));
        }
        *byte |= 1 << (pcr % 8);
        let digests = hash_file::parse(path, value.as_bytes(), HashAlg::Sha1, 1, compat);
        let digest = digests?.into_iter().next();
        values.push((pcr, digest.ok_or_else(|| wrong("no value"))?));
    }
    if values.is_empty() {
        return Err(format!("{path}: no PCR"));
    }
    if !compat {
        values.sort_by_key(|(pcr, _)| *pcr);
    }
    let values: Vec<Digest> = values.into_iter().map(|(_, value)| value).collect();
    PcrInfoShort::from_values(select, 0x1f, &values).map_err(|error| error.to_string())
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
