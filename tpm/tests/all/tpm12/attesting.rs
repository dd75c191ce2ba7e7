//! Identity keys and quotes: proved without a TPM.

use tpm::{
    Bank, PcrIndex, PcrValues,
    tpm12::{QuoteError, ReturnCode, Secret, SrkSecret, challenge},
};

use super::{LAUNCH, Machine12, OTHER_OWNER, code, deciding, launch_policy, owner, sha1};

fn srk(machine: &Machine12) -> Secret {
    let SrkSecret::Spelled(spelling) = machine.key.secret else {
        panic!("a secret of its own")
    };
    spelling.secret()
}

#[test]
fn an_identity_key_is_proved_to_be_in_the_tpm_with_the_endorsement_key_and_quotes_the_launch() {
    let (machine, other) = (Machine12::launched(), Machine12::other());
    let (srk, aik) = (srk(&machine), Secret::from_password(b"the key's"));
    let mut tpm = machine.open();
    let label = sha1(&[b"taoboot"]);
    let identity = tpm.make_identity(&srk, &owner(), &label, &aik).unwrap();
    assert!(identity.is_bound_to(&label));
    assert!(!identity.is_bound_to(&sha1(&[b"another"])));
    let wrong = Secret::from_password(b"wrong");
    let refused = tpm.make_identity(&srk, &wrong, &label, &aik);
    assert_eq!(code(refused), ReturnCode::AUTH2_FAIL);

    let endorsement = tpm.endorsement_public(&owner()).unwrap();
    let public = identity.key.public().clone();
    let secret = [0x42; 16];
    let asked = challenge(&endorsement, &public, &secret).unwrap();
    let its_owner = Secret::from_password(OTHER_OWNER.as_bytes());
    let foreign = other.open().endorsement_public(&its_owner).unwrap();
    let elsewhere = challenge(&foreign, &public, &secret).unwrap();
    let other_key = tpm.make_identity(&srk, &owner(), &label, &aik).unwrap();
    let for_other = challenge(&endorsement, other_key.key.public(), &secret).unwrap();
    let external = sha1(&[b"a question"]);
    let quote = tpm.with_key(&srk, &identity.key, |tpm, handle| {
        let opened = tpm.activate_identity(handle, &aik, &owner(), &asked)?;
        assert_eq!(*opened, secret);
        assert!(
            tpm.activate_identity(handle, &aik, &owner(), &elsewhere)
                .is_err()
        );
        assert!(
            tpm.activate_identity(handle, &aik, &owner(), &for_other)
                .is_err()
        );
        let refused = tpm.quote2(handle, &wrong, &external, deciding(), true);
        assert_eq!(code(refused), ReturnCode::AUTH_FAIL);
        tpm.quote2(handle, &aik, &external, deciding(), true)
    });
    let quote = quote.unwrap();
    let values = launch_policy(LAUNCH).values().clone();
    let version = quote.verify(&public, &external, &values).unwrap();
    assert_eq!(version.unwrap().version[..2], [1, 2]);
    assert_eq!(quote.registers.localities, 1);

    // Everything that does not fit.
    let question = quote.verify(&public, &sha1(&[b"another"]), &values);
    assert_eq!(question, Err(QuoteError::Signature));
    let key = quote.verify(other_key.key.public(), &external, &values);
    assert_eq!(key, Err(QuoteError::Signature));
    let mut changed = values.clone();
    changed.insert(PcrIndex::LATCH, vec![1; 20]).unwrap();
    let changed = quote.verify(&public, &external, &changed);
    assert_eq!(changed, Err(QuoteError::Values));
    let fewer = values.select(tpm::PcrSet::LAUNCH).unwrap();
    for others in [fewer, PcrValues::new(Bank::Sha1)] {
        let result = quote.verify(&public, &external, &others);
        assert!(matches!(result, Err(QuoteError::Registers { .. })));
    }
    for place in 0..3 {
        let mut forged = quote.clone();
        match place {
            0 => forged.registers.localities = 4,
            1 => forged.version[3] ^= 1,
            _ => forged.signature[100] ^= 1,
        }
        let forged = forged.verify(&public, &external, &values);
        assert_eq!(forged, Err(QuoteError::Signature));
    }
    // The endorsement and storage keys sign nothing.
    let not_a_signer = quote.verify(&endorsement, &external, &values);
    assert_eq!(not_a_signer, Err(QuoteError::Signature));
}
