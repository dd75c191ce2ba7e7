//! TPM 2.0 response codes in words: what happened, and what to do about it.
//!
//! TPM 2.0 Library, Part 2, 6.6. Codes of format one (bit 7) carry the number of the handle, session
//! or parameter that they are about in their upper bits, which say nothing to a person.

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The code's name in the specification.
    pub name: &'static str,
    /// What happened and what to do, without a full stop.
    pub advice: &'static str,
}

/// The meaning of a code that a TPM, or the kernel's resource manager in its name (layers 11 and
/// 12), sent; `None` for success, for codes of software layers, and for numbers that are in no
/// list.
pub fn meaning(code: u32) -> Option<Meaning> {
    let (layer, code) = (code >> 16, code & 0xffff);
    if !matches!(layer, 0 | 11 | 12) {
        return None;
    }
    let base = match code {
        _ if code & 0x80 != 0 => code & 0xbf,
        _ => code,
    };
    let found = TABLE.iter().find(|(number, ..)| *number == base);
    found.map(|(_, name, advice)| Meaning { name, advice })
}

const FAULT: &str = "the TPM does not accept the command as it was sent, which is a defect of taoboot or of the TPM's firmware: report it with this code and the TPM's make";
const ALGORITHM: &str = "the TPM lacks an algorithm that taoboot needs (SHA-256, AES-128-CFB, ECC P-256 with ECDSA): look for an update of its firmware";
const BUSY: &str = "the TPM is busy: try again, and if that does not help, restart the machine";
const GONE: &str = "an object or a session of taoboot is not in the TPM any more, because another program removed it: try again, and have every program use /dev/tpmrm0";
const ROOM: &str = "the TPM has no room for another object or session, because programs that use /dev/tpm0 left theirs there: `tpm2_flushcontext -t` and `tpm2_flushcontext -l -s` remove them, so does a restart; have every program use /dev/tpmrm0";
const RESTART: &str = "the TPM has to be reset before it goes on: restart the machine";
const DAMAGED: &str = "what was given to the TPM is damaged, was made by another TPM, or before this one was cleared: enrol again";

/// Code (of format one without the number), name, advice.
const TABLE: &[(u32, &str, &str)] = &[
    (
        0x01e,
        "TPM_RC_BAD_TAG",
        "this is a TPM 1.2, or something that does not speak TPM 2.0: a TPM 2.0 is needed",
    ),
    (
        0x100,
        "TPM_RC_INITIALIZE",
        "the firmware did not start the TPM, or started it twice: switch the machine off and on; if that does not help, look for a firmware update",
    ),
    (
        0x101,
        "TPM_RC_FAILURE",
        "the TPM failed its self-test and accepts no commands: switch the machine off and on; if that does not help, the TPM is broken",
    ),
    (0x103, "TPM_RC_SEQUENCE", FAULT),
    (0x10b, "TPM_RC_PRIVATE", FAULT),
    (0x119, "TPM_RC_HMAC", FAULT),
    (
        0x120,
        "TPM_RC_DISABLED",
        "this command is switched off in the TPM: look in the firmware set-up whether the TPM is enabled",
    ),
    (0x121, "TPM_RC_EXCLUSIVE", BUSY),
    (0x124, "TPM_RC_AUTH_TYPE", FAULT),
    (0x125, "TPM_RC_AUTH_MISSING", FAULT),
    (
        0x126,
        "TPM_RC_POLICY",
        "a condition of the policy does not hold (the rollback counter, or the order of the policy's parts): `taoboot status` says which record is retired",
    ),
    (
        0x127,
        "TPM_RC_PCR",
        "the TPM refuses the PCRs that were named: it has not all of them in this bank",
    ),
    (
        0x128,
        "TPM_RC_PCR_CHANGED",
        "a PCR was extended while the policy was evaluated: try again",
    ),
    (
        0x12d,
        "TPM_RC_UPGRADE",
        "the TPM waits for the rest of a firmware update: finish it with its vendor's tool",
    ),
    (0x12e, "TPM_RC_TOO_MANY_CONTEXTS", RESTART),
    (
        0x12f,
        "TPM_RC_AUTH_UNAVAILABLE",
        "the TPM does not let the object be used this way, so that it is not one that taoboot made: enrol again",
    ),
    (0x130, "TPM_RC_REBOOT", RESTART),
    (0x131, "TPM_RC_UNBALANCED", FAULT),
    (0x142, "TPM_RC_COMMAND_SIZE", FAULT),
    (
        0x143,
        "TPM_RC_COMMAND_CODE",
        "the TPM does not know the command: look for an update of its firmware",
    ),
    (0x144, "TPM_RC_AUTHSIZE", FAULT),
    (0x145, "TPM_RC_AUTH_CONTEXT", FAULT),
    (
        0x146,
        "TPM_RC_NV_RANGE",
        "the NV index is shorter than what is read from or written to it: another program defined it (`tpm2_nvreadpublic`)",
    ),
    (
        0x147,
        "TPM_RC_NV_SIZE",
        "the TPM does not accept an NV index of this size: another program's may be in the way (`tpm2_nvreadpublic`)",
    ),
    (
        0x148,
        "TPM_RC_NV_LOCKED",
        "the NV index is locked, until the next restart or for good (`tpm2_nvreadpublic` shows its attributes)",
    ),
    (
        0x149,
        "TPM_RC_NV_AUTHORIZATION",
        "the NV index may not be used this way: another program defined it, with other attributes (`tpm2_nvreadpublic`)",
    ),
    (
        0x14a,
        "TPM_RC_NV_UNINITIALIZED",
        "the NV index was defined and never written: whoever defined it was interrupted; remove it with `tpm2_nvundefine` and try again",
    ),
    (
        0x14b,
        "TPM_RC_NV_SPACE",
        "the TPM's own memory is full: `tpm2_getcap handles-nv-index` and `tpm2_getcap handles-persistent` list what is there, `tpm2_nvundefine` and `tpm2_evictcontrol` remove what nothing needs",
    ),
    (
        0x14c,
        "TPM_RC_NV_DEFINED",
        "there is an NV index or a persistent object with this number already: remove it if nothing needs it (`tpm2_nvundefine`, `tpm2_evictcontrol`)",
    ),
    (0x150, "TPM_RC_BAD_CONTEXT", RESTART),
    (0x151, "TPM_RC_CPHASH", FAULT),
    (
        0x152,
        "TPM_RC_PARENT",
        "the storage key is not one that can hold others: look what is at handle 0x81000001 (`tpm2_readpublic -c 0x81000001`)",
    ),
    (0x153, "TPM_RC_NEEDS_TEST", BUSY),
    (0x154, "TPM_RC_NO_RESULT", FAULT),
    (0x155, "TPM_RC_SENSITIVE", DAMAGED),
    (0x081, "TPM_RC_ASYMMETRIC", ALGORITHM),
    (
        0x082,
        "TPM_RC_ATTRIBUTES",
        "the TPM does not allow these attributes: an index or a key that another program made is in the way, or the TPM's firmware is at fault",
    ),
    (0x083, "TPM_RC_HASH", ALGORITHM),
    (
        0x084,
        "TPM_RC_VALUE",
        "a value is not one that the TPM accepts here: the record may be damaged; enrol again, and if that fails as well report it with this code",
    ),
    (
        0x085,
        "TPM_RC_HIERARCHY",
        "the hierarchy that the key belongs to is switched off: enable the TPM's storage (owner) and endorsement hierarchies in the firmware set-up, and restart the machine",
    ),
    (0x087, "TPM_RC_KEY_SIZE", ALGORITHM),
    (0x088, "TPM_RC_MGF", ALGORITHM),
    (0x089, "TPM_RC_MODE", ALGORITHM),
    (0x08a, "TPM_RC_TYPE", FAULT),
    (
        0x08b,
        "TPM_RC_HANDLE",
        "the TPM has nothing at this handle: it was removed, the TPM was cleared, or this is another TPM",
    ),
    (0x08c, "TPM_RC_KDF", ALGORITHM),
    (0x08d, "TPM_RC_RANGE", FAULT),
    (
        0x08e,
        "TPM_RC_AUTH_FAIL",
        "the password is wrong; the TPM counts wrong ones and locks itself after some, so do not guess",
    ),
    (0x08f, "TPM_RC_NONCE", FAULT),
    (
        0x090,
        "TPM_RC_PP",
        "the TPM requires that a person confirms this at the machine: see the firmware set-up",
    ),
    (0x092, "TPM_RC_SCHEME", ALGORITHM),
    (
        0x095,
        "TPM_RC_SIZE",
        "something is longer or shorter than the TPM accepts: the record may be damaged; enrol again, and if that fails as well report it with this code",
    ),
    (0x096, "TPM_RC_SYMMETRIC", ALGORITHM),
    (0x097, "TPM_RC_TAG", FAULT),
    (0x098, "TPM_RC_SELECTOR", FAULT),
    (0x09a, "TPM_RC_INSUFFICIENT", FAULT),
    (
        0x09b,
        "TPM_RC_SIGNATURE",
        "the signature is not good: sign the launch again with the policy key that the volume is enrolled with",
    ),
    (
        0x09c,
        "TPM_RC_KEY",
        "the key is not made for this use: look what is at handle 0x81000001 (`tpm2_readpublic -c 0x81000001`)",
    ),
    (
        0x09d,
        "TPM_RC_POLICY_FAIL",
        "this state of the machine is not the one that the secret was sealed to: `taoboot status` says what differs",
    ),
    (0x09f, "TPM_RC_INTEGRITY", DAMAGED),
    (0x0a0, "TPM_RC_TICKET", FAULT),
    (0x0a1, "TPM_RC_RESERVED_BITS", FAULT),
    (
        0x0a2,
        "TPM_RC_BAD_AUTH",
        "the password or the authorization is wrong, or something on the TPM's bus changes what passes",
    ),
    (0x0a3, "TPM_RC_EXPIRED", FAULT),
    (0x0a4, "TPM_RC_POLICY_CC", FAULT),
    (0x0a5, "TPM_RC_BINDING", DAMAGED),
    (0x0a6, "TPM_RC_CURVE", ALGORITHM),
    (
        0x0a7,
        "TPM_RC_ECC_POINT",
        "the key is damaged: it is not a point of its curve; if it is the policy key's, enroll with the right one",
    ),
    (
        0x901,
        "TPM_RC_CONTEXT_GAP",
        "a session was saved for too long: end the programs that use the TPM, or restart the machine",
    ),
    (0x902, "TPM_RC_OBJECT_MEMORY", ROOM),
    (0x903, "TPM_RC_SESSION_MEMORY", ROOM),
    (0x904, "TPM_RC_MEMORY", ROOM),
    (0x905, "TPM_RC_SESSION_HANDLES", ROOM),
    (0x906, "TPM_RC_OBJECT_HANDLES", RESTART),
    (
        0x907,
        "TPM_RC_LOCALITY",
        "the TPM allows this only during the launch: software on the running system extends no PCR from 17 to 22",
    ),
    (0x908, "TPM_RC_YIELDED", BUSY),
    (
        0x909,
        "TPM_RC_CANCELED",
        "the command was cancelled, by another program or because it took too long: try again",
    ),
    (0x90a, "TPM_RC_TESTING", BUSY),
    (0x910, "TPM_RC_REFERENCE_H0", GONE),
    (0x911, "TPM_RC_REFERENCE_H1", GONE),
    (0x912, "TPM_RC_REFERENCE_H2", GONE),
    (0x913, "TPM_RC_REFERENCE_H3", GONE),
    (0x914, "TPM_RC_REFERENCE_H4", GONE),
    (0x915, "TPM_RC_REFERENCE_H5", GONE),
    (0x916, "TPM_RC_REFERENCE_H6", GONE),
    (0x918, "TPM_RC_REFERENCE_S0", GONE),
    (0x919, "TPM_RC_REFERENCE_S1", GONE),
    (0x91a, "TPM_RC_REFERENCE_S2", GONE),
    (0x91b, "TPM_RC_REFERENCE_S3", GONE),
    (0x91c, "TPM_RC_REFERENCE_S4", GONE),
    (0x91d, "TPM_RC_REFERENCE_S5", GONE),
    (0x91e, "TPM_RC_REFERENCE_S6", GONE),
    (
        0x920,
        "TPM_RC_NV_RATE",
        "the TPM limits the writes to its memory and accepts none at present: wait a minute and try again",
    ),
    (
        0x921,
        "TPM_RC_LOCKOUT",
        "the TPM has locked itself after too many wrong passwords: wait (`tpm2_getcap properties-variable` shows TPM2_PT_LOCKOUT_INTERVAL in seconds), or end it with `tpm2_dictionarylockout --clear-lockout` and the lockout password",
    ),
    (0x922, "TPM_RC_RETRY", BUSY),
    (
        0x923,
        "TPM_RC_NV_UNAVAILABLE",
        "the TPM cannot write its memory at present: try again, and if that does not help, restart the machine",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_is_there_twice_and_each_name_and_sentence_is_one() {
        for (position, (code, name, advice)) in TABLE.iter().enumerate() {
            let more = &TABLE[position + 1..];
            assert!(more.iter().all(|(other, ..)| other != code), "{name}");
            assert!(more.iter().all(|(_, other, _)| other != name), "{name}");
            assert!(name.starts_with("TPM_RC_"), "{name}");
            assert!(advice.len() > 30 && !advice.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn the_number_of_a_handle_session_or_parameter_and_the_layer_do_not_count() {
        for code in [
            0x85,
            0x185,
            0x285,
            0x1c5,
            0xfc5,
            0x985,
            0x000b_0185,
            0x000c_0185,
        ] {
            assert_eq!(meaning(code).unwrap().name, "TPM_RC_HIERARCHY", "{code:#x}");
        }
        assert_eq!(meaning(0x000b_0902).unwrap().name, "TPM_RC_OBJECT_MEMORY");
        // Success, ESAPI's and the TCTI's own codes, and reserved numbers.
        for code in [0, 0x0007_0007, 0x000a_000a, 0x0ab, 0x17f, 0x97f, 0x924] {
            assert_eq!(meaning(code), None, "{code:#x}");
        }
    }
}
