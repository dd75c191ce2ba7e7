//! The return codes of a TPM 1.2, one sentence each.
//!
//! Source: TPM Main, Part 2, section 16. The sentences say what it means here and what to do.

use std::fmt;

/// A TPM_RESULT other than success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReturnCode(pub u32);

impl ReturnCode {
    /// TPM_AUTHFAIL: the secret is wrong.
    pub const AUTH_FAIL: Self = Self(0x01);
    /// TPM_BADINDEX: no such index.
    pub const BAD_INDEX: Self = Self(0x02);
    /// TPM_BAD_PARAMETER.
    pub const BAD_PARAMETER: Self = Self(0x03);
    /// TPM_FAIL: the TPM failed, or the key is not in this one.
    pub const FAIL: Self = Self(0x09);
    /// TPM_BAD_ORDINAL.
    pub const BAD_ORDINAL: Self = Self(0x0a);
    /// TPM_DISABLED_CMD.
    pub const DISABLED_CMD: Self = Self(0x08);
    /// TPM_INVALID_KEYHANDLE.
    pub const INVALID_KEYHANDLE: Self = Self(0x0c);
    /// TPM_NOTSEALED_BLOB.
    pub const NOT_SEALED_BLOB: Self = Self(0x13);
    /// TPM_OWNER_SET: there is an owner.
    pub const OWNER_SET: Self = Self(0x14);
    /// TPM_WRONGPCRVAL.
    pub const WRONG_PCR_VALUE: Self = Self(0x18);
    /// TPM_AUTH2FAIL: the second secret is wrong.
    pub const AUTH2_FAIL: Self = Self(0x1d);
    /// TPM_DECRYPT_ERROR: what another TPM encrypted.
    pub const DECRYPT_ERROR: Self = Self(0x21);
    /// TPM_INVALID_AUTHHANDLE.
    pub const INVALID_AUTHHANDLE: Self = Self(0x22);
    /// TPM_INVALID_STRUCTURE.
    pub const INVALID_STRUCTURE: Self = Self(0x43);
    /// TPM_BAD_COUNTER.
    pub const BAD_COUNTER: Self = Self(0x45);
    /// TPM_NOSPACE: outside of the index, or no room for it.
    pub const NO_SPACE: Self = Self(0x11);
    /// TPM_NOSRK: no owner.
    pub const NO_SRK: Self = Self(0x12);
    /// TPM_BADTAG: also what a TPM 1.2 answers to a command of TPM 2.0.
    pub const BAD_TAG: Self = Self(0x1e);
    /// TPM_BAD_PRESENCE: physical presence or the owner's secret is needed.
    pub const BAD_PRESENCE: Self = Self(0x2d);
    /// TPM_AREA_LOCKED: the index cannot be written any more.
    pub const AREA_LOCKED: Self = Self(0x3c);
    /// TPM_AUTH_CONFLICT: the index wants another authorization, or one at all.
    pub const AUTH_CONFLICT: Self = Self(0x3b);
    /// TPM_BAD_LOCALITY: not from this locality.
    pub const BAD_LOCALITY: Self = Self(0x3d);
    /// TPM_RETRY: too busy.
    pub const RETRY: Self = Self(0x800);
    /// TPM_NEEDS_SELFTEST.
    pub const NEEDS_SELFTEST: Self = Self(0x801);
    /// TPM_DOING_SELFTEST.
    pub const DOING_SELFTEST: Self = Self(0x802);
    /// TPM_DEFEND_LOCK_RUNNING: too many wrong secrets.
    pub const DEFEND_LOCK_RUNNING: Self = Self(0x803);

    /// The name in the specification and one sentence, if the code is a known one.
    pub fn describe(self) -> Option<(&'static str, &'static str)> {
        CODES
            .binary_search_by_key(&self.0, |(code, ..)| *code)
            .ok()
            .and_then(|place| CODES.get(place))
            .map(|(_, name, sentence)| (*name, *sentence))
    }
}

impl fmt::Display for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.describe() {
            Some((name, sentence)) => write!(f, "{sentence} ({name}, {:#x})", self.0),
            None if self.0 & !0x3ff == 0x400 => {
                write!(f, "the TPM's maker defines return code {:#x}", self.0)
            }
            None => write!(f, "return code {:#x}, which no TPM 1.2 knows", self.0),
        }
    }
}

/// Code, name and sentence, in the order of the codes.
#[rustfmt::skip]
const CODES: &[(u32, &str, &str)] = &[
    (0x01, "TPM_AUTHFAIL", "the password is wrong"),
    (0x02, "TPM_BADINDEX", "there is no such index or register, or its number is reserved"),
    (0x03, "TPM_BAD_PARAMETER", "a parameter is wrong"),
    (0x04, "TPM_AUDITFAILURE", "it was done, but could not be audited"),
    (0x05, "TPM_CLEAR_DISABLED", "clearing is disabled: it needs physical presence"),
    (0x06, "TPM_DEACTIVATED", "the TPM is deactivated: activate it in the firmware's setup"),
    (0x07, "TPM_DISABLED", "the TPM is disabled: enable it in the firmware's setup"),
    (0x08, "TPM_DISABLED_CMD", "this command is disabled"),
    (0x09, "TPM_FAIL", "the TPM failed: switch the machine off and on"),
    (0x0a, "TPM_BAD_ORDINAL", "the TPM does not know this command"),
    (0x0b, "TPM_INSTALL_DISABLED", "taking ownership is disabled: enable it in the firmware's setup"),
    (0x0c, "TPM_INVALID_KEYHANDLE", "there is no such key"),
    (0x0d, "TPM_KEYNOTFOUND", "the key is not there"),
    (0x0e, "TPM_INAPPROPRIATE_ENC", "the encryption scheme is not allowed here"),
    (0x0f, "TPM_MIGRATEFAIL", "the migration is not authorized"),
    (0x10, "TPM_INVALID_PCR_INFO", "the PCR information cannot be understood"),
    (0x11, "TPM_NOSPACE", "it does not fit: it reaches beyond the index's end, or the TPM has no room for the index"),
    (0x12, "TPM_NOSRK", "the TPM has no owner: take ownership first"),
    (0x13, "TPM_NOTSEALED_BLOB", "the blob is not sealed, or was not made by this TPM"),
    (0x14, "TPM_OWNER_SET", "the TPM has an owner already"),
    (0x15, "TPM_RESOURCES", "the TPM has no free resources: end other programs that use it"),
    (0x16, "TPM_SHORTRANDOM", "the random string is too short"),
    (0x17, "TPM_SIZE", "the TPM does not have the room for it"),
    (0x18, "TPM_WRONGPCRVAL", "the PCRs are not the named ones"),
    (0x19, "TPM_BAD_PARAM_SIZE", "the command's length is wrong"),
    (0x1a, "TPM_SHA_THREAD", "no SHA-1 calculation is under way"),
    (0x1b, "TPM_SHA_ERROR", "the SHA-1 calculation failed"),
    (0x1c, "TPM_FAILEDSELFTEST", "the TPM failed its self-test: switch the machine off and on"),
    (0x1d, "TPM_AUTH2FAIL", "the second password is wrong"),
    (0x1e, "TPM_BADTAG", "the tag is wrong: the TPM does not accept this kind of command"),
    (0x1f, "TPM_IOERROR", "the TPM could not be read or written"),
    (0x20, "TPM_ENCRYPT_ERROR", "the encryption failed"),
    (0x21, "TPM_DECRYPT_ERROR", "the decryption failed"),
    (0x22, "TPM_INVALID_AUTHHANDLE", "there is no such session"),
    (0x23, "TPM_NO_ENDORSEMENT", "the TPM has no endorsement key"),
    (0x24, "TPM_INVALID_KEYUSAGE", "the key must not be used for this"),
    (0x25, "TPM_WRONG_ENTITYTYPE", "this kind of entity is not allowed here"),
    (0x26, "TPM_INVALID_POSTINIT", "the firmware did not start the TPM: it expects TPM_Startup"),
    (0x27, "TPM_INAPPROPRIATE_SIG", "the signature scheme is not allowed here"),
    (0x28, "TPM_BAD_KEY_PROPERTY", "the TPM does not support this kind of key"),
    (0x29, "TPM_BAD_MIGRATION", "the key's migration properties are wrong"),
    (0x2a, "TPM_BAD_SCHEME", "the signature or encryption scheme is wrong"),
    (0x2b, "TPM_BAD_DATASIZE", "the data has the wrong size"),
    (0x2c, "TPM_BAD_MODE", "a mode is wrong"),
    (0x2d, "TPM_BAD_PRESENCE", "the owner's password or physical presence is needed"),
    (0x2e, "TPM_BAD_VERSION", "a structure has the wrong version"),
    (0x2f, "TPM_NO_WRAP_TRANSPORT", "this command cannot be wrapped"),
    (0x30, "TPM_AUDITFAIL_UNSUCCESSFUL", "it failed, and could not be audited"),
    (0x31, "TPM_AUDITFAIL_SUCCESSFUL", "it was done, but could not be audited"),
    (0x32, "TPM_NOTRESETABLE", "this PCR cannot be reset"),
    (0x33, "TPM_NOTLOCAL", "this PCR cannot be reset from this locality"),
    (0x34, "TPM_BAD_TYPE", "the blob has the wrong type"),
    (0x35, "TPM_INVALID_RESOURCE", "the saved context does not fit its resource"),
    (0x36, "TPM_NOTFIPS", "this is not allowed in FIPS mode"),
    (0x37, "TPM_INVALID_FAMILY", "there is no such delegation family"),
    (0x38, "TPM_NO_NV_PERMISSION", "the NV storage must not be changed"),
    (0x39, "TPM_REQUIRES_SIGN", "a signed command is needed"),
    (0x3a, "TPM_KEY_NOTSUPPORTED", "the TPM cannot load this key"),
    (0x3b, "TPM_AUTH_CONFLICT", "the index wants another authorization: the owner's password, its own, or none"),
    (0x3c, "TPM_AREA_LOCKED", "the index is locked against writing"),
    (0x3d, "TPM_BAD_LOCALITY", "this is not allowed from the locality that Linux has"),
    (0x3e, "TPM_READ_ONLY", "the index can only be read"),
    (0x3f, "TPM_PER_NOWRITE", "the index has no protection against writing"),
    (0x40, "TPM_FAMILYCOUNT", "the delegation family's counter is wrong"),
    (0x41, "TPM_WRITE_LOCKED", "the index was written already"),
    (0x42, "TPM_BAD_ATTRIBUTES", "the index's attributes contradict each other"),
    (0x43, "TPM_INVALID_STRUCTURE", "a structure's tag or version is wrong"),
    (0x44, "TPM_KEY_OWNER_CONTROL", "only the owner may evict this key"),
    (0x45, "TPM_BAD_COUNTER", "there is no such counter"),
    (0x46, "TPM_NOT_FULLWRITE", "the index must be written as a whole"),
    (0x47, "TPM_CONTEXT_GAP", "too many contexts were saved since"),
    (0x48, "TPM_MAXNVWRITES", "the TPM without owner has no NV writes left: take ownership first"),
    (0x49, "TPM_NOOPERATOR", "the TPM has no operator password"),
    (0x4a, "TPM_RESOURCEMISSING", "the saved context's resource is gone"),
    (0x4b, "TPM_DELEGATE_LOCK", "the delegation tables are locked"),
    (0x4c, "TPM_DELEGATE_FAMILY", "the delegation family is locked"),
    (0x4d, "TPM_DELEGATE_ADMIN", "delegation is not enabled"),
    (0x4e, "TPM_TRANSPORT_NOTEXCLUSIVE", "another command came into the exclusive transport session"),
    (0x4f, "TPM_OWNER_CONTROL", "only the owner may evict this"),
    (0x50, "TPM_DAA_RESOURCES", "the TPM has no resources for DAA"),
    (0x51, "TPM_DAA_INPUT_DATA0", "DAA input 0 is wrong"),
    (0x52, "TPM_DAA_INPUT_DATA1", "DAA input 1 is wrong"),
    (0x53, "TPM_DAA_ISSUER_SETTINGS", "the DAA issuer's settings are wrong"),
    (0x54, "TPM_DAA_TPM_SETTINGS", "the TPM's DAA settings are wrong"),
    (0x55, "TPM_DAA_STAGE", "the DAA stage is wrong"),
    (0x56, "TPM_DAA_ISSUER_VALIDITY", "the DAA issuer is not valid"),
    (0x57, "TPM_DAA_WRONG_W", "the DAA value w is wrong"),
    (0x58, "TPM_BAD_HANDLE", "the handle is wrong"),
    (0x59, "TPM_BAD_DELEGATE", "the delegation is wrong"),
    (0x5a, "TPM_BADCONTEXT", "the context is wrong"),
    (0x5b, "TPM_TOOMANYCONTEXTS", "too many contexts are saved"),
    (0x5c, "TPM_MA_TICKET_SIGNATURE", "the migration authority's ticket is wrong"),
    (0x5d, "TPM_MA_DESTINATION", "the migration's destination is not authenticated"),
    (0x5e, "TPM_MA_SOURCE", "the migration's source is wrong"),
    (0x5f, "TPM_MA_AUTHORITY", "the migration authority is wrong"),
    (0x61, "TPM_PERMANENTEK", "the endorsement key cannot be revoked"),
    (0x62, "TPM_BAD_SIGNATURE", "the signature is wrong"),
    (0x63, "TPM_NOCONTEXTSPACE", "there is no room for another context"),
    (0x800, "TPM_RETRY", "the TPM is too busy: try again"),
    (0x801, "TPM_NEEDS_SELFTEST", "the TPM has to test itself first: try again"),
    (0x802, "TPM_DOING_SELFTEST", "the TPM is testing itself: try again in a few seconds"),
    (0x803, "TPM_DEFEND_LOCK_RUNNING", "too many wrong passwords: the TPM accepts none for a while; leave it powered, wait, and do not try in between"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_each_code_has_a_name_and_a_sentence() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
        for (code, name, sentence) in CODES {
            assert!(name.starts_with("TPM_") && !sentence.is_empty(), "{code}");
            assert_eq!(ReturnCode(*code).describe(), Some((*name, *sentence)));
        }
    }

    #[test]
    fn codes_are_shown_with_number_and_sentence() {
        assert_eq!(
            ReturnCode::AUTH_FAIL.to_string(),
            "the password is wrong (TPM_AUTHFAIL, 0x1)"
        );
        assert!(ReturnCode(0x60).to_string().contains("0x60"));
        assert!(ReturnCode(0x401).to_string().contains("maker"));
    }
}
