//! What a person reads when the TPM refuses: a sentence with what to do, for every response code that
//! the specification has and for the states of a TPM that people meet.

use crate::machine::{LAUNCH, Machine, command, launch_policy};
use tpm::{
    AuthPolicy, Bank, PcrIndex, PcrSet, PolicySigner, Tpm, TpmError, response_code::meaning,
};
use tss_esapi::constants::tss::*;

const SECRET: &[u8] = b"thirty-two bytes of boot secret!";
const PASSWORD: [u8; 13] = [0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0];
const PLATFORM: [u8; 4] = [0x40, 0, 0, 0x0c];
const OWNER: [u8; 4] = [0x40, 0, 0, 0x01];

/// Every code of Part 2, 6.6.3, by the C library's constants.
const EVERY_CODE: [u32; 91] = [
    TPM2_RC_BAD_TAG,
    TPM2_RC_INITIALIZE,
    TPM2_RC_FAILURE,
    TPM2_RC_SEQUENCE,
    TPM2_RC_PRIVATE,
    TPM2_RC_HMAC,
    TPM2_RC_DISABLED,
    TPM2_RC_EXCLUSIVE,
    TPM2_RC_AUTH_TYPE,
    TPM2_RC_AUTH_MISSING,
    TPM2_RC_POLICY,
    TPM2_RC_PCR,
    TPM2_RC_PCR_CHANGED,
    TPM2_RC_UPGRADE,
    TPM2_RC_TOO_MANY_CONTEXTS,
    TPM2_RC_AUTH_UNAVAILABLE,
    TPM2_RC_REBOOT,
    TPM2_RC_UNBALANCED,
    TPM2_RC_COMMAND_SIZE,
    TPM2_RC_COMMAND_CODE,
    TPM2_RC_AUTHSIZE,
    TPM2_RC_AUTH_CONTEXT,
    TPM2_RC_NV_RANGE,
    TPM2_RC_NV_SIZE,
    TPM2_RC_NV_LOCKED,
    TPM2_RC_NV_AUTHORIZATION,
    TPM2_RC_NV_UNINITIALIZED,
    TPM2_RC_NV_SPACE,
    TPM2_RC_NV_DEFINED,
    TPM2_RC_BAD_CONTEXT,
    TPM2_RC_CPHASH,
    TPM2_RC_PARENT,
    TPM2_RC_NEEDS_TEST,
    TPM2_RC_NO_RESULT,
    TPM2_RC_SENSITIVE,
    TPM2_RC_ASYMMETRIC,
    TPM2_RC_ATTRIBUTES,
    TPM2_RC_HASH,
    TPM2_RC_VALUE,
    TPM2_RC_HIERARCHY,
    TPM2_RC_KEY_SIZE,
    TPM2_RC_MGF,
    TPM2_RC_MODE,
    TPM2_RC_TYPE,
    TPM2_RC_HANDLE,
    TPM2_RC_KDF,
    TPM2_RC_RANGE,
    TPM2_RC_AUTH_FAIL,
    TPM2_RC_NONCE,
    TPM2_RC_PP,
    TPM2_RC_SCHEME,
    TPM2_RC_SIZE,
    TPM2_RC_SYMMETRIC,
    TPM2_RC_TAG,
    TPM2_RC_SELECTOR,
    TPM2_RC_INSUFFICIENT,
    TPM2_RC_SIGNATURE,
    TPM2_RC_KEY,
    TPM2_RC_POLICY_FAIL,
    TPM2_RC_INTEGRITY,
    TPM2_RC_TICKET,
    TPM2_RC_RESERVED_BITS,
    TPM2_RC_BAD_AUTH,
    TPM2_RC_EXPIRED,
    TPM2_RC_POLICY_CC,
    TPM2_RC_BINDING,
    TPM2_RC_CURVE,
    TPM2_RC_ECC_POINT,
    TPM2_RC_CONTEXT_GAP,
    TPM2_RC_OBJECT_MEMORY,
    TPM2_RC_SESSION_MEMORY,
    TPM2_RC_MEMORY,
    TPM2_RC_SESSION_HANDLES,
    TPM2_RC_OBJECT_HANDLES,
    TPM2_RC_LOCALITY,
    TPM2_RC_YIELDED,
    TPM2_RC_CANCELED,
    TPM2_RC_TESTING,
    TPM2_RC_REFERENCE_H0,
    TPM2_RC_REFERENCE_H1,
    TPM2_RC_REFERENCE_H2,
    TPM2_RC_REFERENCE_H6,
    TPM2_RC_REFERENCE_S0,
    TPM2_RC_REFERENCE_S1,
    TPM2_RC_REFERENCE_S2,
    TPM2_RC_REFERENCE_S6,
    TPM2_RC_NV_RATE,
    TPM2_RC_LOCKOUT,
    TPM2_RC_RETRY,
    TPM2_RC_NV_UNAVAILABLE,
    // As the kernel's resource manager passes on one of the TPM's.
    0x000b_0000 + TPM2_RC_OBJECT_MEMORY,
];

#[test]
fn every_response_code_has_its_name_and_a_sentence() {
    for code in EVERY_CODE {
        let words = meaning(code).unwrap_or_else(|| panic!("{code:#x} means nothing"));
        let error = TpmError::Command {
            command: "TPM2_Create",
            code,
            reason: words.advice.into(),
        };
        let sentence = error.to_string();
        let codes = format!("(TPM response {code:#x}, {})", words.name);
        assert!(sentence.ends_with(&codes), "{sentence}");
        assert!(sentence.len() > codes.len() + 60, "{sentence}");
    }
}

fn done(machine: &Machine, code: u32, body: &[&[u8]]) {
    let answer = machine.swtpm.command(&command(0x8002, code, body)).unwrap();
    assert_eq!(answer[6..10], [0; 4], "{answer:x?}");
}

#[test]
fn a_tpm_without_the_bank_is_not_sealed_to() {
    let mut machine = Machine::new();
    // TPM2_PCR_Allocate: SHA-1 and SHA-384, no SHA-256.
    let banks = [
        &[0, 0, 0, 3][..],
        &[0, 4, 3, 0xff, 0xff, 0xff],
        &[0, 0x0b, 3, 0, 0, 0],
        &[0, 0x0c, 3, 0xff, 0xff, 0xff],
    ]
    .concat();
    done(&machine, 0x012b, &[&PLATFORM, &PASSWORD, &banks]);
    machine.swtpm.reboot().unwrap();
    let mut tpm = machine.open();
    let signed = AuthPolicy::Signed(PolicySigner::new([1; 32], [2; 32]));
    for policy in [launch_policy(LAUNCH).into(), signed] {
        let error = tpm.seal(SECRET, &policy, None).unwrap_err();
        assert!(
            matches!(
                error,
                TpmError::NoSuchPcr {
                    bank: Bank::Sha256,
                    ..
                }
            ),
            "{error:?}"
        );
        let sentence = error.to_string();
        assert!(
            sentence.contains("tpm2_pcrallocate sha256:all"),
            "{sentence}"
        );
    }
    let error = tpm.pcr_event_read(PcrIndex::LATCH, b"latch", Bank::Sha256);
    assert!(
        matches!(error, Err(TpmError::NoSuchPcr { .. })),
        "{error:?}"
    );
    machine.assert_nothing_loaded();
}

#[test]
fn a_switched_off_hierarchy_is_named_and_the_latch_closes_all_the_same() {
    let machine = Machine::launched();
    // TPM2_HierarchyControl: the owner's hierarchy off.
    done(&machine, 0x0121, &[&PLATFORM, &PASSWORD, &OWNER, &[0]]);
    let mut tpm = machine.open();
    let error = tpm
        .seal(SECRET, &launch_policy(LAUNCH).into(), None)
        .unwrap_err();
    assert_eq!(error.code(), Some(0x185), "{error:?}");
    let sentence = error.to_string();
    assert!(
        sentence.contains("hierarchies in the firmware set-up"),
        "{sentence}"
    );
    assert!(sentence.contains("TPM_RC_HIERARCHY"), "{sentence}");
    let values = tpm.pcr_event_read(PcrIndex::LATCH, b"latch", Bank::Sha256);
    assert_ne!(values.unwrap().get(PcrIndex::LATCH).unwrap(), [0; 32]);
    machine.assert_nothing_loaded();
}

#[test]
fn a_full_tpm_is_named_with_what_empties_it() {
    let machine = Machine::launched();
    // Sealed objects of a program without resource manager.
    let sensitive = [0, 5, 0, 0, 0, 1, 7];
    let public = [0, 14, 0, 8, 0, 0x0b, 0, 0, 0, 0x52, 0, 0, 0, 0x10, 0, 0];
    let rest = [0, 0, 0, 0, 0, 0];
    let create = command(
        0x8002,
        0x0131,
        &[&OWNER, &PASSWORD, &sensitive, &public, &rest],
    );
    let mut codes = Vec::new();
    for _ in 0..4 {
        let answer = machine.swtpm.command(&create).unwrap();
        codes.push(u32::from_be_bytes(answer[6..10].try_into().unwrap()));
    }
    assert_eq!(codes, [0, 0, 0, 0x902]);
    let error = machine.open().pcr_read(Bank::Sha256, PcrSet::LAUNCH);
    let error = error.unwrap_err();
    assert_eq!(error.code(), Some(0x902), "{error:?}");
    let sentence = error.to_string();
    assert!(sentence.contains("tpm2_flushcontext -t"), "{sentence}");
    assert!(sentence.contains("TPM_RC_OBJECT_MEMORY"), "{sentence}");
    machine.forget_everything();
    machine
        .open()
        .pcr_read(Bank::Sha256, PcrSet::LAUNCH)
        .unwrap();
}
