//! The recorded attestations with their verdicts, and forged quotes.

use std::collections::BTreeMap;

use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use p256::pkcs8::EncodePublicKey;
use proptest::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    keys::{Secret, SignatureFormat, Signer},
    logic::{Form, Head, Pred, Prin, Says, Speaksfor, SubPrin, Term},
};

#[derive(Deserialize)]
struct Recorded {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    attestation: String,
    result: BTreeMap<String, String>,
}

fn recorded() -> Vec<Case> {
    let text = include_str!("../../tests/vectors/attestation_vectors.json");
    serde_json::from_str::<Recorded>(text).unwrap().cases
}

/// A time at which the recorded attestations that are ever valid are valid.
const RECORDING: i64 = 1_795_252_751_296_796_906;

#[test]
fn recorded_attestations_get_the_recorded_verdicts() {
    let cases = recorded();
    assert!(cases.len() > 10);
    for case in &cases {
        let verdict = verify(&hex::decode(&case.attestation).unwrap(), RECORDING);
        match (case.result.get("ok"), verdict) {
            // The original never looked at a clock.
            (Some(_), verdict) if case.name == "expiration_before_time" => {
                assert!(matches!(verdict, Err(AttestationError::NotYet { .. })));
            }
            (Some(text), Ok(verified)) => {
                assert_eq!(
                    &Form::Says(verified.statement).to_string(),
                    text,
                    "{}",
                    case.name
                );
            }
            (None, Err(_)) => {}
            (expected, verdict) => panic!("{}: {expected:?}, {verdict:?}", case.name),
        }
    }
}

#[test]
fn the_recorded_refusals_have_the_recorded_reasons() {
    for (name, expected) in [
        ("other_with_os_delegation", "does not let"),
        ("tampered_statement", "signature"),
        ("signer_type_bogus", "kind \"bogus\""),
        ("delegation_removed", "does not evidently speak for"),
        ("wrong_context", "signature"),
    ] {
        let case = recorded()
            .into_iter()
            .find(|case| case.name == name)
            .unwrap();
        let error = verify(&hex::decode(&case.attestation).unwrap(), RECORDING).unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
}

#[test]
fn validity_is_that_of_the_whole_chain_and_the_clock_decides() {
    let name = "chain3_prog_pred time=max exp=min";
    let case = recorded()
        .into_iter()
        .find(|case| case.name == name)
        .unwrap();
    let bytes = hex::decode(&case.attestation).unwrap();
    let (start, end) = (2000, 3_000_000_000_000_000_000);
    assert!(matches!(
        verify(&bytes, start - 1),
        Err(AttestationError::NotYet { .. })
    ));
    assert_eq!(verify(&bytes, start).unwrap().length, 3);
    assert!(verify(&bytes, end).is_ok());
    assert!(matches!(
        verify(&bytes, end + 1),
        Err(AttestationError::Expired { .. })
    ));
}

fn says(speaker: &Prin, message: Form) -> Says {
    Says {
        speaker: speaker.clone().into(),
        time: None,
        expiration: None,
        message: message.into(),
    }
}

fn speaksfor(delegate: &Prin, delegator: &Prin) -> Form {
    Form::Speaksfor(Speaksfor {
        delegate: delegate.clone().into(),
        delegator: delegator.clone().into(),
    })
}

/// A TPM made of a signing key: what it quotes can be changed in every part.
struct Machine {
    key: SigningKey,
    spki: Vec<u8>,
    name: Prin,
}

const PCRS: [(u8, [u8; 32]); 3] = [(17, [0x17; 32]), (18, [0x18; 32]), (19, [0x19; 32])];

fn machine() -> Machine {
    let key = SigningKey::from_slice(&[5; 32]).unwrap();
    let spki = key.verifying_key().to_public_key_der().unwrap().into_vec();
    let pcrs = SubPrin::pcrs(PCRS.iter().map(|(number, value)| (*number, &value[..]))).unwrap();
    let name = Prin::of_public_key("tpm2", &spki).unwrap().extended(&pcrs);
    Machine { key, spki, name }
}

fn attest_structure(extra: &[u8], bank: u16, select: [u8; 3], digest: &[u8]) -> Vec<u8> {
    let sized = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    [
        &hex::decode("ff5443478018").unwrap()[..],
        &sized(&[0, 11, 1, 2, 3]),
        &sized(extra),
        &[0; 25],
        &[0, 0, 0, 1],
        &bank.to_be_bytes(),
        &[3],
        &select,
        &sized(digest),
    ]
    .concat()
}

/// The boot of this machine, whose host has the key of [`host`].
fn event() -> BootEvent {
    BootEvent {
        opened: Opened::Tpm,
        volume: BootVolume::Secret([7; 16]),
        host_key: Some(Sha256::digest(host().spki()).into()),
    }
}

/// Which registers are quoted: 15, 17, 18, 19.
const SELECT: [u8; 3] = [0, 0x80, 0x0e];

/// The values of PCR 15 after this event and of 17 to 19.
fn quoted_values(event: &BootEvent) -> Vec<u8> {
    let mut values = event.register(32).unwrap();
    values.extend(PCRS.iter().flat_map(|(_, value)| *value));
    values
}

fn structure(statement: &[u8], event: &BootEvent) -> Vec<u8> {
    let digest = Sha256::digest(quoted_values(event));
    attest_structure(&Sha256::digest(statement), 11, SELECT, &digest)
}

fn good_structure(statement: &[u8]) -> Vec<u8> {
    structure(statement, &event())
}

impl Machine {
    fn quote(&self, statement: &[u8], structure: Vec<u8>) -> Vec<u8> {
        self.quote_with(statement, structure, &event().to_string())
    }

    fn quote_with(&self, statement: &[u8], structure: Vec<u8>, event: &str) -> Vec<u8> {
        let signature: Signature = self.key.sign(&structure);
        let signature = signature.to_der().as_bytes().to_vec();
        let spki = self.spki.clone();
        quoted(
            statement.to_vec(),
            spki,
            structure,
            signature,
            event.to_owned(),
        )
    }
}

fn host() -> Signer {
    Signer::new(Secret::new([9; 32])).unwrap()
}

fn delegation_statement(machine: &Machine) -> Vec<u8> {
    Form::Says(says(&machine.name, speaksfor(host().name(), &machine.name))).encode()
}

fn truth() -> Form {
    Form::Pred(Pred {
        name: "P".parse().unwrap(),
        args: vec![Term::Int(1)],
    })
}

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

#[test]
fn a_chain_is_bounded() {
    let signer = host();
    let mut attestation = None;
    for _ in 0..MAX_CHAIN {
        let statement = says(signer.name(), speaksfor(signer.name(), signer.name()));
        attestation =
            Some(attest(&signer, SignatureFormat::Original, statement, attestation).unwrap());
    }
    assert_eq!(
        verify(attestation.as_deref().unwrap(), 0).unwrap().length,
        MAX_CHAIN
    );
    let longer = attest(
        &signer,
        SignatureFormat::Original,
        says(signer.name(), truth()),
        attestation,
    )
    .unwrap();
    assert_eq!(verify(&longer, 0), Err(AttestationError::TooLong));
}

/// Also of the header that the original's format does not sign.
#[test]
fn no_bit_of_an_attestation_can_be_changed_in_either_format() {
    for format in [SignatureFormat::Original, SignatureFormat::Strong] {
        let signer = host();
        let good = attest(&signer, format, says(signer.name(), truth()), None).unwrap();
        assert!(verify(&good, 0).is_ok());
        for place in 0..good.len() {
            for bit in [1, 0x20, 0x80] {
                let mut changed = good.clone();
                changed[place] ^= bit;
                assert!(verify(&changed, 0).is_err(), "{format:?}: byte {place}");
            }
        }
        for more in [&b"\x7a\x01x"[..], b"\x12\x03key", b"\x2a\x00"] {
            assert!(verify(&[&good, more].concat(), 0).is_err(), "{more:?}");
        }
    }
}

/// A program's key speaks for what the program adds to its name, but the program is not the
/// script that its interpreter is called as when a host has measured one.
#[test]
fn a_program_speaks_for_no_name_that_describes_it_further() {
    let (host, own) = (host(), Signer::new(Secret::new([10; 32])).unwrap());
    let program = host.name().extended(&SubPrin::program(&[1; 32]).unwrap());
    let delegation = attest(
        &host,
        SignatureFormat::Strong,
        says(&program, speaksfor(own.name(), &program)),
        None,
    )
    .unwrap();
    let said = |extension: &str| {
        let speaker = program.extended(&extension.parse().unwrap());
        let statement = says(&speaker, truth());
        let delegation = Some(delegation.clone());
        attest(&own, SignatureFormat::Strong, statement, delegation).unwrap()
    };
    for good in [
        ".User(1)",
        ".TrivialGuard(\"Liberal\").Program([02]).Script([03])",
    ] {
        assert!(verify(&said(good), 0).is_ok(), "{good}");
    }
    for head in Head::ALL
        .into_iter()
        .filter(|head| head.describes_what_is_before())
    {
        let forged = said(&format!(".{}([02])", head.name()));
        assert!(
            matches!(
                verify(&forged, 0),
                Err(AttestationError::IrrelevantDelegation { .. })
            ),
            "{head:?}"
        );
    }
    // What the host itself says so is good.
    let script = program.extended(&".Script([02])".parse().unwrap());
    let truly = attest(&host, SignatureFormat::Strong, says(&script, truth()), None);
    assert!(verify(&truly.unwrap(), 0).is_ok());
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
