//! A measured launch as the TPM sees it: the hash sequence at locality 4, then extends.
//!
//! On a real machine SENTER sends the bytes of the SINIT ACM between TPM_HASH_START and
//! TPM_HASH_END, the ACM extends PCR 17 and 18 at locality 3, and tboot extends what it
//! measured at locality 2 (Intel TXT software development guide, section 1.10).

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// TPM_ALG_SHA1 (TCG Algorithm Registry).
pub const SHA1: u16 = 0x0004;
/// TPM_ALG_SHA256.
pub const SHA256: u16 = 0x000b;
/// TPM_ALG_SHA384.
pub const SHA384: u16 = 0x000c;
/// TPM_ALG_SHA512.
pub const SHA512: u16 = 0x000d;

/// The PCRs that a launch resets to zeros: 17 to 22.
const DYNAMIC_PCRS: std::ops::RangeInclusive<u8> = 17..=22;

/// One TPM2_PCR_Extend of the launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extend {
    /// The locality it is sent from: 3 for the SINIT ACM, 2 for tboot.
    pub locality: u8,
    /// The PCR.
    pub pcr: u8,
    /// A digest for each bank: TPM algorithm identifier and value.
    pub digests: Vec<(u16, Vec<u8>)>,
}

impl Extend {
    /// An extend with the digest of `data` in the SHA-1 and SHA-256 banks.
    pub fn of_data(locality: u8, pcr: u8, data: &[u8]) -> Self {
        Self {
            locality,
            pcr,
            digests: vec![
                (SHA1, Sha1::digest(data).to_vec()),
                (SHA256, Sha256::digest(data).to_vec()),
            ],
        }
    }
}

/// A whole launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The bytes between TPM_HASH_START and TPM_HASH_END; their digest becomes the first
    /// extend of PCR 17.
    pub hash_data: Vec<u8>,
    /// The extends that follow, in order.
    pub extends: Vec<Extend>,
}

impl Launch {
    /// PCR 17 to 22 of the bank `algorithm` after this launch.
    ///
    /// # Errors
    /// The algorithm is none of the four that the tests know.
    pub fn pcrs(&self, algorithm: u16) -> Result<BTreeMap<u8, Vec<u8>>> {
        let size = digest(algorithm, &[])?.len();
        let mut pcrs: BTreeMap<u8, Vec<u8>> =
            DYNAMIC_PCRS.map(|pcr| (pcr, vec![0; size])).collect();
        extend(
            &mut pcrs,
            algorithm,
            17,
            &digest(algorithm, &self.hash_data)?,
        )?;
        for event in &self.extends {
            for (bank, value) in &event.digests {
                if *bank == algorithm {
                    extend(&mut pcrs, algorithm, event.pcr, value)?;
                }
            }
        }
        Ok(pcrs)
    }

    /// The value of one PCR in the SHA-256 bank, in hex as sysfs prints it (upper case).
    pub fn sha256_hex(&self, pcr: u8) -> Result<String> {
        match self.pcrs(SHA256)?.get(&pcr) {
            Some(value) => Ok(hex::encode_upper(value)),
            None => bail!("a launch says nothing about PCR {pcr}"),
        }
    }
}

fn extend(pcrs: &mut BTreeMap<u8, Vec<u8>>, algorithm: u16, pcr: u8, value: &[u8]) -> Result<()> {
    let Some(old) = pcrs.get_mut(&pcr) else {
        bail!("a launch extends PCR 17 to 22, not PCR {pcr}");
    };
    let joined = [old.as_slice(), value].concat();
    *old = digest(algorithm, &joined)?;
    Ok(())
}

fn digest(algorithm: u16, data: &[u8]) -> Result<Vec<u8>> {
    Ok(match algorithm {
        SHA1 => Sha1::digest(data).to_vec(),
        SHA256 => Sha256::digest(data).to_vec(),
        SHA384 => Sha384::digest(data).to_vec(),
        SHA512 => Sha512::digest(data).to_vec(),
        other => bail!("no digest is known for the TPM algorithm 0x{other:04x}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_sequence_is_the_first_extend_of_pcr_17() {
        let launch = Launch {
            hash_data: b"acm".to_vec(),
            extends: vec![],
        };
        let inner = Sha256::digest(b"acm");
        let expected = Sha256::digest([&[0u8; 32][..], &inner].concat());
        let pcrs = launch.pcrs(SHA256).unwrap();
        assert_eq!(pcrs[&17], expected.to_vec());
        assert_eq!(pcrs[&18], vec![0; 32]);
    }

    #[test]
    fn a_bank_without_a_digest_is_left_alone() {
        let mut launch = Launch {
            hash_data: vec![],
            extends: vec![Extend::of_data(2, 18, b"x")],
        };
        launch.extends[0]
            .digests
            .retain(|(bank, _)| *bank == SHA256);
        assert_eq!(launch.pcrs(SHA1).unwrap()[&18], vec![0; 20]);
        assert_ne!(launch.pcrs(SHA256).unwrap()[&18], vec![0; 32]);
    }
}
