//! Reads expected PCR values as other programs write them.
//!
//! Three forms: JSON `{"sha256": {"17": "<hex>", ...}}` (also `tboot-policy`'s), the YAML
//! that `tpm2_pcrread` prints, and plain lines `17: 0x<hex>`. Other banks are skipped.

use tpm::{PcrIndex, PcrSet, PcrValues};

use super::pcr_map;

/// Longest text that is looked at, in bytes.
pub const MAX_LEN: usize = 64 * 1024;

/// Why a text gives no expected values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpectedPcrsError {
    /// Longer than [`MAX_LEN`].
    #[error("expected PCR values are at most {MAX_LEN} bytes, this has {0}")]
    TooLong(usize),
    /// A value or number that is none.
    #[error(
        "{0}; expected are lines \"17: 0x<64 hex digits>\", tpm2_pcrread's output, or JSON {{\"sha256\":{{\"17\":\"<hex>\"}}}}"
    )]
    Syntax(String),
    /// A register that is needed has no value.
    #[error("no SHA-256 value for PCR {0}: the policy needs it")]
    Missing(PcrIndex),
}

/// All SHA-256 values in `text`.
pub fn parse(text: &str) -> Result<PcrValues, ExpectedPcrsError> {
    if text.len() > MAX_LEN {
        return Err(ExpectedPcrsError::TooLong(text.len()));
    }
    let pairs = if text.trim_start().starts_with('{') {
        json(text)
    } else {
        lines(text)
    };
    let pairs = pairs.map_err(ExpectedPcrsError::Syntax)?;
    let digits = |value: &str| {
        value
            .trim_start_matches("0x")
            .trim_start_matches("0X")
            .to_owned()
    };
    let pairs: Vec<(String, String)> = pairs
        .iter()
        .map(|(pcr, v)| (pcr.clone(), digits(v)))
        .collect();
    pcr_map::parse(
        pairs
            .iter()
            .map(|(pcr, value)| (pcr.as_str(), value.as_str())),
    )
    .map_err(ExpectedPcrsError::Syntax)
}

/// Only the values of `pcrs`; each must be there.
pub fn select(values: &PcrValues, pcrs: PcrSet) -> Result<PcrValues, ExpectedPcrsError> {
    let mut selected = PcrValues::new(values.bank());
    for pcr in pcrs.iter() {
        let value = values.get(pcr).ok_or(ExpectedPcrsError::Missing(pcr))?;
        selected
            .insert(pcr, value.to_vec())
            .map_err(|error| ExpectedPcrsError::Syntax(error.to_string()))?;
    }
    Ok(selected)
}

type Pairs = Vec<(String, String)>;

fn json(text: &str) -> Result<Pairs, String> {
    let tree: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    // Both {"sha256":{...}} and the same one level down, in "pcrs" or "expected".
    let bank = ["", "/pcrs", "/expected"]
        .iter()
        .find_map(|level| tree.pointer(&format!("{level}/sha256")))
        .and_then(serde_json::Value::as_object)
        .ok_or("the JSON has no object \"sha256\"")?;
    bank.iter()
        .map(|(pcr, value)| match value.as_str() {
            Some(value) => Ok((pcr.clone(), value.to_owned())),
            None => Err(format!("the value of PCR {pcr:?} is no text")),
        })
        .collect()
}

/// `sha256:` starts a bank, `17: 0x...` is a value; without any bank all values count.
fn lines(text: &str) -> Result<Pairs, String> {
    let mut pairs = Vec::new();
    let mut in_bank = true;
    for (number, line) in text.lines().enumerate() {
        let number = number.saturating_add(1);
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() || line == "pcrs:" {
            continue;
        }
        let (name, value) = line
            .split_once([':', '='])
            .ok_or_else(|| format!("line {number} is not \"PCR: value\""))?;
        let (name, value) = (name.trim(), value.trim());
        match (name.parse::<u32>().is_ok(), value.is_empty()) {
            (false, true) => in_bank = name == "sha256",
            (true, false) if in_bank => pairs.push((name.to_owned(), value.to_owned())),
            (true, false) => {}
            _ => return Err(format!("line {number} is not \"PCR: value\"")),
        }
    }
    if pairs.is_empty() {
        Err("there is no PCR value".into())
    } else {
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_say_the_same() {
        let value = "ab".repeat(32);
        let forms = [
            format!("17: 0x{value}\n18 : {value}\n"),
            format!(
                "  sha1:\n    17: 0x{}\n  sha256:\n    17: 0x{}\n    18: 0x{value}\n",
                "00".repeat(20),
                value.to_uppercase()
            ),
            format!("{{\"sha256\":{{\"17\":\"{value}\",\"18\":\"0x{value}\"}}}}"),
            format!("{{\"pcrs\":{{\"sha256\":{{\"17\":\"{value}\",\"18\":\"{value}\"}}}}}}"),
        ];
        let expected = parse(&forms[0]).unwrap();
        assert_eq!(expected.set(), "17,18".parse().unwrap());
        for form in &forms {
            assert_eq!(parse(form).unwrap(), expected, "{form}");
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
            ("{\"sha1\":{}}".into(), "sha256"),
            ("{\"sha256\":{\"17\":5}}".into(), "no text"),
        ] {
            let sentence = parse(&text).unwrap_err().to_string();
            assert!(sentence.contains(words), "{text:?}: {sentence}");
        }
        let values = parse(&format!("17: {value}")).unwrap();
        let missing = select(&values, PcrSet::LAUNCH).unwrap_err();
        assert!(missing.to_string().contains("PCR 18"));
    }
}
