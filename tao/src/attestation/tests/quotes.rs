//! Quotes, good ones and forged ones.

use p256::ecdsa::SigningKey;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::{super::*, machine::*};
use crate::{
    keys::{Secret, SignatureFormat, Signer},
    logic::{Form, Prin, SubPrin},
};

#[test]
fn a_statement_of_a_program_is_traced_to_the_quote_of_the_tpm() {
    let machine = machine();
    let statement = delegation_statement(&machine);
    let quote = machine.quote(&statement, good_structure(&statement));
    let program = machine.name.extended(&SubPrin::program(&[1; 32]).unwrap());
    let attestation = attest(
        &host(),
        SignatureFormat::Strong,
        says(&program, truth()),
        Some(quote),
    )
    .unwrap();
    let verified = verify(&attestation, 0).unwrap();
    assert_eq!(verified.speaker, program);
    assert_eq!(
        verified.root,
        Prin::of_public_key("tpm2", &machine.spki).unwrap()
    );
    assert_eq!(verified.length, 2);
    assert_eq!(verified.boot, Some(event()));
}

/// Who can open the TPM makes a good quote of the present registers over what he likes.
#[test]
fn a_quote_lets_only_the_key_speak_that_pcr_15_names() {
    let machine = machine();
    let own = Signer::new(Secret::new([66; 32])).unwrap();
    let statement = Form::Says(says(&machine.name, speaksfor(own.name(), &machine.name))).encode();
    let quote = machine.quote(&statement, good_structure(&statement));
    let refused = verify(&quote, 0).unwrap_err();
    assert!(
        matches!(refused, AttestationError::QuotedForAnother { .. }),
        "{refused}"
    );
    let attestation = attest(
        &own,
        SignatureFormat::Strong,
        says(&machine.name, truth()),
        Some(quote),
    );
    assert_eq!(verify(&attestation.unwrap(), 0), Err(refused));
    // An event with his key: the register was extended with another.
    let lie = BootEvent {
        host_key: Some(Sha256::digest(own.spki()).into()),
        ..event()
    };
    let quote = machine.quote_with(&statement, good_structure(&statement), &lie.to_string());
    assert_eq!(
        verify(&quote, 0),
        Err(AttestationError::Quote(QuoteError::Values))
    );
}

#[test]
fn a_quote_over_anything_but_the_delegation_is_refused() {
    let machine = machine();
    let key = host();
    let part = key.name().extended(&".Part(1)".parse().unwrap());
    for message in [truth(), speaksfor(&part, &machine.name)] {
        let statement = Form::Says(says(&machine.name, message)).encode();
        let quote = machine.quote(&statement, good_structure(&statement));
        let refused = verify(&quote, 0).unwrap_err();
        assert!(
            matches!(refused, AttestationError::QuotedForAnother { .. }),
            "{refused}"
        );
    }
}

#[test]
fn a_boot_without_a_host_lets_nobody_speak() {
    let machine = machine();
    let statement = delegation_statement(&machine);
    let none = BootEvent {
        host_key: None,
        ..event()
    };
    let quote = machine.quote_with(&statement, structure(&statement, &none), &none.to_string());
    let refused = verify(&quote, 0).unwrap_err();
    assert!(refused.to_string().contains("no key"), "{refused}");
}

#[test]
fn a_quote_needs_the_event_that_is_in_pcr_15() {
    let machine = machine();
    let statement = delegation_statement(&machine);
    let quote = machine.quote(&statement, good_structure(&statement));
    let mut message: AttestationMessage = crate::wire::proto2::read(&quote).unwrap();
    message.boot_event = None;
    let without = prost::Message::encode_to_vec(&message);
    assert_eq!(
        verify(&without, 0),
        Err(AttestationError::Quote(QuoteError::NoBootEvent))
    );
    for event in [
        BootEvent {
            opened: Opened::RecoveryKey,
            ..event()
        },
        BootEvent {
            volume: BootVolume::Secret([8; 16]),
            ..event()
        },
        BootEvent {
            acpi: AcpiTables::Digest([8; 32]),
            ..event()
        },
    ] {
        let quote = machine.quote_with(&statement, good_structure(&statement), &event.to_string());
        assert_eq!(
            verify(&quote, 0),
            Err(AttestationError::Quote(QuoteError::Values))
        );
    }
    // Over the registers in the name only, which say nothing of the host's key.
    let values: Vec<u8> = PCRS.iter().flat_map(|(_, value)| *value).collect();
    let old = attest_structure(
        &Sha256::digest(&statement),
        11,
        [0, 0, 0x0e],
        &Sha256::digest(values),
    );
    assert!(matches!(
        verify(&machine.quote(&statement, old), 0),
        Err(AttestationError::Quote(QuoteError::Selection(_)))
    ));
}

#[test]
fn a_host_cannot_speak_for_another_machine_state() {
    let machine = machine();
    let statement = delegation_statement(&machine);
    let quote = machine.quote(&statement, good_structure(&statement));
    let other: Prin = machine
        .name
        .to_string()
        .replace("1717", "1718")
        .parse()
        .unwrap();
    let attestation = attest(
        &host(),
        SignatureFormat::Strong,
        says(&other, truth()),
        Some(quote),
    )
    .unwrap();
    assert!(matches!(
        verify(&attestation, 0),
        Err(AttestationError::IrrelevantDelegation { .. })
    ));
}

#[test]
fn every_part_of_a_quote_is_checked() {
    let machine = machine();
    let statement = delegation_statement(&machine);
    let digest = Sha256::digest(quoted_values(&event()));
    let extra = Sha256::digest(&statement);
    let mut wrong_magic = good_structure(&statement);
    wrong_magic[0] = 0;
    let mut wrong_type = good_structure(&statement);
    wrong_type[5] = 0x17;
    let too_long = [good_structure(&statement), vec![0]].concat();
    let refused = |structure| match verify(&machine.quote(&statement, structure), 0) {
        Err(AttestationError::Quote(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(wrong_magic), QuoteError::Magic(0x0054_4347));
    assert_eq!(refused(wrong_type), QuoteError::Type(0x8017));
    assert!(matches!(refused(too_long), QuoteError::Malformed(_)));
    let other = attest_structure(&[0; 32], 11, SELECT, &digest);
    assert_eq!(refused(other), QuoteError::ExtraData);
    let fewer = attest_structure(&extra, 11, [0, 0x80, 0x06], &digest);
    assert!(matches!(refused(fewer), QuoteError::Selection(_)));
    let sha1 = attest_structure(&extra, 4, SELECT, &digest);
    assert!(matches!(refused(sha1), QuoteError::Selection(_)));
    let changed = attest_structure(&extra, 11, SELECT, &[0; 32]);
    assert_eq!(refused(changed), QuoteError::Values);
    for length in 0..good_structure(&statement).len() {
        refused(good_structure(&statement)[..length].to_vec());
    }
}

#[test]
fn a_quote_signed_by_another_key_is_refused() {
    let machine = machine();
    let statement = delegation_statement(&machine);
    let imposter = Machine {
        key: SigningKey::from_slice(&[6; 32]).unwrap(),
        ..machine
    };
    let forged = imposter.quote(&statement, good_structure(&statement));
    assert!(matches!(
        verify(&forged, 0),
        Err(AttestationError::Quote(QuoteError::Signature(_)))
    ));
}

#[test]
fn a_name_without_pcrs_cannot_be_quoted_for() {
    let machine = machine();
    let bare = Prin::of_public_key("tpm2", &machine.spki).unwrap();
    for name in [
        bare.clone(),
        bare.extended(&".PCRs(\"18,17\", \"aa,bb\")".parse().unwrap()),
        bare.extended(
            &format!(".PCRs(\"15\", \"{}\")", "15".repeat(32))
                .parse()
                .unwrap(),
        ),
    ] {
        let statement = Form::Says(says(&name, speaksfor(host().name(), &name))).encode();
        let quote = machine.quote(&statement, good_structure(&statement));
        assert!(matches!(
            verify(&quote, 0),
            Err(AttestationError::Quote(QuoteError::Speaker(_)))
        ));
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(verify(&bytes, 0).is_err());
    }

    #[test]
    fn a_changed_byte_is_refused(position in any::<prop::sample::Index>(), change in 1_u8..) {
        let machine = machine();
        let statement = delegation_statement(&machine);
        let mut quote = machine.quote(&statement, good_structure(&statement));
        let position = position.index(quote.len());
        quote[position] ^= change;
        prop_assert!(verify(&quote, 0).is_err());
    }
}
