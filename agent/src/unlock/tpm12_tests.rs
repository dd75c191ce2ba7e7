//! A record of a TPM 1.2 from its token to the boot secret, against a real software TPM 1.2: sealed to a
//! predicted launch, released in that launch and nowhere else.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tpm::{
    AuthPolicy, AuthValue, Bank, PcrIndex, PcrPolicy, PcrValues, Tpm,
    simulated::SimulatedTpm,
    swtpm::{Extend12, Swtpm},
    tpm12::{KnownTpm12, Secret, StorageKey, Tpm12},
};

use super::{
    BootSecret, EnrolledRecord, HostSecret, KnownTpms, LatchError, Latched, Pinned, RecordError,
    RecordParts, SealedRecord, UnsealError, VolumeIdentity, VolumeSecret, unseal,
};
use crate::config::Require;

/// What a launch extends into PCR 17, 18 and 19.
type Launch = [[u8; 20]; 3];

const APPROVED: Launch = [[1; 20], [2; 20], [3; 20]];
const OTHER: Launch = [[1; 20], [8; 20], [3; 20]];

/// PCR 17, 18 and 19 after [`APPROVED`], computed with Python's hashlib: PCR 17 begins with the hash of
/// `SINIT`.
const PREDICTED: [&str; 3] = [
    "33797a45c6ea2ea69b123ef852c2f344607bd13a",
    "58360efba5aa833dafce90fbf42907629a28806e",
    "a1549ecb71cb4ca75e87e4cb0ba12f3b36c6568a",
];

const OWNER: &str = "ownerpw";

fn start(owner: &str) -> (Swtpm, StorageKey) {
    let swtpm = Swtpm::start_tpm12(Some(owner)).unwrap();
    let mut tpm = Tpm12::open(&swtpm.tcti()).unwrap();
    let owner = Secret::from_password(owner.as_bytes());
    let key = StorageKey::of_owner(&mut tpm, &owner, None).unwrap();
    (swtpm, key)
}

fn reboot(swtpm: &mut Swtpm, launch: Launch) {
    swtpm.reboot().unwrap();
    let extends = [17, 18, 19].map(|pcr| Extend12 {
        locality: 2,
        pcr,
        digest: launch[usize::from(pcr) - 17],
    });
    swtpm.launch_tpm12(b"SINIT", &extends).unwrap();
}

fn predicted() -> AuthPolicy {
    let mut values = PcrValues::new(Bank::Sha1);
    values.insert(PcrIndex::LATCH, vec![0; 20]).unwrap();
    for (pcr, value) in (17..).zip(PREDICTED) {
        let index = PcrIndex::try_from(pcr).unwrap();
        values.insert(index, hex::decode(value).unwrap()).unwrap();
    }
    PcrPolicy::for_tpm12(values).unwrap().into()
}

fn secret() -> BootSecret {
    BootSecret::new(
        VolumeSecret::generate().unwrap(),
        HostSecret::generate().unwrap(),
    )
}

/// The token of a record that is sealed under this key.
fn token(swtpm: &Swtpm, key: StorageKey, secret: &BootSecret) -> Value {
    let mut tpm = KnownTpm12::new(Tpm12::open(&swtpm.tcti()).unwrap(), key);
    let policy = predicted();
    let sealed = tpm.seal(secret.to_bytes().as_slice(), &policy, None);
    let parts = RecordParts {
        keyslot: 1,
        volume: VolumeIdentity {
            uuid: "0b7ba0d4-4b4b-4b4b-8b4b-4b4b4b4b4b4b".into(),
            cipher: "aes-xts-plain64".into(),
            key_bytes: 64,
            sector_bytes: 512,
            offset: 16 << 20,
            size: None,
            iv_tweak: 0,
        },
        policy,
        sealed: sealed.unwrap(),
        label: "one".into(),
        swap: None,
        created: 1,
        components: BTreeMap::new(),
        escrow: None,
        pin: None,
    };
    let record = EnrolledRecord::new(parts, secret.volume()).unwrap();
    record.to_token().unwrap()
}

fn record(token: &Value) -> SealedRecord {
    SealedRecord::literal(EnrolledRecord::from_token(token).unwrap()).unwrap()
}

/// As a boot opens the TPM: what it must be is in the record.
fn open(swtpm: &Swtpm, record: &SealedRecord) -> KnownTpm12 {
    let tpm = Tpm12::open(&swtpm.tcti()).unwrap();
    KnownTpm12::for_record(tpm, record.sealed()).unwrap()
}

fn released(tpm: &mut dyn Tpm, record: &SealedRecord) -> Result<String, UnsealError> {
    let pinned = Pinned {
        srk: Some(&record.sealed().parent),
        secret_id: Some(record.secret_id()),
        require: Require::Tpm,
    };
    let records = [record.clone()];
    let answer = unseal(tpm, &records, pinned).unwrap();
    answer.released.map(|(secret, _)| secret.id())
}

fn close_latch(tpm: &mut dyn Tpm) -> Result<Latched, LatchError> {
    super::close_latch(tpm, &KnownTpms::one("/none", false))
}

#[test]
fn the_secret_is_released_in_the_predicted_launch_until_the_latch_is_closed() {
    let (mut swtpm, key) = start(OWNER);
    let secret = secret();
    let record = record(&token(&swtpm, key, &secret));
    assert_eq!(record.expected().bank(), Bank::Sha1);
    assert!(matches!(
        released(&mut open(&swtpm, &record), &record),
        Err(UnsealError::NoLaunch)
    ));
    reboot(&mut swtpm, OTHER);
    let error = released(&mut open(&swtpm, &record), &record).unwrap_err();
    assert!(
        matches!(&error, UnsealError::NotApproved { differences, .. }
            if differences.len() == 1 && differences[0].pcr.get() == 18),
        "{error}"
    );
    // Two boots in a row.
    for _ in 0..2 {
        reboot(&mut swtpm, APPROVED);
        let mut tpm = open(&swtpm, &record);
        assert_eq!(released(&mut tpm, &record).unwrap(), secret.id());
        assert!(close_latch(&mut tpm).unwrap().has_tpm());
        assert!(matches!(
            released(&mut tpm, &record),
            Err(UnsealError::LatchClosed)
        ));
    }
}

#[test]
fn another_tpm_and_a_changed_record_release_nothing() {
    let (mut swtpm, key) = start(OWNER);
    let (mut other, _) = start("another owner");
    let good = token(&swtpm, key, &secret());
    reboot(&mut swtpm, APPROVED);
    reboot(&mut other, APPROVED);
    let genuine = record(&good);
    let mut there = open(&other, &genuine);
    let pinned = Pinned::default();
    let error = unseal(&mut there, std::slice::from_ref(&genuine), pinned).map(drop);
    assert!(error.unwrap_err().to_string().contains("another TPM"));
    // What is beside the sealed secret: only the TPM's release tells that it was changed.
    let mut relabelled = good.clone();
    relabelled["label"] = json!("two");
    let relabelled = record(&relabelled);
    let error = released(&mut open(&swtpm, &relabelled), &relabelled).unwrap_err();
    assert!(
        matches!(error, UnsealError::Record(RecordError::Forged)),
        "{error}"
    );
    assert!(released(&mut open(&swtpm, &genuine), &genuine).is_ok());
}

#[test]
fn a_token_of_a_tpm_1_2_is_all_of_it_for_one() {
    let (swtpm, key) = start(OWNER);
    let good = token(&swtpm, key, &secret());
    assert_eq!(good["bank"], "sha1");
    let long = "03".repeat(32);
    for (field, value) in [
        ("bank", json!("sha256")),
        ("bank", json!("sha384")),
        ("counter", json!({ "index": 1, "limit": 1 })),
        ("policy_key", json!("AAAA")),
        (
            "pcrs",
            json!({ "15": "00".repeat(20), "17": "03".repeat(20) }),
        ),
        (
            "pcrs",
            json!({ "15": "00".repeat(32), "17": long, "18": long, "19": long }),
        ),
        ("public", json!("AAAA")),
        ("parent", json!(format!("000b{long}"))),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        assert!(EnrolledRecord::from_token(&bad).is_err(), "{field}");
    }
}

/// A launch of a TPM 2.0 need not have extended the SHA-1 bank: values of it approve nothing there.
#[test]
fn a_record_of_a_tpm_1_2_opens_nothing_on_a_tpm_2_0() {
    let (swtpm, key) = start(OWNER);
    let record = record(&token(&swtpm, key, &secret()));
    let mut tpm = SimulatedTpm::new(1);
    tpm.launch(b"SINIT", &[(17, [1; 32]), (18, [2; 32]), (19, [3; 32])]);
    let error = released(&mut tpm, &record).unwrap_err();
    assert!(matches!(error, UnsealError::OtherKindOfTpm), "{error}");
}

#[test]
fn with_a_pin_the_boot_secret_is_released_for_that_pin_only() {
    let (mut swtpm, key) = start(OWNER);
    let secret = secret();
    let pin = AuthValue::new(b"stretched").unwrap();
    let mut tpm = KnownTpm12::new(Tpm12::open(&swtpm.tcti()).unwrap(), key.clone());
    let bytes = secret.to_bytes();
    let sealed = tpm.seal_with_auth(bytes.as_slice(), &predicted(), None, &pin);
    let sealed = sealed.unwrap();
    drop(tpm);
    reboot(&mut swtpm, APPROVED);
    let mut tpm = KnownTpm12::new(Tpm12::open(&swtpm.tcti()).unwrap(), key);
    let AuthPolicy::Launch(launch) = predicted() else {
        panic!("not a launch")
    };
    let approval = tpm::Approval::literal(launch);
    let wrong = AuthValue::new(b"another").unwrap();
    assert!(
        tpm.unseal_with_auth(&sealed, &approval, None, &wrong)
            .is_err()
    );
    let opened = tpm
        .unseal_with_auth(&sealed, &approval, None, &pin)
        .unwrap();
    assert_eq!(BootSecret::from_bytes(&opened).unwrap().id(), secret.id());
}
