//! PCR values as other programs write them.
//!
//! JSON `{"sha256": {"17": "<hex>"}}` (also `tboot-policy`'s, one level down), the YAML that
//! `tpm2_pcrread` prints, plain lines `17: <hex>` (the length says which bank), and the kernel's
//! files: `pcrs` of a TPM 1.2, `pcr-sha256/17` and so on of a TPM 2.0.

use std::{collections::BTreeMap, fs, path::Path};

use crate::pcr::{Bank, PcrIndex, PcrSyntaxError, PcrValues};

/// Longest text that is looked at, in bytes.
pub const MAX_LEN: usize = 64 << 10;

const BANKS: [Bank; 3] = [Bank::Sha1, Bank::Sha256, Bank::Sha384];

/// Values that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PcrTextError {
    /// Longer than [`MAX_LEN`].
    #[error("PCR values are at most {MAX_LEN} bytes, this has {0}")]
    TooLong(usize),
    /// No value at all, or one that is none.
    #[error(
        "{0}; expected are lines \"17: <hex>\", tpm2_pcrread's output, or JSON {{\"sha256\":{{\"17\":\"<hex>\"}}}}"
    )]
    Syntax(String),
    /// Values of other banks only.
    #[error("there is no value of the {0} bank")]
    NoBank(Bank),
    /// No TPM.
    #[error(
        "{0} shows no PCRs: is there a TPM, and is the kernel 5.12 or newer? Else give their values in a file (tpm2_pcrread)"
    )]
    NoKernelFiles(String),
}

impl From<PcrSyntaxError> for PcrTextError {
    fn from(error: PcrSyntaxError) -> Self {
        Self::Syntax(error.to_string())
    }
}

type Found = BTreeMap<Bank, PcrValues>;

/// Reads values from a text, of every bank that this crate knows; others are passed over.
///
/// # Errors
/// When the text is too long or of another form, or has no value.
pub fn parse(text: &str) -> Result<Vec<PcrValues>, PcrTextError> {
    if text.len() > MAX_LEN {
        return Err(PcrTextError::TooLong(text.len()));
    }
    let found = if text.trim_start().starts_with('{') {
        from_json(text)?
    } else {
        from_lines(text)?
    };
    if found.is_empty() {
        return Err(PcrTextError::Syntax("there is no PCR value".to_owned()));
    }
    Ok(found.into_values().collect())
}

/// Reads the values of one bank from a text.
///
/// # Errors
/// As [`parse`], and when there is no value of this bank.
pub fn of_bank(text: &str, bank: Bank) -> Result<PcrValues, PcrTextError> {
    let found = parse(text)?.into_iter().find(|v| v.bank() == bank);
    found.ok_or(PcrTextError::NoBank(bank))
}

/// The start of what was given, for a message.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

fn hex_value(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.split_ascii_whitespace().collect();
    let digits = digits.trim_start_matches("0x").trim_start_matches("0X");
    hex::decode(digits).ok()
}

fn add(found: &mut Found, bank: Option<Bank>, pcr: &str, value: &str) -> Result<(), PcrTextError> {
    let wrong = PcrTextError::Syntax;
    let number = pcr.trim().trim_start_matches("PCR-");
    let index = number
        .parse::<u8>()
        .ok()
        .and_then(|number| PcrIndex::try_from(number).ok())
        .ok_or_else(|| wrong(format!("{:?} is not a PCR number (0 to 23)", shown(pcr))))?;
    let value = hex_value(value)
        .ok_or_else(|| wrong(format!("PCR {index}: {:?} is not hex digits", shown(value))))?;
    let by_length = || BANKS.into_iter().find(|b| b.digest_len() == value.len());
    let bank = bank
        .or_else(by_length)
        .ok_or_else(|| wrong(format!("PCR {index} has a value of {} bytes", value.len())))?;
    let values = found.entry(bank).or_insert_with(|| PcrValues::new(bank));
    if values.get(index).is_some() {
        return Err(wrong(format!("{bank} PCR {index} is given twice")));
    }
    Ok(values.insert(index, value)?)
}

fn from_json(text: &str) -> Result<Found, PcrTextError> {
    let wrong = PcrTextError::Syntax;
    let tree: serde_json::Value =
        serde_json::from_str(text).map_err(|error| wrong(format!("not JSON: {error}")))?;
    // The banks, or the same one level down.
    let inner = tree.get("pcrs").or_else(|| tree.get("expected"));
    let inner = inner.unwrap_or(&tree);
    let mut found = Found::new();
    for bank in BANKS {
        let Some(values) = inner.get(bank.to_string()) else {
            continue;
        };
        let values = values
            .as_object()
            .ok_or_else(|| wrong(format!("{bank} is not an object")))?;
        for (pcr, value) in values {
            let value = value
                .as_str()
                .ok_or_else(|| wrong(format!("the value of PCR {:?} is not text", shown(pcr))))?;
            add(&mut found, Some(bank), pcr, value)?;
        }
    }
    Ok(found)
}

/// Whose values the following lines are.
#[derive(Clone, Copy)]
enum Heading {
    /// There was none: a value's length tells.
    Absent,
    Bank(Bank),
    /// A bank that this crate does not know.
    Other,
}

fn from_lines(text: &str) -> Result<Found, PcrTextError> {
    let mut found = Found::new();
    let mut heading = Heading::Absent;
    for (number, line) in text.lines().enumerate() {
        let line = line.split_once('#').map_or(line, |(line, _)| line).trim();
        if line.is_empty() || line == "pcrs:" {
            continue;
        }
        let wrong = || {
            PcrTextError::Syntax(format!(
                "line {} is not \"PCR: value\"",
                number.saturating_add(1)
            ))
        };
        let (name, value) = line.split_once([':', '=']).ok_or_else(wrong)?;
        match (value.trim().is_empty(), heading) {
            (true, _) if name.trim().parse::<u32>().is_ok() => return Err(wrong()),
            (true, _) => {
                heading = name.trim().parse().map_or(Heading::Other, Heading::Bank);
            }
            (false, Heading::Absent) => add(&mut found, None, name, value)?,
            (false, Heading::Bank(bank)) => add(&mut found, Some(bank), name, value)?,
            (false, Heading::Other) => {}
        }
    }
    Ok(found)
}

/// The PCRs of the running machine, from the kernel's files below `/sys/class/tpm/tpm0`.
///
/// # Errors
/// When there are none, or they are not what the kernel writes.
pub fn from_kernel(device: &Path) -> Result<Vec<PcrValues>, PcrTextError> {
    if let Ok(text) = fs::read_to_string(device.join("pcrs")) {
        return parse(&text);
    }
    let mut found = Found::new();
    for bank in BANKS {
        let directory = device.join(format!("pcr-{bank}"));
        for pcr in 0..24u8 {
            let pcr = pcr.to_string();
            if let Ok(text) = fs::read_to_string(directory.join(&pcr)) {
                add(&mut found, Some(bank), &pcr, &text)?;
            }
        }
    }
    if found.is_empty() {
        return Err(PcrTextError::NoKernelFiles(device.display().to_string()));
    }
    Ok(found.into_values().collect())
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
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(
            from_kernel(directory.path()),
            Err(PcrTextError::NoKernelFiles(_))
        ));
        let bank = directory.path().join("pcr-sha256");
        fs::create_dir(&bank).unwrap();
        fs::write(bank.join("17"), format!("{}\n", "AB".repeat(32))).unwrap();
        let values = from_kernel(directory.path()).unwrap();
        assert_eq!(
            values[0].get(PcrIndex::try_from(17).unwrap()),
            Some(&[0xab; 32][..])
        );
    }

    #[test]
    fn the_forms_say_the_same_of_one_bank() {
        let value = "ab".repeat(32);
        let forms = [
            format!("17: 0x{value}\n18 : {value}  # the kernel\n"),
            format!(
                "pcrs:\n  sha1:\n    17: 0x{}\n  sha256:\n    17: 0x{}\n    18: 0x{value}\n",
                "00".repeat(20),
                value.to_uppercase()
            ),
            format!("{{\"sha256\":{{\"17\":\"{value}\",\"18\":\"0x{value}\"}}}}"),
            format!("{{\"expected\":{{\"sha256\":{{\"17\":\"{value}\",\"18\":\"{value}\"}}}}}}"),
        ];
        for form in &forms {
            let values = of_bank(form, Bank::Sha256).unwrap();
            assert_eq!(values.set(), "17,18".parse().unwrap(), "{form}");
            assert!(
                values.iter().all(|(_, value)| value == [0xab; 32]),
                "{form}"
            );
        }
    }

    #[test]
    fn what_is_no_value_is_refused_with_its_place() {
        let value = "ab".repeat(32);
        for (text, words) in [
            (String::new(), "no PCR value"),
            ("nonsense".into(), "line 1"),
            ("17: 0xabc".into(), "PCR 17"),
            ("17: 0xab".into(), "PCR 17"),
            (format!("24: {value}"), "24"),
            (format!("17: {value}\n17: {value}"), "twice"),
            ("{".into(), "JSON"),
            (
                format!("{{\"sha1\":{{\"17\":\"{}\"}}}}", "ab".repeat(20)),
                "sha256",
            ),
            ("{\"sha256\":{\"17\":5}}".into(), "not text"),
        ] {
            let sentence = of_bank(&text, Bank::Sha256).unwrap_err().to_string();
            assert!(sentence.contains(words), "{text:?}: {sentence}");
        }
        let long = " ".repeat(MAX_LEN + 1);
        assert_eq!(parse(&long), Err(PcrTextError::TooLong(MAX_LEN + 1)));
    }
}
