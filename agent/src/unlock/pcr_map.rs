//! SHA-256 PCR values in JSON: `{"17": "<64 hex digits>", ...}`. For `#[serde(with)]`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
use tpm::{Bank, PcrIndex, PcrValues};

pub(crate) fn serialize<S: Serializer>(values: &PcrValues, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(values.iter().map(|(pcr, value)| (pcr, hex::encode(value))))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PcrValues, D::Error> {
    let mut values = PcrValues::new(Bank::Sha256);
    for (pcr, digits) in BTreeMap::<PcrIndex, String>::deserialize(from)? {
        let value = hex::decode(digits)
            .map_err(|error| D::Error::custom(format!("PCR {pcr}: not hex digits: {error}")))?;
        values.insert(pcr, value).map_err(D::Error::custom)?;
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[derive(serde::Serialize, Deserialize)]
    struct Holder(#[serde(with = "super")] PcrValues);

    /// The text is authenticated: its order is that of the numbers.
    #[test]
    fn values_are_written_in_the_order_of_the_registers_and_read_back() {
        let value = "ab".repeat(32);
        let text = format!("{{\"7\":\"{value}\",\"17\":\"{value}\"}}");
        let read: Holder = serde_json::from_str(&text).unwrap();
        assert_eq!(read.0.set(), "7,17".parse().unwrap());
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        let tree: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(Holder::deserialize(&tree).unwrap().0, read.0);
        for bad in [
            "{\"24\":\"\"}",
            "{\"17\":\"ab\"}",
            "{\"17\":\"zz\"}",
            "{\"x\":\"\"}",
        ] {
            assert!(serde_json::from_str::<Holder>(bad).is_err(), "{bad}");
        }
    }
}
