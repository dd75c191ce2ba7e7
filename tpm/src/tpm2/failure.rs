//! What a TPM response code means for the caller.
//!
//! Codes are those of TPM 2.0 Library, Part 2, 6.6: "format one" codes (bit 7 set) carry the
//! number of the handle, session or parameter they are about in the bits around the error
//! itself, so that TPM_RC_POLICY_FAIL of session 1 is 0x99d.

use tss_esapi::{Error, WrapperErrorKind};

use crate::{TpmError, response_code::meaning};

/// TPM_RC_PCR_CHANGED: a PCR was extended after TPM2_PolicyPCR looked at them.
pub(super) const PCR_CHANGED: u32 = 0x128;

/// TPM_RC_LOCKOUT: authorizations that count are not accepted at present.
pub(super) const LOCKOUT: u32 = 0x921;

/// Is an authorization value wrong (TPM_RC_AUTH_FAIL of a session, whatever its number)? Only values of
/// objects that the defence against dictionary attacks protects get this code.
pub(super) const fn is_wrong_auth_value(code: u32) -> bool {
    code & !0x700 == 0x88e
}

/// Did the TPM refuse a session's HMAC (TPM_RC_BAD_AUTH of a session, whatever its number)?
///
/// Seen with tpm2-tss 4.1.3 built on mbedtls, in about one salted session of a hundred: it
/// leaves out leading zero bytes of the ECDH coordinates, where the TPM hashes all 32 (Part 1,
/// C.6.1), and so arrives at another salt. The next session has another ephemeral key.
/// TPM_RC_AUTH_FAIL is not meant: that one counts as a dictionary attack.
pub(super) fn is_refused_session(error: &TpmError) -> bool {
    matches!(error, TpmError::Command { code, .. } if code & !0x700 == 0x8a2)
}

/// Is the hierarchy switched off (TPM_RC_HIERARCHY of any handle or parameter)?
pub(super) fn is_disabled_hierarchy(error: &TpmError) -> bool {
    matches!(error, TpmError::Command { code, .. } if code & !0xf40 == 0x85)
}

/// Format-one error numbers (bits 0 to 5) without bit 7.
const HANDLE: u32 = 0x0b;
const VALUE: u32 = 0x04;
const AUTH_FAIL: u32 = 0x0e;
const POLICY_FAIL: u32 = 0x1d;
const BAD_AUTH: u32 = 0x22;
const SIGNATURE: u32 = 0x1b;
/// TPM_RC_POLICY: the comparison of TPM2_PolicyNV does not hold.
const POLICY: u32 = 0x126;

/// A failed command: which, and with what.
pub(super) struct Failure {
    command: &'static str,
    pub(super) code: u32,
    reason: String,
}

/// For `map_err`: remembers which command it was that failed.
pub(super) fn in_command(command: &'static str) -> impl Fn(Error) -> Failure {
    move |error| Failure {
        command,
        code: response_code(error),
        reason: error.to_string(),
    }
}

/// For `map_err` of a command in an HMAC session: an answer whose HMAC is not the TPM's is told
/// from a failed command.
///
/// tpm2-tss says TSS2_ESYS_RC_RSP_AUTH_FAILED then, which tss-esapi 8.0.0-alpha.4 does not know and
/// turns into `InvalidParam`; the parameters themselves have been checked before.
pub(super) fn answered(command: &'static str) -> impl Fn(Error) -> TpmError {
    move |error| match error {
        Error::WrapperError(WrapperErrorKind::InvalidParam) => TpmError::ForgedAnswer { command },
        error => in_command(command)(error).into(),
    }
}

impl Failure {
    /// Bit 7 and error number of a code that the TPM itself (or the kernel's resource manager,
    /// layer 11) sent; `None` for errors of the library.
    fn format_one(&self) -> Option<u32> {
        let layer = self.code >> 16 & 0xff;
        (self.code & 0x80 != 0 && (layer == 0 || layer == 11)).then_some(self.code & 0x3f)
    }

    /// No such object: TPM_RC_HANDLE.
    pub(super) fn is_missing_handle(&self) -> bool {
        self.format_one() == Some(HANDLE)
    }

    /// The PCRs are not those of the policy: TPM_RC_POLICY_FAIL when the object is used, or
    /// TPM_RC_VALUE already from TPM2_PolicyPCR, which is told the digest it must find.
    pub(super) fn is_policy_failure(&self) -> bool {
        match self.format_one() {
            Some(POLICY_FAIL) => true,
            Some(VALUE) => self.command == "TPM2_PolicyPCR",
            _ => false,
        }
    }

    /// TPM2_PolicyNV compared, and the answer is no.
    pub(super) const fn is_policy_comparison(&self) -> bool {
        self.code == POLICY
    }

    /// The signature is not one of this key over this digest: TPM_RC_SIGNATURE.
    pub(super) fn is_bad_signature(&self) -> bool {
        self.format_one() == Some(SIGNATURE)
    }

    /// The hierarchy or key wants a password: TPM_RC_BAD_AUTH or TPM_RC_AUTH_FAIL.
    pub(super) fn is_wrong_auth(&self) -> bool {
        matches!(self.format_one(), Some(AUTH_FAIL | BAD_AUTH))
    }

    /// Something is wrong with a parameter (bit 6), here: with the blob handed in.
    pub(super) fn is_about_parameter(&self) -> bool {
        self.format_one().is_some() && self.code & 0x40 != 0
    }

    /// What the code means and what to do; else the library's words.
    fn in_words(&self) -> String {
        meaning(self.code).map_or_else(|| self.reason.clone(), |meaning| meaning.advice.to_owned())
    }

    /// The words for "the TPM does not take this blob".
    pub(super) fn not_ours(self) -> TpmError {
        TpmError::NotOurs {
            code: self.code,
            reason: self.in_words(),
        }
    }
}

impl From<Failure> for TpmError {
    fn from(failure: Failure) -> Self {
        if failure.is_policy_failure() {
            return Self::PolicyFailed { code: failure.code };
        }
        Self::Command {
            command: failure.command,
            code: failure.code,
            reason: failure.in_words(),
        }
    }
}

/// The number behind a library error; 0 when the library never asked the TPM.
fn response_code(error: Error) -> u32 {
    match error {
        Error::TssError(code) => code.into(),
        Error::WrapperError(_) => 0,
    }
}
