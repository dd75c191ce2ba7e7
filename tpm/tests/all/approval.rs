//! Launches that a policy key signs, and launches that a rollback counter retires: on a real
//! swtpm, with digests compared to those of tpm2-tools.

use std::process::Command;

use crate::machine::{LAUNCH, Machine, OTHER_LAUNCH, launch_policy};
use p256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner};
use tpm::{
    Approval, AuthPolicy, CounterLimit, LaunchPolicy, PolicySignature, PolicySigner, Tpm, TpmError,
};

const SECRET: &[u8] = b"thirty-two bytes of boot secret!";
const COUNTER: u32 = 0x0180_74a1;

struct Owner {
    key: SigningKey,
}

impl Owner {
    fn new(seed: u8) -> Self {
        let key = SigningKey::from_slice(&[seed; 32]).unwrap();
        Self { key }
    }

    fn signer(&self) -> PolicySigner {
        let point = self.key.verifying_key().to_sec1_point(false);
        PolicySigner::from_point(point.as_bytes()).unwrap()
    }

    fn sign(&self, launch: &LaunchPolicy) -> PolicySignature {
        let digest = PolicySigner::signed_digest(launch);
        let signature: Signature = self.key.sign_prehash(&digest).unwrap();
        PolicySignature {
            signer: self.signer(),
            r_and_s: signature.to_bytes().into(),
        }
    }

    fn approve(&self, launch: &LaunchPolicy) -> Approval {
        Approval::signed(launch.clone(), self.sign(launch))
    }
}

fn limited(limit: u64) -> LaunchPolicy {
    let index = COUNTER;
    LaunchPolicy::new(launch_policy(LAUNCH), Some(CounterLimit { index, limit }))
}

#[test]
fn a_launch_that_the_owner_signs_after_sealing_opens_the_secret() {
    let machine = Machine::launched();
    let owner = Owner::new(7);
    let mut tpm = machine.open();
    let sealed = tpm
        .seal(SECRET, &AuthPolicy::Signed(owner.signer()), None)
        .unwrap();
    let approval = owner.approve(&launch_policy(LAUNCH).into());
    assert_eq!(*tpm.unseal(&sealed, &approval, None).unwrap(), SECRET);
    machine.assert_nothing_loaded();
}

#[test]
fn a_signed_launch_opens_only_when_it_is_the_one_that_happened() {
    let machine = Machine::launched();
    let owner = Owner::new(7);
    let mut tpm = machine.open();
    let sealed = tpm
        .seal(SECRET, &AuthPolicy::Signed(owner.signer()), None)
        .unwrap();
    let other = owner.approve(&launch_policy(OTHER_LAUNCH).into());
    let error = tpm.unseal(&sealed, &other, None).unwrap_err();
    assert!(matches!(error, TpmError::PolicyFailed { .. }), "{error}");
}

#[test]
fn a_signature_of_another_key_or_over_another_launch_opens_nothing() {
    let machine = Machine::launched();
    let (owner, stranger) = (Owner::new(7), Owner::new(8));
    let mut tpm = machine.open();
    let sealed = tpm
        .seal(SECRET, &AuthPolicy::Signed(owner.signer()), None)
        .unwrap();
    let here: LaunchPolicy = launch_policy(LAUNCH).into();
    // The stranger's own key: another policy than the secret's.
    let error = tpm
        .unseal(&sealed, &stranger.approve(&here), None)
        .unwrap_err();
    assert!(matches!(error, TpmError::PolicyFailed { .. }), "{error}");
    // The stranger's signature under the owner's name, and the owner's for another launch.
    let elsewhere: LaunchPolicy = launch_policy(OTHER_LAUNCH).into();
    for r_and_s in [
        stranger.sign(&here).r_and_s,
        owner.sign(&elsewhere).r_and_s,
        [0xff; 64],
    ] {
        let signer = owner.signer();
        let forged = Approval::signed(here.clone(), PolicySignature { signer, r_and_s });
        let error = tpm.unseal(&sealed, &forged, None).unwrap_err();
        assert!(
            matches!(
                error,
                TpmError::BadSignature | TpmError::Command { .. } | TpmError::BadAnswer { .. }
            ),
            "{error}"
        );
    }
    // No signature at all.
    let error = tpm
        .unseal(&sealed, &Approval::literal(here), None)
        .unwrap_err();
    assert!(matches!(error, TpmError::PolicyFailed { .. }), "{error}");
    machine.assert_nothing_loaded();
}

#[test]
fn a_raised_counter_retires_a_launch_for_good() {
    let mut machine = Machine::launched();
    let mut tpm = machine.open();
    let value = tpm.rollback_counter_create(COUNTER, b"").unwrap();
    let old = limited(value);
    let new = limited(value + 1);
    let sealed_old = tpm
        .seal(SECRET, &AuthPolicy::Launch(old.clone()), None)
        .unwrap();
    let sealed_new = tpm
        .seal(SECRET, &AuthPolicy::Launch(new.clone()), None)
        .unwrap();
    let (old, new) = (Approval::literal(old), Approval::literal(new));
    assert_eq!(*tpm.unseal(&sealed_old, &old, None).unwrap(), SECRET);
    assert_eq!(*tpm.unseal(&sealed_new, &new, None).unwrap(), SECRET);
    assert_eq!(tpm.rollback_counter_raise(COUNTER, b"").unwrap(), value + 1);
    drop(tpm);
    machine.reboot_launched(LAUNCH);
    let mut tpm = machine.open();
    let error = tpm.unseal(&sealed_old, &old, None).unwrap_err();
    assert!(
        matches!(error, TpmError::Retired { index: COUNTER, limit } if limit == value),
        "{error}"
    );
    // A record that claims the newer limit for the older secret: another policy.
    let error = tpm.unseal(&sealed_old, &new, None).unwrap_err();
    assert!(matches!(error, TpmError::PolicyFailed { .. }), "{error}");
    assert_eq!(*tpm.unseal(&sealed_new, &new, None).unwrap(), SECRET);
    machine.assert_nothing_loaded();
}

#[test]
fn deleting_and_defining_the_counter_again_does_not_bring_a_retired_launch_back() {
    let machine = Machine::launched();
    let mut tpm = machine.open();
    let value = tpm.rollback_counter_create(COUNTER, b"").unwrap();
    let old = limited(value);
    let sealed = tpm
        .seal(SECRET, &AuthPolicy::Launch(old.clone()), None)
        .unwrap();
    let approval = Approval::literal(old);
    tpm.rollback_counter_raise(COUNTER, b"").unwrap();
    tpm.nv_undefine(COUNTER, b"").unwrap();
    let error = tpm.unseal(&sealed, &approval, None).unwrap_err();
    assert!(
        matches!(error, TpmError::NoCounter { index: COUNTER }),
        "{error}"
    );
    let again = tpm.rollback_counter_create(COUNTER, b"").unwrap();
    assert!(again > value, "{again} <= {value}");
    let error = tpm.unseal(&sealed, &approval, None).unwrap_err();
    assert!(matches!(error, TpmError::Retired { .. }), "{error}");
}

#[test]
fn an_ordinary_index_in_the_counter_s_place_satisfies_no_limit() {
    let machine = Machine::launched();
    let mut tpm = machine.open();
    let value = tpm.rollback_counter_create(COUNTER, b"").unwrap();
    let launch = limited(value);
    let sealed = tpm
        .seal(SECRET, &AuthPolicy::Launch(launch.clone()), None)
        .unwrap();
    tpm.rollback_counter_raise(COUNTER, b"").unwrap();
    tpm.nv_undefine(COUNTER, b"").unwrap();
    // 8 bytes of data that read as a small number.
    use tpm::nv::{NvAttributes as A, NvAuth, NvPublic};
    let attributes = A(A::AUTH_READ | A::OWNER_READ | A::OWNER_WRITE | A::NO_DA);
    tpm.nv_define(&NvPublic::new(COUNTER, attributes, 8), b"")
        .unwrap();
    tpm.nv_write(COUNTER, &[0; 8], NvAuth::Owner(b"")).unwrap();
    let error = tpm
        .unseal(&sealed, &Approval::literal(launch), None)
        .unwrap_err();
    assert!(matches!(error, TpmError::PolicyFailed { .. }), "{error}");
    let error = tpm.rollback_counter_value(COUNTER).unwrap_err();
    assert!(error.to_string().contains("not taoboot's"), "{error}");
}

#[test]
fn a_signed_launch_can_have_a_limit() {
    let machine = Machine::launched();
    let owner = Owner::new(9);
    let mut tpm = machine.open();
    let value = tpm.rollback_counter_create(COUNTER, b"").unwrap();
    let sealed = tpm
        .seal(SECRET, &AuthPolicy::Signed(owner.signer()), None)
        .unwrap();
    let approval = owner.approve(&limited(value));
    assert_eq!(*tpm.unseal(&sealed, &approval, None).unwrap(), SECRET);
    // The signed limit cannot be left out or raised.
    for launch in [limited(value + 1), launch_policy(LAUNCH).into()] {
        let forged = Approval::signed(launch, approval.signature().unwrap().clone());
        let error = tpm.unseal(&sealed, &forged, None).unwrap_err();
        assert!(matches!(error, TpmError::BadSignature), "{error}");
    }
    tpm.rollback_counter_raise(COUNTER, b"").unwrap();
    let error = tpm.unseal(&sealed, &approval, None).unwrap_err();
    assert!(matches!(error, TpmError::Retired { .. }), "{error}");
}

#[test]
fn the_counter_wants_the_owner_s_password_to_be_raised_but_none_to_be_read() {
    let machine = Machine::launched();
    let mut tpm = machine.open();
    let value = tpm.rollback_counter_create(COUNTER, b"").unwrap();
    let error = tpm.rollback_counter_raise(COUNTER, b"guess").unwrap_err();
    assert!(matches!(error, TpmError::WrongPassword { .. }), "{error}");
    let error = tpm.counter_increment(COUNTER).unwrap_err();
    assert_eq!(error.code(), Some(0x12f), "{error}");
    assert_eq!(tpm.rollback_counter_value(COUNTER).unwrap(), Some(value));
}

#[test]
fn the_digest_of_a_launch_with_a_limit_is_the_one_that_tpm2_tools_computes() {
    let machine = Machine::launched();
    let mut tpm = machine.open();
    let value = tpm.rollback_counter_create(COUNTER, b"").unwrap();
    drop(tpm);
    let launch = limited(value);
    let directory = tempfile::tempdir().unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .env("TPM2TOOLS_TCTI", machine.tcti())
            .current_dir(directory.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program}: {said}");
    };
    let write =
        |name: &str, bytes: &[u8]| std::fs::write(directory.path().join(name), bytes).unwrap();
    let read = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
    let values: Vec<u8> = launch
        .pcrs()
        .values()
        .iter()
        .flat_map(|(_, value)| value.to_vec())
        .collect();
    write("pcrs", &values);
    write("operand", &value.to_be_bytes());
    run("tpm2_startauthsession", &["--session=s"]);
    let pcrs = "sha256:15,17,18,19";
    run("tpm2_policypcr", &["-S", "s", "-l", pcrs, "-f", "pcrs"]);
    let index = format!("{COUNTER:#x}");
    run(
        "tpm2_policynv",
        &["-S", "s", "-i", "operand", "-L", "nv", &index, "ule"],
    );
    assert_eq!(read("nv"), launch.digest(), "PolicyPCR and PolicyNV");
    run("tpm2_flushcontext", &["s"]);
}
