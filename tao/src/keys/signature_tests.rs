use prost::Message as _;
use serde::Deserialize;

use super::*;
use crate::wire::{
    messages::{CryptoHeader, SignedData},
    proto2,
};

#[derive(Deserialize)]
struct Suite {
    suite: String,
    verifier_spki_der: String,
    universal_name: String,
    signatures: Vec<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    context: String,
    data: String,
    sha256: String,
    signed_data_proto: String,
    verifies: bool,
}

#[test]
fn recorded_signatures_verify_for_their_data_and_context_only() {
    let suites: Vec<Suite> = serde_json::from_str(include_str!(
        "../../tests/vectors/keys_and_crypto_vectors.json"
    ))
    .unwrap();
    let mut kinds = Vec::new();
    for suite in suites {
        let spki = hex::decode(&suite.verifier_spki_der).unwrap();
        let verifier = Verifier::from_spki(&spki).unwrap();
        kinds.push(verifier.kind());
        assert!(suite.suite.contains(verifier.kind().name()));
        assert_eq!(verifier.spki().unwrap(), spki);
        let name = verifier.name().unwrap().to_string();
        assert_eq!(name, format!("key([{}])", suite.universal_name));
        for recorded in &suite.signatures {
            let data = hex::decode(&recorded.data).unwrap();
            let signed = hex::decode(&recorded.signed_data_proto).unwrap();
            let header = CryptoHeader::default();
            let format = SignatureFormat::Original;
            let message = format.message(&header, &recorded.context, &data);
            let digest = format.digest(verifier.kind(), &message);
            assert_eq!(hex::encode(digest), recorded.sha256);
            let verdict = verifier.verify(&recorded.context, &data, &signed);
            assert_eq!(verdict.is_ok(), recorded.verifies);
            let other = verifier.verify("other", &data, &signed);
            assert_eq!(other, Err(KeyError::Signature));
        }
    }
    assert_eq!(kinds, [KeyKind::P256, KeyKind::P521]);
}

#[test]
fn every_kind_signs_in_both_formats_and_neither_passes_for_the_other() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
        let signer = Signer::generate(kind).unwrap();
        let again = Signer::from_private(kind, &signer.private_bytes().unwrap()).unwrap();
        assert_eq!(signer.name(), again.name());
        let verifier = Verifier::from_spki(again.spki()).unwrap();
        assert_eq!(&verifier, signer.verifier());
        for format in [SignatureFormat::Original, SignatureFormat::Strong] {
            let signed = signer.sign_as(format, "purpose", b"data").unwrap();
            let verify = |format, data: &[u8], signed: &[u8]| {
                verifier.verify_formats(&[(format, "purpose")], data, signed)
            };
            assert_eq!(verify(format, b"data", &signed), Ok(format));
            assert!(verify(format, b"date", &signed).is_err());
            let mut forged: SignedData = proto2::read(&signed).unwrap();
            forged.header.version = 5 - forged.header.version;
            let forged = forged.encode_to_vec();
            for other in [SignatureFormat::Original, SignatureFormat::Strong] {
                assert!(verify(other, b"data", &forged).is_err());
            }
            // The strong format signs the header as well.
            let mut renamed: SignedData = proto2::read(&signed).unwrap();
            renamed.header.key_name = Some("another".to_owned());
            assert!(verify(format, b"data", &renamed.encode_to_vec()).is_err());
            // What nobody reads is not there either.
            let more = [signed.as_slice(), b"\x1a\x01x"].concat();
            assert_eq!(verify(format, b"data", &more), Err(KeyError::NotCanonical));
        }
    }
    assert!(Signer::generate(KeyKind::P521).is_err());
}

#[test]
fn one_secret_gives_one_key_and_another_secret_another() {
    let signer = |byte| Signer::new(Secret::new([byte; 32])).unwrap();
    assert_eq!(signer(1).spki(), signer(1).spki());
    assert_ne!(signer(1).spki(), signer(2).spki());
}

#[test]
fn a_signature_verifies_and_a_changed_one_does_not() {
    let signer = Signer::new(Secret::new([1; 32])).unwrap();
    let verifier = Verifier::from_spki(signer.spki()).unwrap();
    let signed = signer.sign("purpose", b"data").unwrap();
    assert_eq!(verifier.verify("purpose", b"data", &signed), Ok(()));
    assert!(verifier.verify("purpose", b"date", &signed).is_err());
    let mut changed = signed.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(verifier.verify("purpose", b"data", &changed).is_err());
}
