//! Keys below the storage root key.

use tpm::tpm12::{KeyUsage, Resource, ReturnCode, Secret, SrkSpelling, WrappedKey};

use super::{Machine12, code};

fn srk(machine: &Machine12) -> Secret {
    for spelling in SrkSpelling::ALL {
        let mut tpm = machine.open();
        let secret = spelling.secret();
        if tpm.create_key(&secret, KeyUsage::Signing, &secret).is_ok() {
            return secret;
        }
    }
    panic!("no spelling fits")
}

#[test]
fn a_key_is_made_kept_as_a_blob_loaded_in_the_next_boot_and_flushed() {
    let mut machine = Machine12::new();
    let (srk, own) = (srk(&machine), Secret::from_password(b"the key's"));
    let mut tpm = machine.open();
    for usage in [KeyUsage::Signing, KeyUsage::Storage] {
        let key = tpm.create_key(&srk, usage, &own).unwrap();
        assert_eq!(key.usage(), usage);
        drop(tpm);
        machine.swtpm.reboot().unwrap();
        tpm = machine.open();
        let kept = WrappedKey::parse(key.as_bytes()).unwrap();
        let shown = tpm.with_key(&srk, &kept, |tpm, handle| {
            assert_eq!(tpm.handles(Resource::Key)?, [handle]);
            assert_eq!(code(tpm.key_public(handle, &srk)), ReturnCode::AUTH_FAIL);
            tpm.key_public(handle, &own)
        });
        assert_eq!(&shown.unwrap(), key.public());
        assert!(tpm.handles(Resource::Key).unwrap().is_empty());
        let mut changed = key.as_bytes().to_vec();
        *changed.last_mut().unwrap() ^= 1;
        let changed = WrappedKey::parse(&changed).unwrap();
        assert!(tpm.with_key(&srk, &changed, |_, _| Ok(())).is_err());
    }
    let key = Machine12::other()
        .open()
        .create_key(&srk, KeyUsage::Signing, &own)
        .unwrap();
    assert!(tpm.with_key(&srk, &key, |_, _| Ok(())).is_err());
}
