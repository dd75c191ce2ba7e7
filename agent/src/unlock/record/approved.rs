//! A launch that the owner's policy key signed: a LUKS2 token of type `taoboot-approval`, and
//! the same JSON as a file on its way from the machine that signs.
//!
//! The signature is over the launch's policy digest, so over its PCR values and its limit; the
//! label and the words for components are hints and unsigned.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tpm::{Approval, CounterLimit, LaunchPolicy, PcrIndex, PcrValues, PolicySignature};

use super::{
    error::RecordError,
    form::{self, CounterJson, blob, bytes_text, check_texts, check_version, damaged},
};
use crate::unlock::{launch_pcrs::LaunchPcrs, pcr_map};

/// Type of the LUKS2 token.
pub const APPROVAL_TYPE: &str = "taoboot-approval";

/// A signed launch of correct form. Whether the signature is good, the TPM says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovedLaunch {
    /// What was signed.
    pub launch: LaunchPolicy,
    /// By whom, and the signature.
    pub signature: PolicySignature,
    /// A note for people.
    pub label: String,
    /// Words for what is measured into a register.
    pub components: BTreeMap<PcrIndex, String>,
    /// When it was signed, in seconds since 1970.
    pub created: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovalJson {
    #[serde(rename = "type")]
    kind: String,
    keyslots: Vec<String>,
    version: u32,
    policy_key: String,
    #[serde(with = "pcr_map")]
    pcrs: PcrValues,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counter: Option<CounterJson>,
    #[serde(default)]
    label: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    components: BTreeMap<String, String>,
    created: u64,
    signature: String,
}

impl ApprovedLaunch {
    /// The policy of a launch to be signed: PCR values without the latch, which is added.
    pub fn policy(
        values: LaunchPcrs,
        counter: Option<CounterLimit>,
    ) -> Result<LaunchPolicy, RecordError> {
        let mut values = values.into_values();
        let open_latch = vec![0; values.bank().digest_len()];
        values
            .insert(PcrIndex::LATCH, open_latch)
            .map_err(|error| damaged(error.to_string()))?;
        form::launch_policy(values, counter)
    }

    /// Reads the JSON object of a token or a file.
    pub fn from_json(json: &Value) -> Result<Self, RecordError> {
        check_version(json)?;
        let token = ApprovalJson::deserialize(json)
            .map_err(|error| damaged(error.to_string().chars().take(200).collect::<String>()))?;
        if token.kind != APPROVAL_TYPE || !token.keyslots.is_empty() {
            return Err(damaged(
                "its type is not that of an approval, or it names a keyslot",
            ));
        }
        let components = form::components(token.components)?;
        check_texts(&token.label, &components)?;
        let r_and_s = blob("signature", &token.signature)?
            .try_into()
            .map_err(|_| damaged("its signature does not have 64 bytes"))?;
        let signer = form::signer(&token.policy_key)?;
        Ok(Self {
            launch: form::launch_policy(token.pcrs, token.counter.map(Into::into))?,
            signature: PolicySignature { signer, r_and_s },
            label: token.label,
            components,
            created: token.created,
        })
    }

    /// The JSON object of a token or a file.
    pub fn to_json(&self) -> Result<Value, RecordError> {
        let token = ApprovalJson {
            kind: APPROVAL_TYPE.into(),
            keyslots: Vec::new(),
            version: 1,
            policy_key: form::signer_text(&self.signature.signer),
            pcrs: self.launch.pcrs().values().clone(),
            counter: self.launch.counter().copied().map(Into::into),
            label: self.label.clone(),
            components: form::components_json(&self.components),
            created: self.created,
            signature: bytes_text(&self.signature.r_and_s),
        };
        serde_json::to_value(token).map_err(|error| damaged(error.to_string()))
    }

    /// What the TPM is shown.
    pub fn approval(&self) -> Approval {
        Approval::signed(self.launch.clone(), self.signature.clone())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use tpm::{Bank, PolicySigner};

    use super::*;

    fn launch(limit: Option<u64>, label: String, byte: u8) -> ApprovedLaunch {
        let mut values = PcrValues::new(Bank::Sha256);
        for pcr in 17..=19 {
            let index = PcrIndex::try_from(pcr).unwrap();
            values.insert(index, vec![byte; 32]).unwrap();
        }
        let index = crate::unlock::ROLLBACK_COUNTER;
        let counter = limit.map(|limit| CounterLimit { index, limit });
        ApprovedLaunch {
            launch: ApprovedLaunch::policy(LaunchPcrs::new(values).unwrap(), counter).unwrap(),
            signature: PolicySignature {
                signer: PolicySigner::new([byte; 32], [2; 32]),
                r_and_s: [byte; 64],
            },
            label,
            components: BTreeMap::from([(PcrIndex::try_from(18).unwrap(), "kernel".into())]),
            created: 7,
        }
    }

    /// Values that no field takes.
    fn junk() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(|number| json!(number)),
            ".{0,200}".prop_map(|text| json!(text)),
            Just(json!([[], {}])),
            Just(json!({ "17": "ff".repeat(32), "99": "" })),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            limit in any::<Option<u64>>(), label in "[ -~]{0,120}", byte in 1_u8..0xff
        ) {
            let launch = launch(limit, label, byte);
            let json = launch.to_json().unwrap();
            prop_assert_eq!(ApprovedLaunch::from_json(&json), Ok(launch));
        }

        #[test]
        fn junk_in_any_field_is_refused_or_harmless(field in 0_usize..10, junk in junk()) {
            let mut json = launch(Some(1), "label".into(), 3).to_json().unwrap();
            let object = json.as_object_mut().unwrap();
            let name = object.keys().nth(field % object.len()).unwrap().clone();
            object.insert(name, junk);
            if let Ok(read) = ApprovedLaunch::from_json(&json) {
                prop_assert!(read.label.chars().all(|c| !c.is_control()));
                prop_assert!(ApprovedLaunch::from_json(&read.to_json().unwrap()).is_ok());
            }
        }
    }

    #[test]
    fn a_launch_that_is_none_and_an_unknown_field_are_refused() {
        let good = launch(None, String::new(), 3).to_json().unwrap();
        for (field, value) in [
            (
                "pcrs",
                json!({ "15": "00".repeat(32), "17": "ff".repeat(32) }),
            ),
            ("pcrs", json!({ "17": "03".repeat(32) })),
            // Nothing was measured into PCR 19.
            (
                "pcrs",
                json!({
                    "15": "00".repeat(32), "17": "03".repeat(32), "18": "03".repeat(32),
                    "19": "00".repeat(32)
                }),
            ),
            ("more", json!(1)),
            ("version", json!(2)),
            ("keyslots", json!(["1"])),
            ("label", json!("\u{1b}[2J")),
            ("signature", json!("AAAA")),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            assert!(ApprovedLaunch::from_json(&bad).is_err(), "{field}");
        }
    }
}
