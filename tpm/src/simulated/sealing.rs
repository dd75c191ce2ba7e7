//! Sealing and unsealing, in the order in which a real TPM refuses.

use p256::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{counters::Counters, keys::Keys, registers::Registers};
use crate::{
    Approval, AuthPolicy, AuthValue, Bank, LaunchPolicy, Name, PolicySignature, PolicySigner,
    Sealed, TpmError, with_auth_value,
};

/// TPM_ALG_KEYEDHASH, SHA-256, fixedTPM, fixedParent and noDA, a policy of 32 bytes.
const HEAD: [u8; 10] = [0, 0x08, 0, 0x0b, 0, 0, 0x04, 0x12, 0, 0x20];
/// The same without noDA.
const HEAD_WITH_AUTH: [u8; 10] = [0, 0x08, 0, 0x0b, 0, 0, 0, 0x12, 0, 0x20];
/// TPM_ALG_NULL, a digest of 32 bytes.
const TAIL: [u8; 4] = [0, 0x10, 0, 0x20];
const MAX_SECRET: usize = 128;
/// TPM_RC_INTEGRITY of the first parameter, TPM_RC_VALUE of the first parameter, TPM_RC_POLICY_FAIL
/// of the first session (TPM 2.0 Library, Part 2, 6.6.3).
const INTEGRITY: u32 = 0x1df;
const VALUE: u32 = 0x1c4;
const POLICY_FAIL: u32 = 0x99d;

/// Before anything is sealed: is this the TPM that it is meant for?
pub(super) fn check_known(keys: &Keys, known: Option<&Name>) -> Result<(), TpmError> {
    let found = keys.storage_root();
    match known {
        Some(expected) if *expected != found => Err(TpmError::WrongSrk {
            expected: expected.clone(),
            found,
        }),
        _ => Ok(()),
    }
}

pub(super) fn seal(
    keys: &mut Keys,
    secret: &[u8],
    policy: &AuthPolicy,
    auth: Option<&AuthValue>,
) -> Result<Sealed, TpmError> {
    if secret.is_empty() || secret.len() > MAX_SECRET {
        return Err(TpmError::BadParameter(format!(
            "a secret of {} bytes cannot be sealed: 1 to {MAX_SECRET} bytes fit",
            secret.len()
        )));
    }
    let nonce = keys.random(32);
    let unique = Sha256::digest([nonce.as_slice(), secret].concat());
    let (head, digest) = match auth {
        None => (&HEAD, policy.digest()),
        Some(_) => (&HEAD_WITH_AUTH, with_auth_value(policy.digest())),
    };
    let parts: [&[u8]; 4] = [head, &digest, &TAIL, &unique];
    let public = parts.concat();
    let mut hidden = masked(keys, &nonce, secret);
    // The value comes first, so that the secret is what is left.
    if let Some(auth) = auth {
        hidden = [auth_digest(keys, &nonce, auth).as_slice(), &hidden].concat();
    }
    let tag = tag(keys, &public, &nonce, &hidden);
    Ok(Sealed {
        private: sized(&[&tag, nonce.as_slice(), &hidden].concat()),
        public: sized(&public),
        parent: keys.storage_root(),
    })
}

/// Loads the object: its parent, its form, its integrity. Gives the policy that it is sealed to.
pub(super) fn check(
    keys: &Keys,
    sealed: &Sealed,
    pinned_srk: Option<&Name>,
    with_auth: bool,
) -> Result<[u8; 32], TpmError> {
    if pinned_srk.is_some_and(|pinned| *pinned != sealed.parent) {
        return Err(not_ours(
            0,
            "it was sealed under another key than the pinned one",
        ));
    }
    let head = if with_auth { &HEAD_WITH_AUTH } else { &HEAD };
    let public = without_length(&sealed.public).and_then(|public| policy_in(public, head));
    let policy = public.ok_or_else(|| {
        let head = if with_auth { &HEAD } else { &HEAD_WITH_AUTH };
        let other = without_length(&sealed.public).and_then(|public| policy_in(public, head));
        not_ours(
            0,
            match (other, with_auth) {
                (None, _) => "its public part has another form",
                (Some(_), true) => "it is sealed without a PIN, and it says that it has one",
                (Some(_), false) => "it is sealed with a PIN, and it says that it has none",
            },
        )
    })?;
    let found = keys.storage_root();
    if found != sealed.parent {
        let expected = sealed.parent.clone();
        return Err(TpmError::WrongSrk { expected, found });
    }
    let is_whole = without_length(&sealed.public)
        .zip(parts(sealed))
        .is_some_and(|(public, (expected, nonce, hidden))| {
            tag(keys, public, nonce, hidden) == *expected
        });
    if !is_whole {
        return Err(not_ours(INTEGRITY, "its integrity value is wrong"));
    }
    Ok(policy)
}

/// The policy commands of one session: signature, registers, counter; then the session's digest
/// is compared with the object's policy.
pub(super) fn satisfy(
    policy: [u8; 32],
    approval: &Approval,
    with_auth: bool,
    registers: &Registers,
    counters: &Counters,
) -> Result<(), TpmError> {
    let launch = approval.launch();
    if let Some(signature) = approval.signature() {
        verify(signature, launch)?;
    }
    let wanted = launch.pcrs().values();
    if registers.read(Bank::Sha256, wanted.set())? != *wanted {
        return Err(TpmError::PolicyFailed { code: VALUE });
    }
    if let Some(limit) = launch.counter() {
        counters.compare(limit)?;
    }
    let reached = match approval.signature() {
        Some(signature) => signature.signer.digest(),
        None => launch.digest(),
    };
    let reached = if with_auth {
        with_auth_value(reached)
    } else {
        reached
    };
    if reached == policy {
        Ok(())
    } else {
        Err(TpmError::PolicyFailed { code: POLICY_FAIL })
    }
}

/// The secret of an object.
pub(super) fn open(keys: &Keys, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, TpmError> {
    let (_, nonce, hidden) = parts(sealed).ok_or_else(|| not_ours(0, "its private part is cut"))?;
    let head = without_length(&sealed.public).and_then(|public| public.get(..HEAD.len()));
    let hidden = match head {
        // Shorter than the value's digest it cannot be: the tag was right.
        Some(head) if head == HEAD_WITH_AUTH => hidden.get(32..).unwrap_or(&[]),
        _ => hidden,
    };
    Ok(Zeroizing::new(masked(keys, nonce, hidden)))
}

/// Was the object sealed with this value?
pub(super) fn has_auth(keys: &Keys, sealed: &Sealed, auth: &AuthValue) -> bool {
    parts(sealed)
        .is_some_and(|(_, nonce, hidden)| hidden.starts_with(&auth_digest(keys, nonce, auth)))
}

fn auth_digest(keys: &Keys, nonce: &[u8], auth: &AuthValue) -> [u8; 32] {
    keys.derived("authorization value", &[nonce, auth.as_bytes()].concat())
}

fn not_ours(code: u32, reason: &str) -> TpmError {
    TpmError::NotOurs {
        code,
        reason: reason.to_owned(),
    }
}

fn verify(signature: &PolicySignature, launch: &LaunchPolicy) -> Result<(), TpmError> {
    let key = VerifyingKey::from_sec1_bytes(&signature.signer.point());
    let parsed = Signature::from_slice(&signature.r_and_s);
    let digest = PolicySigner::signed_digest(launch);
    match (key, parsed) {
        (Ok(key), Ok(parsed)) if key.verify_prehash(&digest, &parsed).is_ok() => Ok(()),
        _ => Err(TpmError::BadSignature),
    }
}

/// The secret, or what hides it: the same mask does both.
fn masked(keys: &Keys, nonce: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mask = (0_u8..).flat_map(|block| keys.derived("mask", &[nonce, &[block]].concat()));
    bytes
        .iter()
        .zip(mask)
        .map(|(byte, mask)| byte ^ mask)
        .collect()
}

fn tag(keys: &Keys, public: &[u8], nonce: &[u8], hidden: &[u8]) -> [u8; 32] {
    keys.derived("integrity", &[public, nonce, hidden].concat())
}

/// Tag, nonce and hidden secret.
fn parts(sealed: &Sealed) -> Option<(&[u8], &[u8], &[u8])> {
    let (tag, rest) = without_length(&sealed.private)?.split_at_checked(32)?;
    let (nonce, hidden) = rest.split_at_checked(32)?;
    Some((tag, nonce, hidden))
}

/// The policy in a public part of the only form that sealing makes.
fn policy_in(public: &[u8], head: &[u8; 10]) -> Option<[u8; 32]> {
    let (policy, rest) = public.strip_prefix(head)?.split_first_chunk::<32>()?;
    (rest.strip_prefix(&TAIL)?.len() == 32).then_some(*policy)
}

/// A TPM2B of less than 65536 bytes.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let [.., high, low] = bytes.len().to_be_bytes();
    [&[high, low], bytes].concat()
}

fn without_length(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    (usize::from(u16::from_be_bytes(*length)) == rest.len()).then_some(rest)
}
