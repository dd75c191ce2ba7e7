//! The original's keys, files and encryptions, as recorded.

use serde::Deserialize;

use super::*;
use crate::wire::{key_messages::CryptoKey, proto2};

#[derive(Deserialize)]
struct Suite {
    crypter_cryptokey: String,
    signer_cryptokey: String,
    universal_name: String,
    encryptions: Vec<Encryption>,
    protect: Vec<Protected>,
    pbe_file_keys: String,
    pbe_plain_keyset: String,
    pbe_password: String,
    pbe_principal: String,
    pbe_file_cert_der: String,
}

#[derive(Deserialize)]
struct Encryption {
    encrypted_data_proto: String,
    plain: String,
}

#[derive(Deserialize)]
struct Protected {
    keys: String,
    plain: String,
    protected: String,
}

fn suites() -> Vec<Suite> {
    let text = include_str!("../../tests/vectors/keys_and_crypto_vectors.json");
    serde_json::from_str(text).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn recorded_encryptions_open_and_ours_open_in_the_same_way() {
    for suite in suites() {
        let key: CryptoKey = proto2::read(&bytes(&suite.crypter_cryptokey)).unwrap();
        let crypter = CtrHmac::from_crypto_key(&key).unwrap();
        for recorded in &suite.encryptions {
            let encrypted = bytes(&recorded.encrypted_data_proto);
            let plain = bytes(&recorded.plain);
            assert_eq!(*crypter.open(&encrypted).unwrap(), plain);
            let ours = crypter.seal("Anonymous_crypter", &plain).unwrap();
            assert_eq!(ours.len(), encrypted.len());
            assert_eq!(*crypter.open(&ours).unwrap(), plain);
            // A changed bit in counter block, ciphertext or MAC; the header is not covered.
            let mut changed = encrypted.clone();
            *changed.last_mut().unwrap() ^= 1;
            assert_eq!(crypter.open(&changed), Err(OpenError::Authentication));
        }
        assert!(crypter.open(b"").is_err());
    }
}

#[test]
fn recorded_protected_bytes_open_and_short_ones_are_refused() {
    for (suite, kind) in suites()
        .iter()
        .zip([CtrHmacSuite::Aes128Sha256, CtrHmacSuite::Aes256Sha512])
    {
        for recorded in &suite.protect {
            let keys = bytes(&recorded.keys);
            let (encryption, mac) = keys.split_at(kind.lengths().0);
            let crypter = CtrHmac::new(kind, encryption, mac).unwrap();
            let plain = bytes(&recorded.plain);
            let protected = bytes(&recorded.protected);
            assert_eq!(*crypter.unprotect(&protected).unwrap(), plain);
            let ours = crypter.protect(&plain).unwrap();
            assert_eq!(*crypter.unprotect(&ours).unwrap(), plain);
            for length in 0..kind.lengths().2 + 16 {
                assert!(crypter.unprotect(&ours[..length]).is_err());
            }
        }
    }
}

#[test]
fn recorded_key_files_open_with_their_password_and_hold_the_recorded_keys() {
    for suite in suites() {
        let file = bytes(&suite.pbe_file_keys);
        let plain = password::open(suite.pbe_password.as_bytes(), &file).unwrap();
        assert_eq!(*plain, bytes(&suite.pbe_plain_keyset));
        assert!(password::open(b"passwort", &file).is_err());
        let set = Keyset::decode(&plain).unwrap();
        assert!(set.crypter.is_some() && set.deriver.is_some());
        let certificate = bytes(&suite.pbe_file_cert_der);
        let certified = certificate::public_key(&certificate).unwrap();
        let certified = Verifier::from_spki(certified).unwrap();
        assert_eq!(certified.name().unwrap().to_string(), suite.pbe_principal);
        if let Some(signer) = &set.signer {
            assert_eq!(signer.name().to_string(), suite.pbe_principal);
            let key: CryptoKey = proto2::read(&bytes(&suite.signer_cryptokey)).unwrap();
            let private = &key.key_components[0];
            let recorded = Signer::from_private(KeyKind::P256, private).unwrap();
            assert_eq!(
                recorded.name().to_string(),
                format!("key([{}])", suite.universal_name)
            );
            assert_eq!(&*recorded.private_bytes().unwrap(), private);
        }
    }
}

#[test]
fn a_key_set_survives_its_file_in_our_format_and_in_the_originals() {
    let signer = Signer::generate(KeyKind::P256).unwrap();
    let names = [("CN", "policy")];
    let certificate = certificate::self_signed(&signer, &names, 0, 365).unwrap();
    let set = keyset::encode(&signer, &certificate).unwrap();
    for file in [
        password::protect(b"pw", &set).unwrap(),
        password::protect_for_original(b"pw", &set).unwrap(),
    ] {
        let read = Keyset::decode(&password::open(b"pw", &file).unwrap()).unwrap();
        assert_eq!(read.signer.unwrap().name(), signer.name());
        assert_eq!(read.certificate.as_deref(), Some(certificate.as_slice()));
        assert!(matches!(
            password::open(b"pv", &file),
            Err(PasswordError::Password(_))
        ));
    }
    for length in 0..set.len() {
        // Never a panic; a cut set may still be one.
        drop(Keyset::decode(&set[..length]).map(|set| set.signer.is_some()));
    }
}

#[test]
fn a_whole_key_set_of_the_original_is_written_as_it_was_read() {
    for suite in suites() {
        let recorded = bytes(&suite.pbe_plain_keyset);
        let set = Keyset::decode(&recorded).unwrap();
        let ours = Keyset::decode(&set.encode().unwrap()).unwrap();
        assert_eq!(ours.certificate, set.certificate);
        let (crypter, other) = (set.crypter.unwrap(), ours.crypter.unwrap());
        assert_eq!(crypter.parts(), other.parts());
        let sealed = other.seal("Anonymous_crypter", b"data").unwrap();
        assert_eq!(&*crypter.open(&sealed).unwrap(), b"data");
        assert_eq!(set.deriver.unwrap().bytes(), ours.deriver.unwrap().bytes());
        let name = |signer: Option<Signer>| signer.map(|signer| signer.name().to_string());
        assert_eq!(name(set.signer), name(ours.signer));
    }
}
