//! PCR values as other programs write them, of every bank.
//!
//! JSON `{"sha256": {"17": "<hex>"}}`, the YAML that `tpm2_pcrread` prints, plain lines `17: <hex>`
//! (the length says which bank), and the kernel's files: `pcrs` of a TPM 1.2, `pcr-sha256/17` and so
//! on of a TPM 2.0.

use std::{collections::BTreeMap, fs, path::Path};

use tpm::pcr::{Bank, PcrIndex, PcrValues};

use crate::platform::BANKS;

/// Longest text, in bytes.
const MAX_LEN: usize = 64 << 10;

/// Values that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PcrTextError {
    /// No value at all, or one that is none.
    #[error(
        "{0}; expected are tpm2_pcrread's output, lines \"17: <hex>\", or JSON {{\"sha256\":{{\"17\":\"<hex>\"}}}}"
    )]
    Syntax(String),
    /// No TPM.
    #[error(
        "{0} shows no PCRs: is there a TPM, and is the kernel 5.12 or newer? Else give their values in a file (tpm2_pcrread)"
    )]
    NoKernelFiles(String),
}

type Found = BTreeMap<Bank, BTreeMap<u8, Vec<u8>>>;

/// Reads values from a text.
pub fn parse(text: &str) -> Result<Vec<PcrValues>, PcrTextError> {
    let wrong = PcrTextError::Syntax;
    if text.len() > MAX_LEN {
        return Err(wrong(format!("PCR values of {} bytes", text.len())));
    }
    let found = if text.trim_start().starts_with('{') {
        from_json(text)
    } else {
        from_lines(text)
    };
    let found = found.map_err(wrong)?;
    if found.is_empty() {
        return Err(wrong("no PCR value found".to_owned()));
    }
    collect(found)
}

fn collect(found: Found) -> Result<Vec<PcrValues>, PcrTextError> {
    let mut all = Vec::new();
    for (bank, registers) in found {
        let mut values = PcrValues::new(bank);
        for (pcr, value) in registers {
            let inserted = PcrIndex::try_from(pcr).and_then(|pcr| values.insert(pcr, value));
            inserted.map_err(|error| PcrTextError::Syntax(error.to_string()))?;
        }
        all.push(values);
    }
    Ok(all)
}

fn hex_value(text: &str) -> Result<Vec<u8>, String> {
    let digits: String = text.split_ascii_whitespace().collect();
    let digits = digits.trim_start_matches("0x").trim_start_matches("0X");
    hex::decode(digits).map_err(|_| format!("{text:?} is no hexadecimal value"))
}

fn add(found: &mut Found, bank: Option<Bank>, pcr: &str, value: &str) -> Result<(), String> {
    let number = pcr.trim().trim_start_matches("PCR-");
    let number: u8 = number.parse().map_err(|_| format!("{pcr:?} is no PCR"))?;
    let value = hex_value(value)?;
    let by_length = || {
        BANKS
            .into_iter()
            .find(|bank| bank.digest_len() == value.len())
    };
    let bank = bank.or_else(by_length);
    let bank = bank.ok_or_else(|| format!("PCR {number} has a value of {} bytes", value.len()))?;
    let before = found.entry(bank).or_default().insert(number, value.clone());
    match before {
        Some(before) if before != value => Err(format!("{bank} PCR {number} is given twice")),
        _ => Ok(()),
    }
}

fn from_json(text: &str) -> Result<Found, String> {
    let tree: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let mut found = Found::new();
    let inner = tree.get("pcrs").unwrap_or(&tree);
    for bank in BANKS {
        let Some(values) = inner.get(bank.to_string()) else {
            continue;
        };
        let values = values
            .as_object()
            .ok_or_else(|| format!("{bank} is no object"))?;
        for (pcr, value) in values {
            let value = value
                .as_str()
                .ok_or_else(|| format!("PCR {pcr} is no text"))?;
            add(&mut found, Some(bank), pcr, value)?;
        }
    }
    Ok(found)
}

fn from_lines(text: &str) -> Result<Found, String> {
    let mut found = Found::new();
    // Inside of another bank's list values are skipped.
    let mut bank = Ok(None);
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else {
            if line.trim().is_empty() {
                continue;
            }
            return Err(format!("{line:?} is no PCR value"));
        };
        if value.trim().is_empty() {
            bank = name.trim().parse::<Bank>().map(Some).map_err(|_| ());
        } else if let Ok(bank) = bank {
            add(&mut found, bank, name, value)?;
        }
    }
    Ok(found)
}

/// The PCRs of the running machine, from the kernel's files below `/sys/class/tpm/tpm0`.
pub fn from_kernel(device: &Path) -> Result<Vec<PcrValues>, PcrTextError> {
    let none = || PcrTextError::NoKernelFiles(device.display().to_string());
    if let Ok(text) = fs::read_to_string(device.join("pcrs")) {
        return parse(&text);
    }
    let mut found = Found::new();
    for bank in BANKS {
        let folder = device.join(format!("pcr-{bank}"));
        for pcr in 0..24u8 {
            if let Ok(text) = fs::read_to_string(folder.join(pcr.to_string())) {
                add(&mut found, Some(bank), &pcr.to_string(), &text)
                    .map_err(PcrTextError::Syntax)?;
            }
        }
    }
    if found.is_empty() {
        return Err(none());
    }
    collect(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banks(text: &str) -> Vec<(Bank, usize)> {
        let values = parse(text).unwrap();
        values
            .iter()
            .map(|v| (v.bank(), v.iter().count()))
            .collect()
    }

    #[test]
    fn every_form_is_read() {
        let (one, two) = ("11".repeat(20), "22".repeat(32));
        let yaml = format!(
            "  sha1:\n    17: 0x{one}\n    18: 0x{one}\n  sha512:\n    17: 0xABCD\n  sha256:\n    17: 0x{two}\n"
        );
        assert_eq!(banks(&yaml), [(Bank::Sha1, 2), (Bank::Sha256, 1)]);
        assert_eq!(
            banks(&format!("17: {two}\n18: {two}\n")),
            [(Bank::Sha256, 2)]
        );
        assert_eq!(
            banks(&format!("PCR-17: {}\n", "AB ".repeat(20))),
            [(Bank::Sha1, 1)]
        );
        let json = format!("{{\"pcrs\": {{\"sha256\": {{\"17\": \"{two}\"}}}}}}");
        assert_eq!(banks(&json), [(Bank::Sha256, 1)]);
    }

    #[test]
    fn what_is_no_value_is_refused() {
        let two = "22".repeat(32);
        for text in [
            "",
            "{}",
            "hello",
            "17: xyz",
            "17: 1122",
            &format!("24: {two}"),
            &format!("17: {two}\n17: {}", "33".repeat(32)),
            "{\"sha256\": {\"17\": 5}}",
            "sha256:\n 17: 1122",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_kernels_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            from_kernel(folder.path()),
            Err(PcrTextError::NoKernelFiles(_))
        ));
        let bank = folder.path().join("pcr-sha256");
        fs::create_dir(&bank).unwrap();
        fs::write(bank.join("17"), format!("{}\n", "AB".repeat(32))).unwrap();
        let values = from_kernel(folder.path()).unwrap();
        assert_eq!(
            values[0].get(PcrIndex::try_from(17).unwrap()),
            Some(&[0xab; 32][..])
        );
    }
}
