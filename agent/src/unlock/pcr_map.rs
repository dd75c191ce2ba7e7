//! SHA-256 PCR values in JSON: `{"17": "<64 hex digits>", ...}`. For `#[serde(with)]`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
use tpm::{Bank, PcrIndex, PcrValues};

pub(crate) fn serialize<S: Serializer>(values: &PcrValues, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(
        values
            .iter()
            .map(|(pcr, value)| (pcr.to_string(), hex::encode(value))),
    )
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PcrValues, D::Error> {
    let map = BTreeMap::<String, String>::deserialize(from)?;
    parse(
        map.iter()
            .map(|(pcr, value)| (pcr.as_str(), value.as_str())),
    )
    .map_err(D::Error::custom)
}

/// Pairs of PCR number and hex digits, each PCR at most once.
pub(crate) fn parse<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<PcrValues, String> {
    let mut values = PcrValues::new(Bank::Sha256);
    for (number, digits) in pairs {
        let shown = |text: &str| text.chars().take(80).collect::<String>();
        let pcr = number
            .parse::<u8>()
            .ok()
            .and_then(|number| PcrIndex::try_from(number).ok())
            .ok_or_else(|| format!("{:?} is not a PCR number (0 to 23)", shown(number)))?;
        let value = hex::decode(digits)
            .map_err(|_| format!("PCR {pcr}: {:?} is not hex digits", shown(digits)))?;
        if values.get(pcr).is_some() {
            return Err(format!("PCR {pcr} is given twice"));
        }
        values
            .insert(pcr, value)
            .map_err(|error| error.to_string())?;
    }
    Ok(values)
}
