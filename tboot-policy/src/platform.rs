//! What only the platform knows about its launch: the measurements of its SINIT module, firmware
//! and launch control policy. Taken once from the event log of a measured boot, they stay the same
//! until one of those changes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tpm::pcr::Bank;
use txt::hash::HashAlg;

/// The hash algorithm of a bank.
pub const fn bank_alg(bank: Bank) -> HashAlg {
    match bank {
        Bank::Sha1 => HashAlg::Sha1,
        Bank::Sha256 => HashAlg::Sha256,
        Bank::Sha384 => HashAlg::Sha384,
    }
}

/// Every bank there is.
pub const BANKS: [Bank; 3] = [Bank::Sha1, Bank::Sha256, Bank::Sha384];

/// One measurement: the data when it is known, so that every bank's digest can be computed, or the
/// digests that the event log gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measured {
    /// The measured bytes.
    Data(Vec<u8>),
    /// Their digests; each has its bank's length (checked when read from JSON).
    Digests(BTreeMap<Bank, Vec<u8>>),
}

impl Measured {
    /// The digest in one bank; `None` when only other banks' digests are known, or when this one
    /// has not the bank's length.
    pub fn digest(&self, bank: Bank) -> Option<Vec<u8>> {
        match self {
            Self::Data(data) => Some(bank_alg(bank).digest(data).as_bytes().to_vec()),
            Self::Digests(digests) => digests
                .get(&bank)
                .filter(|digest| digest.len() == bank.digest_len())
                .cloned(),
        }
    }
}

/// The measurements of SINIT, firmware and launch control policy on one platform.
///
/// In JSON each is either `{"data": "<hex>"}` or `{"digests": {"sha256": "<hex>", ...}}`. The field
/// names are the event names of the TXT Software Development Guide in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformRecord {
    /// What the CPU measures of the SINIT module before it starts (TPM_HASH_START at locality 4).
    pub hash_start: Measured,
    /// BIOS ACM registration data.
    pub biosac_reg_data: Measured,
    /// Status of the CPU's static root of trust, four bytes.
    pub cpu_scrtm_stat: Measured,
    /// PolicyControl of the launch control policy, four bytes.
    pub lcp_control_hash: Measured,
    /// The elements of the launch control policy that matched; one zero byte without policy.
    pub lcp_details_hash: Measured,
    /// The SMM transfer monitor; one zero byte without one.
    pub stm_hash: Measured,
    /// OsSinitData.Capabilities, four bytes.
    pub ossinitdata_cap_hash: Measured,
    /// Attributes of the platform's NV indices.
    pub nv_info_hash: Measured,
    /// The key that signed SINIT.
    pub sinit_pubkey_hash: Measured,
    /// Who signed the matching lists of the policy; one zero byte without policy.
    pub lcp_authorities_hash: Measured,
}

impl PlatformRecord {
    /// A platform that does not exist, for tests and for the simulated launch in a virtual machine:
    /// the constants are those of a machine without launch control policy and without STM, tboot
    /// 1.10 with TCG event log (capabilities 0x601); the rest is text that says that it is made up.
    pub fn simulated() -> Self {
        let data = |bytes: &[u8]| Measured::Data(bytes.to_vec());
        Self {
            hash_start: data(b"taoboot simulated launch: not a SINIT module"),
            biosac_reg_data: data(b"taoboot simulated launch: no BIOS ACM"),
            cpu_scrtm_stat: data(&1u32.to_le_bytes()),
            lcp_control_hash: data(&0u32.to_le_bytes()),
            lcp_details_hash: data(&[0]),
            stm_hash: data(&[0]),
            ossinitdata_cap_hash: data(&0x601u32.to_le_bytes()),
            nv_info_hash: data(b"taoboot simulated launch: no NV indices"),
            sinit_pubkey_hash: data(b"taoboot simulated launch: no SINIT signer"),
            lcp_authorities_hash: data(&[0]),
        }
    }

    /// The banks in which every measurement is known.
    pub fn banks(&self) -> BTreeSet<Bank> {
        let all = [
            &self.hash_start,
            &self.biosac_reg_data,
            &self.cpu_scrtm_stat,
            &self.lcp_control_hash,
            &self.lcp_details_hash,
            &self.stm_hash,
            &self.ossinitdata_cap_hash,
            &self.nv_info_hash,
            &self.sinit_pubkey_hash,
            &self.lcp_authorities_hash,
        ];
        BANKS
            .into_iter()
            .filter(|bank| all.iter().all(|measured| measured.digest(*bank).is_some()))
            .collect()
    }
}

/// The JSON form of [`Measured`].
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum MeasuredText {
    Data(String),
    Digests(BTreeMap<Bank, String>),
}

impl Serialize for Measured {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = match self {
            Self::Data(data) => MeasuredText::Data(hex::encode(data)),
            Self::Digests(digests) => MeasuredText::Digests(
                digests
                    .iter()
                    .map(|(bank, digest)| (*bank, hex::encode(digest)))
                    .collect(),
            ),
        };
        text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Measured {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = |text: &str| {
            hex::decode(text).map_err(|_| D::Error::custom(format!("{text:?} is not hexadecimal")))
        };
        match MeasuredText::deserialize(deserializer)? {
            MeasuredText::Data(text) => Ok(Self::Data(bytes(&text)?)),
            MeasuredText::Digests(texts) => {
                let mut digests = BTreeMap::new();
                for (bank, text) in texts {
                    let digest = bytes(&text)?;
                    if digest.len() != bank.digest_len() {
                        return Err(D::Error::custom(format!(
                            "a {bank} digest has {} bytes, found {}",
                            bank.digest_len(),
                            digest.len()
                        )));
                    }
                    digests.insert(bank, digest);
                }
                Ok(Self::Digests(digests))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulated_platform_has_every_bank_and_survives_json() {
        let record = PlatformRecord::simulated();
        assert_eq!(record.banks().len(), 3);
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(
            serde_json::from_str::<PlatformRecord>(&text).unwrap(),
            record
        );
    }

    #[test]
    fn a_bank_counts_only_when_every_measurement_has_it() {
        let mut record = PlatformRecord::simulated();
        record.stm_hash = Measured::Digests([(Bank::Sha256, vec![1; 32])].into());
        assert_eq!(record.banks(), [Bank::Sha256].into());
    }

    #[test]
    fn a_digest_of_the_wrong_length_is_refused() {
        let error = serde_json::from_str::<Measured>(r#"{"digests":{"sha256":"00"}}"#).unwrap_err();
        assert!(error.to_string().contains("32 bytes, found 1"), "{error}");
        assert!(serde_json::from_str::<Measured>(r#"{"data":"0"}"#).is_err());
        assert!(serde_json::from_str::<Measured>(r#"{"digest":""}"#).is_err());
    }
}
