//! PCR values in JSON: `{"17": "<64 hex digits>", ...}`, or 40 of a TPM 1.2. For `#[serde(with)]`. Whoever
//! wants values of one bank looks at it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
use tpm::{Bank, PcrIndex, PcrValues};

pub(crate) fn serialize<S: Serializer>(values: &PcrValues, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(values.iter().map(|(pcr, value)| (pcr, hex::encode(value))))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PcrValues, D::Error> {
    let texts = BTreeMap::<PcrIndex, String>::deserialize(from)?;
    let sha1 = Bank::Sha1.digest_len().saturating_mul(2);
    let is_sha1 = !texts.is_empty() && texts.values().all(|digits| digits.len() == sha1);
    let mut values = PcrValues::new(if is_sha1 { Bank::Sha1 } else { Bank::Sha256 });
    for (pcr, digits) in texts {
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
        let old = text.replace(&value, &"ab".repeat(20));
        let read_old: Holder = serde_json::from_str(&old).unwrap();
        assert_eq!(read_old.0.bank(), Bank::Sha1);
        assert_eq!(serde_json::to_string(&read_old).unwrap(), old);
        let mixed = text.replacen(&value, &"ab".repeat(20), 1);
        assert!(serde_json::from_str::<Holder>(&mixed).is_err());
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
