//! The recorded attestations with their verdicts.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::*;
use crate::logic::Form;

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
    let text = include_str!("../../../tests/vectors/attestation_vectors.json");
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
