//! Quotes: TPMS_ATTEST as TPM2_Quote makes it (TPM 2.0 Library, Part 2, 10.12).

use sha2::{Digest, Sha256};

use super::keys::Keys;
use crate::{Bank, PcrValues, Quote, TpmError};

/// TPM_GENERATED_VALUE and TPM_ST_ATTEST_QUOTE.
const HEAD: [u8; 6] = [0xff, 0x54, 0x43, 0x47, 0x80, 0x18];
const MAX_QUALIFYING_DATA: usize = 32;

pub(super) fn quote(
    keys: &Keys,
    qualifying_data: &[u8],
    values: &PcrValues,
    boots: u32,
) -> Result<Quote, TpmError> {
    if qualifying_data.len() > MAX_QUALIFYING_DATA {
        return Err(TpmError::BadParameter(format!(
            "{} bytes of qualifying data: at most {MAX_QUALIFYING_DATA} are signed",
            qualifying_data.len()
        )));
    }
    let mut digest = Sha256::new();
    for (_, value) in values.iter() {
        digest.update(value);
    }
    let mut attest = HEAD.to_vec();
    sized(&mut attest, keys.attestation_name().as_bytes());
    sized(&mut attest, qualifying_data);
    // TPMS_CLOCK_INFO: clock, resetCount, restartCount, safe; then the firmware's version.
    attest.extend(0_u64.to_be_bytes());
    attest.extend(boots.to_be_bytes());
    attest.extend(0_u32.to_be_bytes());
    attest.push(1);
    attest.extend(1_u64.to_be_bytes());
    // TPMS_QUOTE_INFO: the selection, and the digest of its values.
    attest.extend(1_u32.to_be_bytes());
    attest.extend(algorithm(values.bank()).to_be_bytes());
    attest.push(3);
    attest.extend(values.set().select_bytes());
    sized(&mut attest, &digest.finalize());
    let signature = keys.sign(&attest)?;
    Ok(Quote { attest, signature })
}

/// TPM_ALG_ID (Part 2, 6.3).
const fn algorithm(bank: Bank) -> u16 {
    match bank {
        Bank::Sha1 => 0x0004,
        Bank::Sha256 => 0x000b,
        Bank::Sha384 => 0x000c,
    }
}

/// A TPM2B of at most 34 bytes.
fn sized(out: &mut Vec<u8>, bytes: &[u8]) {
    let [.., high, low] = bytes.len().to_be_bytes();
    out.extend([high, low]);
    out.extend_from_slice(bytes);
}
