//! NV indices of a real TPM 2.0 (swtpm).

use tpm::{
    Tpm2, TpmError,
    nv::{NvAttributes, NvAuth, NvPublic},
    swtpm::Swtpm,
    write_lock::nv_write_lock,
};

const POLICY_INDEX: u32 = 0x01c1_0106;
/// ownerwrite, policywrite, authread, no_da: what tboot's documentation asks for.
const ATTRIBUTES: NvAttributes = NvAttributes(0x0204_000a);
const OWNER: &[u8] = b"ownerpw";

fn open(swtpm: &Swtpm) -> Tpm2 {
    Tpm2::open(&swtpm.tcti()).unwrap()
}

#[test]
fn an_owner_defines_writes_reads_and_undefines_an_index() {
    let mut swtpm = Swtpm::start().unwrap();
    swtpm.set_owner_password("ownerpw").unwrap();
    let mut tpm = open(&swtpm);
    assert!(tpm.nv_state().unwrap().owner_password);
    assert!(tpm.nv_list().unwrap().is_empty());
    assert_eq!(tpm.nv_public(POLICY_INDEX).unwrap(), None);
    let public = NvPublic::new(POLICY_INDEX, ATTRIBUTES, 70);
    tpm.nv_define(&public, OWNER).unwrap();
    assert_eq!(tpm.nv_public(POLICY_INDEX).unwrap(), Some(public));
    assert_eq!(tpm.nv_read(POLICY_INDEX, NvAuth::Index).unwrap(), None);
    tpm.nv_write(POLICY_INDEX, &[7; 70], NvAuth::Owner(OWNER))
        .unwrap();
    let written = tpm.nv_public(POLICY_INDEX).unwrap().unwrap();
    assert_eq!(written.attributes.0, 0x2204_000a);
    drop(tpm);
    swtpm.reboot().unwrap();
    let mut tpm = open(&swtpm);
    assert_eq!(
        tpm.nv_read(POLICY_INDEX, NvAuth::Index).unwrap().unwrap(),
        [7; 70]
    );
    assert_eq!(tpm.nv_list().unwrap(), [POLICY_INDEX]);
    // Not even the owner reads what has no OWNERREAD.
    let error = tpm.nv_read(POLICY_INDEX, NvAuth::Owner(OWNER)).unwrap_err();
    assert_eq!(error.code(), Some(0x149), "{error}");
    let error = tpm
        .nv_write(POLICY_INDEX, &[8; 71], NvAuth::Owner(OWNER))
        .unwrap_err();
    assert_eq!(error.code(), Some(0x146), "{error}");
    let again = NvPublic::new(POLICY_INDEX, ATTRIBUTES, 58);
    assert_eq!(
        tpm.nv_define(&again, OWNER).unwrap_err().code(),
        Some(0x14c)
    );
    tpm.nv_undefine(POLICY_INDEX, OWNER).unwrap();
    assert_eq!(tpm.nv_public(POLICY_INDEX).unwrap(), None);
}

#[test]
fn a_wrong_password_is_tried_once_and_named() {
    let swtpm = Swtpm::start().unwrap();
    swtpm.set_owner_password("ownerpw").unwrap();
    let mut tpm = open(&swtpm);
    let public = NvPublic::new(POLICY_INDEX, ATTRIBUTES, 70);
    // The very trouble with sessions that is_refused_session describes comes once in a hundred.
    for _ in 0..20 {
        let error = tpm.nv_define(&public, b"wrong").unwrap_err();
        assert!(
            matches!(error, TpmError::WrongPassword { whose: "owner", .. }),
            "{error}"
        );
    }
    // The specification exempts the owner's password from the lockout.
    let state = tpm.nv_state().unwrap();
    assert_eq!((state.lockout.counter, state.lockout.locked), (0, false));
    tpm.nv_define(&public, OWNER).unwrap();
    drop(tpm);
    assert!(swtpm.handles(0x8000_0000).unwrap().is_empty());
    assert!(swtpm.handles(0x0200_0000).unwrap().is_empty());
}

/// TPM2_NV_ReadPublic of the index, the name at its end.
fn name(swtpm: &Swtpm, index: u32) -> String {
    let mut command = vec![0x80, 0x01, 0, 0, 0, 14, 0, 0, 0x01, 0x69];
    command.extend(index.to_be_bytes());
    let answer = swtpm.command(&command).unwrap();
    hex::encode(&answer[answer.len() - 34..])
}

/// A name is the digest of index, attributes and size, so that it says that all of them are what
/// tpm2-tools makes of tboot's documentation.
#[test]
fn the_names_are_those_that_tpm2_tools_made() {
    let swtpm = Swtpm::start().unwrap();
    let mut tpm = open(&swtpm);
    for (index, attributes, size) in [
        (POLICY_INDEX, ATTRIBUTES, 70),
        (0x01c1_0131, ATTRIBUTES, 256),
        (0x01c1_0132, NvAttributes(0x0204_0004), 8),
    ] {
        tpm.nv_define(&NvPublic::new(index, attributes, size), b"")
            .unwrap();
        if attributes == ATTRIBUTES {
            tpm.nv_write(index, &[0; 12], NvAuth::Owner(b"")).unwrap();
        }
    }
    drop(tpm);
    assert_eq!(
        [POLICY_INDEX, 0x01c1_0131, 0x01c1_0132].map(|index| name(&swtpm, index)),
        [
            "000b9a4183499f15f20019a3f5eb51fd8f9c5fb67f52951ed83eb929580d1c335c4e",
            "000bd3e075bd908de0e0fd9f7c15f6b4563890227e3a8f83f75f05d9664525ab21e1",
            "000b749ee569e86cf33e94e27e10b136015634b2ec9e4d67bcabc1bd886ba514854f",
        ]
    );
}

#[test]
fn what_firmware_defined_only_firmware_changes() {
    let swtpm = Swtpm::start().unwrap();
    let platform = NvAttributes::PP_WRITE
        | NvAttributes::AUTH_READ
        | NvAttributes::NO_DA
        | NvAttributes::PLATFORM_CREATE;
    swtpm
        .define_platform_index(POLICY_INDEX, platform, &[1; 70])
        .unwrap();
    let mut tpm = open(&swtpm);
    let public = tpm.nv_public(POLICY_INDEX).unwrap().unwrap();
    assert!(public.attributes.has(NvAttributes::PP_WRITE));
    assert_eq!(
        tpm.nv_read(POLICY_INDEX, NvAuth::Index).unwrap().unwrap(),
        [1; 70]
    );
    let error = tpm
        .nv_write(POLICY_INDEX, &[2; 70], NvAuth::Owner(b""))
        .unwrap_err();
    assert_eq!(error.code(), Some(0x149), "{error}");
    let error = tpm.nv_undefine(POLICY_INDEX, b"").unwrap_err();
    assert_eq!(error.code(), Some(0x149), "{error}");
}

#[test]
fn the_lockout_is_seen_and_does_not_keep_the_owner_out() {
    let swtpm = Swtpm::start().unwrap();
    swtpm.set_max_tries(3).unwrap();
    for done in 0..3 {
        let lockout = open(&swtpm).nv_state().unwrap().lockout;
        assert_eq!((lockout.counter, lockout.tries_left()), (done, 3 - done));
        assert!(!lockout.locked);
        swtpm.fail_once(0x0100_0001).unwrap();
    }
    let mut tpm = open(&swtpm);
    let lockout = tpm.nv_state().unwrap().lockout;
    assert_eq!(
        (lockout.counter, lockout.max_tries, lockout.locked),
        (3, 3, true)
    );
    assert_eq!(lockout.interval, 3600);
    let public = NvPublic::new(POLICY_INDEX, ATTRIBUTES, 70);
    tpm.nv_define(&public, b"").unwrap();
    tpm.nv_write(POLICY_INDEX, &[7; 70], NvAuth::Owner(b""))
        .unwrap();
    assert_eq!(
        tpm.nv_read(POLICY_INDEX, NvAuth::Index).unwrap().unwrap(),
        [7; 70]
    );
}

#[test]
fn more_than_one_buffer_is_written_and_read_in_parts() {
    let swtpm = Swtpm::start().unwrap();
    let mut tpm = open(&swtpm);
    let most = tpm.nv_state().unwrap().max_size;
    let size = u16::try_from(most.min(2000)).unwrap();
    assert!(size > 1024);
    let public = NvPublic::new(0x0180_0001, NvAttributes(0x0006_0006), size);
    tpm.nv_define(&public, b"").unwrap();
    let data: Vec<u8> = (0..u32::from(size)).map(|n| n.to_le_bytes()[0]).collect();
    tpm.nv_write(public.index, &data, NvAuth::Owner(b""))
        .unwrap();
    assert_eq!(
        tpm.nv_read(public.index, NvAuth::Owner(b""))
            .unwrap()
            .unwrap(),
        data
    );
    tpm.nv_write(public.index, &[9; 3], NvAuth::Index).unwrap();
    let read = tpm.nv_read(public.index, NvAuth::Index).unwrap().unwrap();
    assert_eq!((&read[..3], &read[3..]), (&[9; 3][..], &data[3..]));
}

#[test]
fn an_index_that_can_be_locked_is_locked_for_ever() {
    let mut swtpm = Swtpm::start().unwrap();
    swtpm.set_owner_password("ownerpw").unwrap();
    let public = NvPublic::new(
        0x0150_0001,
        NvAttributes(ATTRIBUTES.0 | NvAttributes::WRITE_DEFINE),
        8,
    );
    let plain = NvPublic::new(0x0150_0002, ATTRIBUTES, 8);
    let mut tpm = open(&swtpm);
    for public in [&public, &plain] {
        tpm.nv_define(public, OWNER).unwrap();
        tpm.nv_write(public.index, &[1; 8], NvAuth::Owner(OWNER))
            .unwrap();
    }
    drop(tpm);
    let lock = |index, password| nv_write_lock(&swtpm.tcti(), index, password);
    let error = lock(public.index, b"wrong").unwrap_err();
    assert!(matches!(error, TpmError::WrongPassword { .. }), "{error}");
    let error = lock(plain.index, OWNER).unwrap_err();
    assert_eq!(
        error.code().map(|code| code & !0xf00),
        Some(0x82),
        "{error}"
    );
    let error = lock(0x0150_0003, OWNER).unwrap_err();
    assert!(error.to_string().contains("TPM2_NV_ReadPublic"), "{error}");
    lock(public.index, OWNER).unwrap();
    assert!(swtpm.handles(0x0200_0000).unwrap().is_empty());
    swtpm.reboot().unwrap();
    let mut tpm = open(&swtpm);
    let after = tpm.nv_public(public.index).unwrap().unwrap();
    assert!(after.attributes.has(NvAttributes::WRITE_LOCKED));
    let error = tpm
        .nv_write(public.index, &[2; 8], NvAuth::Owner(OWNER))
        .unwrap_err();
    assert_eq!(error.code(), Some(0x148), "{error}");
}

#[test]
fn many_indices_are_all_listed() {
    let swtpm = Swtpm::start().unwrap();
    let mut tpm = open(&swtpm);
    let expected: Vec<u32> = (0..70).map(|n| 0x0150_0000 + n).collect();
    for index in expected.iter().rev() {
        let public = NvPublic::new(*index, NvAttributes(0x0006_0006), 1);
        tpm.nv_define(&public, b"").unwrap();
    }
    assert_eq!(tpm.nv_list().unwrap(), expected);
    let error = tpm.nv_public(0x8100_0001).unwrap_err().to_string();
    assert!(error.contains("not an NV index"), "{error}");
}
