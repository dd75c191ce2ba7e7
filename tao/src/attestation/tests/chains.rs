//! Chains of delegations, and who speaks for whom.

use super::{super::*, machine::*};
use crate::{
    keys::{Secret, SignatureFormat, Signer},
    logic::{Head, SubPrin},
};

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
