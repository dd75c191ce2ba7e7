//! The authorization value of a sealed secret: what a person's PIN becomes before a TPM sees it.
//!
//! A secret with one is sealed to its policy *and* to TPM2_PolicyAuthValue (TPM 2.0 Library, Part 3,
//! 23.17): both are needed, and the TPM's defence against dictionary attacks counts wrong values. The
//! value itself never crosses the bus in the clear: at sealing it is in the encrypted parameter, at
//! unsealing it is part of the key of the session's HMAC.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::TpmError;

/// TPM_CC_PolicyAuthValue (Part 2, 6.5.2).
const TPM_CC_POLICY_AUTH_VALUE: u32 = 0x0000_016b;
/// The longest that an object named with SHA-256 can have.
const MAX_LEN: usize = 32;

/// An authorization value: 1 to 32 bytes, the last of which is not zero. Wiped when dropped;
/// deliberately neither `Debug`, `Clone` nor `PartialEq`.
pub struct AuthValue(Zeroizing<Vec<u8>>);

impl AuthValue {
    /// From bytes. Zeros at the end do not count, as for the TPM (Part 1, 17.6.4.3).
    ///
    /// # Errors
    /// [`TpmError::BadParameter`] for a value of another length, or of zeros only.
    pub fn new(bytes: &[u8]) -> Result<Self, TpmError> {
        let length = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last.saturating_add(1));
        match bytes.get(..length) {
            Some(value) if (1..=MAX_LEN).contains(&length) => {
                Ok(Self(Zeroizing::new(value.to_vec())))
            }
            _ => Err(TpmError::BadParameter(format!(
                "an authorization value has 1 to {MAX_LEN} bytes, not {length}"
            ))),
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The authPolicy of an object that this policy and an authorization value open together: the
/// digest of a session after TPM2_PolicyAuthValue. It comes last, after TPM2_PolicyAuthorize, so that
/// the object asks for it and not what a policy key signed.
pub fn with_auth_value(policy: [u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(policy);
    hash.update(TPM_CC_POLICY_AUTH_VALUE.to_be_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_at_the_end_do_not_count_and_nothing_else_is_no_value() {
        assert_eq!(
            AuthValue::new(&[1, 0, 2, 0, 0]).unwrap().as_bytes(),
            [1, 0, 2]
        );
        assert_eq!(AuthValue::new(&[7; 32]).unwrap().as_bytes(), [7; 32]);
        for bad in [&[][..], &[0; 32], &[7; 33]] {
            assert!(AuthValue::new(bad).is_err());
        }
    }
}
