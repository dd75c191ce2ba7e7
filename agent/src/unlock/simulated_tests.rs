//! What the agent does with the TPM, shown on a simulated one: there failures come on demand.

use std::collections::BTreeMap;

use tao::attestation::{AcpiTables, BootEvent, BootVolume, Opened};
use tpm::{
    AuthPolicy, Bank, PcrIndex, PcrPolicy, PcrSet, Tpm, TpmError,
    simulated::{Call, SimulatedTpm},
};

use super::{
    BootRecordError, BootSecret, EnrolledRecord, HostSecret, KnownTpms, LatchError, Latched,
    Pinned, RecordParts, SealedRecord, UnsealError, VolumeIdentity, VolumeSecret, record_boot,
    record_resume, unseal,
};
use crate::config::Require;

/// Of a machine that lists no TPM beside it.
fn close_latch(tpm: &mut SimulatedTpm) -> Result<Latched, LatchError> {
    super::close_latch(tpm, &KnownTpms::one("/none", false))
}

fn launched(number: u8, kernel: u8) -> SimulatedTpm {
    let mut tpm = SimulatedTpm::new(number);
    tpm.launch(
        b"SINIT",
        &[(17, [1; 32]), (18, [kernel; 32]), (19, [3; 32])],
    );
    tpm
}

const fn pinned() -> Pinned<'static> {
    Pinned {
        srk: None,
        secret_id: None,
        require: Require::Tpm,
    }
}

fn broken() -> TpmError {
    TpmError::BadParameter("switched off by the test".into())
}

pub(super) fn secret() -> BootSecret {
    BootSecret::new(
        VolumeSecret::generate().unwrap(),
        HostSecret::generate().unwrap(),
    )
}

/// The volume of these records.
pub(super) fn identity() -> VolumeIdentity {
    VolumeIdentity {
        uuid: "0b7ba0d4-4b4b-4b4b-8b4b-4b4b4b4b4b4b".into(),
        cipher: "aes-xts-plain64".into(),
        key_bytes: 64,
        sector_bytes: 512,
        offset: 16 << 20,
        size: None,
        iv_tweak: 0,
    }
}

/// A record for the launch that the TPM shows.
fn record(tpm: &mut SimulatedTpm, secret: &BootSecret, label: &str) -> SealedRecord {
    let pcrs = PcrSet::LAUNCH.with(PcrIndex::LATCH);
    let values = tpm.pcr_read(Bank::Sha256, pcrs).unwrap();
    let policy = AuthPolicy::from(PcrPolicy::new(values).unwrap());
    let sealed = tpm
        .seal(secret.to_bytes().as_slice(), &policy, None)
        .unwrap();
    let parts = RecordParts {
        keyslot: 1,
        volume: identity(),
        policy,
        sealed,
        label: label.into(),
        swap: None,
        created: 1,
        components: BTreeMap::new(),
        escrow: None,
        pin: None,
    };
    SealedRecord::literal(EnrolledRecord::new(parts, secret.volume()).unwrap()).unwrap()
}

fn released(tpm: &mut SimulatedTpm, records: &[SealedRecord]) -> Result<String, UnsealError> {
    let answer = unseal(tpm, records, pinned()).unwrap();
    answer.released.map(|(_, record)| record.label().to_owned())
}

#[test]
fn the_secret_is_released_until_the_latch_is_closed_and_after_the_next_launch() {
    let mut tpm = launched(1, 2);
    let records = [record(&mut tpm, &secret(), "one")];
    assert_eq!(released(&mut tpm, &records).unwrap(), "one");
    assert!(close_latch(&mut tpm).unwrap().has_tpm());
    assert!(matches!(
        released(&mut tpm, &records),
        Err(UnsealError::LatchClosed)
    ));
    // Not a second launch, but a second boot opens it.
    tpm.launch(b"SINIT", &[(17, [1; 32]), (18, [2; 32]), (19, [3; 32])]);
    assert!(matches!(
        released(&mut tpm, &records),
        Err(UnsealError::LatchClosed)
    ));
    tpm.reboot();
    assert!(matches!(
        released(&mut tpm, &records),
        Err(UnsealError::NoLaunch)
    ));
    tpm.launch(b"SINIT", &[(17, [1; 32]), (18, [2; 32]), (19, [3; 32])]);
    assert_eq!(released(&mut tpm, &records).unwrap(), "one");
}

#[test]
fn a_latch_that_the_tpm_does_not_extend_is_no_proof_of_a_closed_one() {
    let mut tpm = launched(1, 2);
    tpm.fail_next(Call::PcrEvent, broken());
    assert!(matches!(close_latch(&mut tpm), Err(LatchError::Tpm(_))));
    // It failed once only.
    assert!(close_latch(&mut tpm).is_ok());
    assert!(close_latch(&mut tpm).is_ok(), "closing it twice is fine");
}

#[test]
fn of_two_records_of_this_launch_the_second_is_tried_when_the_first_fails() {
    let mut tpm = launched(1, 2);
    let secret = secret();
    let records = [
        record(&mut tpm, &secret, "one"),
        record(&mut tpm, &secret, "two"),
    ];
    tpm.fail_next(Call::Unseal, broken());
    assert_eq!(released(&mut tpm, &records).unwrap(), "two");
    tpm.fail_next(Call::Unseal, broken());
    assert!(matches!(
        released(&mut tpm, &records[..1]),
        Err(UnsealError::Tpm(_))
    ));
}

#[test]
fn another_kernel_is_named_by_the_register_that_differs_and_another_tpm_refuses() {
    let mut enrolled = launched(1, 2);
    let records = [record(&mut enrolled, &secret(), "one")];
    match released(&mut launched(1, 9), &records) {
        Err(UnsealError::NotApproved { label, differences }) => {
            let registers: Vec<u8> = differences.iter().map(|found| found.pcr.get()).collect();
            assert_eq!((label.as_str(), registers), ("one", vec![18]));
        }
        other => panic!("{other:?}"),
    }
    let other = released(&mut launched(2, 2), &records);
    assert!(matches!(other, Err(UnsealError::Tpm(_))), "{other:?}");
}

#[test]
fn registers_that_cannot_be_read_decide_nothing() {
    let mut tpm = launched(1, 2);
    let records = [record(&mut tpm, &secret(), "one")];
    tpm.fail_next(Call::PcrRead, broken());
    assert!(unseal(&mut tpm, &records, pinned()).is_err());
}

#[test]
fn a_boot_event_for_a_host_stands_behind_the_latch_alone() {
    let event = BootEvent {
        opened: Opened::Tpm,
        volume: BootVolume::Secret([4; 16]),
        host_key: Some([5; 32]),
        acpi: AcpiTables::None,
    };
    let mut tpm = launched(1, 2);
    close_latch(&mut tpm).unwrap();
    record_boot(&mut tpm, &event).unwrap();
    // Something else came first, or the latch was not closed.
    let mut tpm = launched(1, 2);
    tpm.pcr_event(PcrIndex::LATCH, b"other").unwrap();
    close_latch(&mut tpm).unwrap();
    let error = record_boot(&mut tpm, &event);
    assert!(
        matches!(error, Err(BootRecordError::Register { .. })),
        "{error:?}"
    );
    let error = record_boot(&mut launched(1, 2), &event);
    assert!(
        matches!(error, Err(BootRecordError::Register { .. })),
        "{error:?}"
    );
}

/// The host that was resumed speaks for a boot event that PCR 15 does not have by itself any more.
#[test]
fn a_resumed_machine_has_another_pcr_15_than_its_host_says() {
    let event = BootEvent {
        opened: Opened::Tpm,
        volume: BootVolume::Secret([4; 16]),
        host_key: Some([5; 32]),
        acpi: AcpiTables::None,
    };
    let register = |tpm: &mut SimulatedTpm| {
        let latch = PcrSet::default().with(PcrIndex::LATCH);
        let values = tpm.pcr_read(Bank::Sha256, latch).unwrap();
        values.get(PcrIndex::LATCH).unwrap().to_vec()
    };
    let mut tpm = launched(1, 2);
    close_latch(&mut tpm).unwrap();
    record_boot(&mut tpm, &event).unwrap();
    let told = register(&mut tpm);
    assert_eq!(told, event.register(32).unwrap());
    record_resume(&mut tpm).unwrap();
    let resumed = register(&mut tpm);
    assert_ne!(resumed, told);
    // Nor is it that of a second resume, or of a boot that tells the same event twice.
    record_resume(&mut tpm).unwrap();
    assert_ne!(register(&mut tpm), resumed);
    tpm.fail_next(Call::PcrRead, broken());
    assert!(record_resume(&mut tpm).is_err());
}
