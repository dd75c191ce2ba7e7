//! What a volume's key proves and gives: a passphrase opens the enrolled volume only, and the
//! Tao host's keys do not follow from the key. Real volumes, a real swtpm.

use agent::unlock::{CheckedHeader, OpenError, ProofError, TokenId, proven_key};
use tao::attestation::BootVolume;

use crate::enroll_support::*;

/// What a person's passphrase proves about this volume.
fn proof(header: &CheckedHeader, pinned: Option<&str>) -> Result<BootVolume, OpenError> {
    proven_key(header, PASSPHRASE.as_bytes(), pinned).map(|(_, _, proof)| proof.volume)
}

fn refused(volume: &Volume, pinned: &str) -> ProofError {
    match proof(&volume.header(), Some(pinned)) {
        Err(OpenError::NotEnrolled { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

fn enrolled() -> (Volume, String) {
    let volume = Volume::new();
    let swtpm = launched("kernel", "initramfs");
    enroll_current(&volume, &swtpm);
    let id = volume.record().secret_id().to_owned();
    (volume, id)
}

#[test]
fn a_passphrase_of_the_enrolled_volume_proves_it_by_its_key() {
    let (volume, id) = enrolled();
    let header = volume.header();
    let (key, keyslot, proven) = proven_key(&header, PASSPHRASE.as_bytes(), Some(&id)).unwrap();
    let proven = proven.volume;
    assert_eq!((key.len(), keyslot), (64, 0));
    assert_eq!(proven.to_string(), format!("secret:{id}"));
    // Without a pin the proof is the same, and attestations show it.
    assert_eq!(proof(&header, None).unwrap(), proven);
    let wrong = proven_key(&header, b"wrong", Some(&id)).unwrap_err();
    assert!(matches!(wrong, OpenError::WrongPassphrase { .. }));
}

#[test]
fn another_volume_with_the_same_uuid_is_not_opened_whatever_it_is_enrolled_with() {
    let (owners, id) = enrolled();
    // The attacker's own, with nothing, with the owner's record, with a record of his own.
    let volume = Volume::in_place_of(&owners);
    assert_eq!(volume.header().uuid(), owners.header().uuid());
    assert!(matches!(refused(&volume, &id), ProofError::Nothing { .. }));
    let swtpm = launched("kernel", "initramfs");
    enroll_current(&volume, &swtpm);
    assert!(matches!(refused(&volume, &id), ProofError::Other { .. }));
    volume.replace_token(TokenId(0), &owners.token(TokenId(0)));
    assert!(matches!(refused(&volume, &id), ProofError::Nothing { .. }));
}

#[test]
fn a_record_that_only_says_the_pinned_id_proves_nothing() {
    let (owners, id) = enrolled();
    let volume = Volume::in_place_of(&owners);
    enroll_current(&volume, &launched("kernel", "initramfs"));
    let mut token = volume.token(TokenId(0));
    token["secret_id"] = id.as_str().into();
    volume.replace_token(TokenId(0), &token);
    assert!(matches!(refused(&volume, &id), ProofError::Nothing { .. }));
    // Nor is it believed where nothing is pinned.
    let proven = proof(&volume.header(), None).unwrap();
    assert!(matches!(proven, BootVolume::Unproven(_)), "{proven}");
}

#[test]
fn a_volume_that_is_not_enrolled_is_opened_only_where_nothing_is_pinned() {
    let volume = Volume::new();
    let proven = proof(&volume.header(), None).unwrap();
    assert!(matches!(proven, BootVolume::Unproven(_)), "{proven}");
    let error = refused(&volume, &"00".repeat(16)).to_string();
    assert!(error.contains("not opened"), "{error}");
}

/// Root has the volume's key (`dmsetup table --showkeys`) and reads the header. By these he gets
/// the volume's passphrase, without the TPM and without a line in a log.
#[test]
fn header_and_volume_key_give_the_volume_s_passphrase_and_nothing_of_the_host() {
    let volume = Volume::new();
    let swtpm = launched("kernel", "initramfs");
    enroll_current(&volume, &swtpm);
    let (boot_secret, record) = unsealed(&volume, &swtpm).unwrap();
    let header = volume.header();
    let (key, ..) = proven_key(&header, PASSPHRASE.as_bytes(), None).unwrap();
    let identity = header.identity();
    let escrow = record.record().parts().escrow.clone().unwrap();
    // Nonce and tag aside, the escrow has room for one secret.
    assert_eq!(escrow.as_bytes().len(), 12 + 32 + 16);
    let found = escrow.open(&key, identity).unwrap();
    assert!(volume.opens_with(&found.volume_passphrase(identity)));
    // What the host's secret once was.
    let mut derived = [0; 32];
    let info = [
        &b"taoboot tao host secret v1\0"[..],
        &<sha2::Sha256 as sha2::Digest>::digest(b""),
    ]
    .concat();
    hkdf::Hkdf::<sha2::Sha256>::new(
        Some(b"taoboot boot secret v1"),
        &boot_secret.to_bytes()[..32],
    )
    .expand(&info, &mut derived)
    .unwrap();
    assert_ne!(*boot_secret.host().to_bytes(), derived);
    assert_ne!(
        boot_secret.host().to_bytes()[..],
        boot_secret.to_bytes()[..32]
    );
}

/// Whoever copies the disk and knows a passphrase enrols the copy on a machine of his own.
#[test]
fn a_copy_enrolled_elsewhere_has_other_host_keys() {
    let (volume, id) = enrolled();
    let first = launched("kernel", "initramfs");
    enroll_elsewhere(&volume, &first);
    let copy = Volume::new();
    std::fs::copy(&volume.image, &copy.image).unwrap();
    let second = launched("kernel", "initramfs");
    enroll_elsewhere(&copy, &second);
    // The records that another TPM made stay in the header and open nothing here.
    let host = |volume: &Volume, swtpm| {
        let (secret, _) = unsealed(volume, swtpm).unwrap();
        assert_eq!(secret.id(), id);
        secret.host().to_bytes()
    };
    assert_ne!(host(&volume, &first), host(&copy, &second));
}
