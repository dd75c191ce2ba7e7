//! NV storage, registers and what the TPM says of itself.

use sha1::{Digest as _, Sha1};
use tpm::{
    Tpm2,
    family::{self, Family},
    swtpm::Swtpm,
    tpm12::{Attributes, NvAuth, NvPublic, PcrInfoShort, ReturnCode, Secret, Tpm12},
};

use super::{code, owner};

const OWNER_INDEX: u32 = 0x4000_0001;

fn open(swtpm: &Swtpm) -> Tpm12 {
    Tpm12::open(&swtpm.tcti()).unwrap()
}

#[test]
fn an_owner_defines_writes_reads_and_releases_an_index() {
    let mut swtpm = Swtpm::start_tpm12(Some("ownerpw")).unwrap();
    let mut tpm = open(&swtpm);
    assert!(tpm.has_owner().unwrap());
    assert_eq!(tpm.nv_public(OWNER_INDEX).unwrap(), None);
    let public = NvPublic::new(OWNER_INDEX, Attributes(Attributes::OWNER_WRITE), 54);
    let nobody = Secret::from_password(b"wrong");
    let well_known = Secret::well_known();
    assert_eq!(
        code(tpm.nv_define(&public, Some(&nobody), &well_known)),
        ReturnCode::AUTH_FAIL
    );
    tpm.nv_define(&public, Some(&owner()), &well_known).unwrap();
    assert_eq!(tpm.nv_public(OWNER_INDEX).unwrap(), Some(public));
    assert!(tpm.nv_list().unwrap().contains(&OWNER_INDEX));
    assert_eq!(
        tpm.nv_read(OWNER_INDEX, 0, 54, NvAuth::None).unwrap(),
        [0xff; 54]
    );
    tpm.nv_write(OWNER_INDEX, 0, &[7; 54], NvAuth::Owner(&owner()))
        .unwrap();
    assert_eq!(
        code(tpm.nv_write(OWNER_INDEX, 0, &[8; 55], NvAuth::Owner(&owner()))),
        ReturnCode::NO_SPACE
    );
    assert_eq!(
        code(tpm.nv_write(OWNER_INDEX, 0, &[8; 54], NvAuth::Owner(&nobody))),
        ReturnCode::AUTH_FAIL
    );
    drop(tpm);
    swtpm.reboot().unwrap();
    let mut tpm = open(&swtpm);
    assert_eq!(
        tpm.nv_read(OWNER_INDEX, 0, 54, NvAuth::None).unwrap(),
        [7; 54]
    );
    tpm.nv_release(OWNER_INDEX, Some(&owner())).unwrap();
    assert_eq!(tpm.nv_public(OWNER_INDEX).unwrap(), None);
    assert_eq!(
        code(tpm.nv_read(OWNER_INDEX, 0, 54, NvAuth::None)),
        ReturnCode::BAD_INDEX
    );
}

#[test]
fn an_index_with_its_own_secret_needs_that_secret() {
    let swtpm = Swtpm::start_tpm12(Some("ownerpw")).unwrap();
    let mut tpm = open(&swtpm);
    let index = 0x2000_0004;
    let attributes = Attributes(Attributes::AUTH_WRITE | Attributes::AUTH_READ);
    let secret = Secret::from_password(b"secret");
    // Longer than one command may carry.
    let public = NvPublic::new(index, attributes, 1500);
    tpm.nv_define(&public, Some(&owner()), &secret).unwrap();
    let data: Vec<u8> = (0..1500u32).map(|n| n.to_le_bytes()[0]).collect();
    tpm.nv_write(index, 0, &data, NvAuth::Index(&secret))
        .unwrap();
    assert_eq!(
        tpm.nv_read(index, 0, 1500, NvAuth::Index(&secret)).unwrap(),
        data
    );
    assert_eq!(
        tpm.nv_read(index, 3, 5, NvAuth::Index(&secret)).unwrap(),
        data[3..8]
    );
    assert_eq!(
        code(tpm.nv_read(index, 0, 4, NvAuth::None)),
        ReturnCode::AUTH_CONFLICT
    );
    assert_eq!(
        code(tpm.nv_read(index, 0, 4, NvAuth::Index(&owner()))),
        ReturnCode::AUTH_FAIL
    );
}

#[test]
fn a_write_of_no_bytes_locks_a_writedefine_index() {
    let swtpm = Swtpm::start_tpm12(Some("ownerpw")).unwrap();
    let mut tpm = open(&swtpm);
    let attributes = Attributes(Attributes::OWNER_WRITE | Attributes::WRITE_DEFINE);
    let mut public = NvPublic::new(0x2000_0001, attributes, 8);
    public.read = PcrInfoShort::localities(0x07);
    public.write = PcrInfoShort::localities(0x07);
    tpm.nv_define(&public, Some(&owner()), &Secret::well_known())
        .unwrap();
    tpm.nv_lock().unwrap();
    assert!(tpm.permanent_flags().unwrap().nv_locked);
    let auth = owner();
    tpm.nv_write(public.index, 0, &[1; 8], NvAuth::Owner(&auth))
        .unwrap();
    tpm.nv_write(public.index, 0, &[], NvAuth::Owner(&auth))
        .unwrap();
    assert!(
        tpm.nv_public(public.index)
            .unwrap()
            .unwrap()
            .is_write_locked()
    );
    assert_eq!(
        code(tpm.nv_write(public.index, 0, &[2; 8], NvAuth::Owner(&auth))),
        ReturnCode::AREA_LOCKED
    );
}

#[test]
fn without_owner_and_lock_anybody_defines_and_with_the_lock_nobody() {
    let swtpm = Swtpm::start_tpm12(None).unwrap();
    let mut tpm = open(&swtpm);
    assert!(!tpm.has_owner().unwrap());
    assert!(!tpm.permanent_flags().unwrap().nv_locked);
    let public = NvPublic::new(0x2000_0005, Attributes(Attributes::OWNER_WRITE), 20);
    tpm.nv_define(&public, None, &Secret::well_known()).unwrap();
    tpm.nv_lock().unwrap();
    assert!(tpm.permanent_flags().unwrap().nv_locked);
    let other = NvPublic {
        index: 0x2000_0006,
        ..public
    };
    assert_eq!(
        code(tpm.nv_define(&other, None, &Secret::well_known())),
        ReturnCode::BAD_PRESENCE
    );
    assert_eq!(
        code(tpm.nv_define(&other, Some(&owner()), &Secret::well_known())),
        ReturnCode::NO_SRK
    );
}

#[test]
fn wrong_owner_passwords_are_counted_and_then_defended_against() {
    let swtpm = Swtpm::start_tpm12(Some("ownerpw")).unwrap();
    let mut tpm = open(&swtpm);
    let before = tpm.dictionary_attack().unwrap();
    assert_eq!((before.active, before.count), (false, 0));
    let nobody = Secret::from_password(b"wrong");
    let mut refused = 0;
    let stopped = loop {
        match code(tpm.owner_flags(&nobody)) {
            ReturnCode::AUTH_FAIL => refused += 1,
            other => break other,
        }
        assert!(refused < 1000, "never defended");
    };
    assert_eq!(stopped, ReturnCode::DEFEND_LOCK_RUNNING);
    assert!(tpm.dictionary_attack().unwrap().active);
    // swtpm takes one more than its threshold says.
    assert!(refused >= u32::from(before.threshold), "{refused}");
    // Not even the right one is taken then.
    assert_eq!(
        code(tpm.owner_flags(&owner())),
        ReturnCode::DEFEND_LOCK_RUNNING
    );
}

#[test]
fn registers_and_random_numbers() {
    let swtpm = Swtpm::start_tpm12(None).unwrap();
    let mut tpm = open(&swtpm);
    assert_eq!(tpm.pcr_count().unwrap(), 24);
    assert_eq!(tpm.pcr_read(15).unwrap(), [0; 20]);
    let expected: [u8; 20] = Sha1::digest([&[0; 20][..], &[9; 20]].concat()).into();
    assert_eq!(tpm.pcr_extend(15, &[9; 20]).unwrap(), expected);
    assert_eq!(tpm.pcr_read(15).unwrap(), expected);
    assert_eq!(code(tpm.pcr_read(24)), ReturnCode::BAD_INDEX);
    assert_eq!(code(tpm.pcr_extend(17, &[9; 20])), ReturnCode::BAD_LOCALITY);
    let random = tpm.random(700).unwrap();
    assert_eq!(random.len(), 700);
    assert_ne!(random[..20], random[20..40]);
    let version = tpm.version().unwrap();
    assert_eq!(version.version[..2], [1, 2]);
}

#[test]
fn each_tpm_is_recognized_and_can_be_opened_afterwards() {
    let (old, new) = (Swtpm::start_tpm12(None).unwrap(), Swtpm::start().unwrap());
    assert_eq!(family::detect(&old.tcti()).unwrap(), Family::Tpm12);
    assert_eq!(family::detect(&new.tcti()).unwrap(), Family::Tpm20);
    assert!(!open(&old).has_owner().unwrap());
    assert!(
        Tpm2::open(&new.tcti())
            .unwrap()
            .nv_list()
            .unwrap()
            .is_empty()
    );
    let error = family::detect("device:/nonexistent/tpm0")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("no TPM at device:/nonexistent/tpm0"),
        "{error}"
    );
}

#[test]
fn a_tpm_2_is_recognized_as_no_tpm_1_2() {
    let swtpm = Swtpm::start().unwrap();
    let error = open(&swtpm).nv_list().unwrap_err().to_string();
    assert!(error.contains("not a TPM 1.2"), "{error}");
}
