//! Secret disclosure directives: the policy key says that a program may read, write, create,
//! delete or own an object of a secret store.

use crate::{
    keys::{KeyError, Verifier},
    logic::{Form, LogicError, Pred, Prin, Term},
    wire::{
        key_messages::SecretDirective,
        proto2::{self, ProtoError},
    },
};

/// What directives are signed for.
pub const DIRECTIVE_CONTEXT: &str = "Policy Secret Disclosure Directive Signature";
/// `SECRET_DISCLOSURE`, the only type.
const DISCLOSURE: i32 = 1;

/// Why a directive is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectiveError {
    /// Not a directive.
    #[error("not a directive: {0}")]
    Message(#[from] ProtoError),
    /// A part is missing.
    #[error("the directive has no {0}")]
    Missing(&'static str),
    /// Its statement or its signer cannot be read.
    #[error("the directive is malformed: {0}")]
    Statement(#[from] LogicError),
    /// Another kind of directive.
    #[error("a directive of type {0}; 1 (secret disclosure) is known")]
    Type(i32),
    /// Its statement says something else.
    #[error("the directive's statement is not of the form 'A says Read(program, [object])': {0}")]
    Form(String),
    /// It is said by somebody else than the policy key.
    #[error("the directive is said by {speaker}, not by the policy key {policy_key}")]
    Speaker {
        /// Who says it.
        speaker: String,
        /// Who should.
        policy_key: String,
    },
    /// The signature is wrong.
    #[error("the directive's signature is invalid: {0}")]
    Signature(#[from] KeyError),
}

/// What a directive grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// The policy key.
    pub delegator: Prin,
    /// The program that may.
    pub delegate: Prin,
    /// What it may: Read, Write, Create, Delete or Own.
    pub permission: String,
    /// Serialized id of the object.
    pub object: Vec<u8>,
}

/// Verifies a serialized directive of the policy key.
///
/// # Errors
/// When it is something else, is said or signed by somebody else, or was changed.
pub fn verify_directive(bytes: &[u8], policy_key: &Verifier) -> Result<Directive, DirectiveError> {
    let message: SecretDirective = proto2::read(bytes)?;
    match message.r#type {
        Some(DISCLOSURE) => {}
        Some(other) => return Err(DirectiveError::Type(other)),
        None => return Err(DirectiveError::Missing("type")),
    }
    let statement = there(message.serialized_statement, "statement")?;
    let form = Form::decode(&statement)?;
    let other = || DirectiveError::Form(form.to_string());
    let Form::Says(says) = &form else {
        return Err(other());
    };
    let Form::Pred(Pred { name, args }) = &*says.message else {
        return Err(other());
    };
    let (Some(speaker), [Term::Prin(delegate), Term::Bytes(object)]) =
        (says.speaker.as_prin(), args.as_slice())
    else {
        return Err(other());
    };
    let signer = Prin::decode(&there(message.signer, "signer")?)?;
    let policy = policy_key.name()?;
    if *speaker != policy || signer != policy {
        return Err(DirectiveError::Speaker {
            speaker: speaker.to_string(),
            policy_key: policy.to_string(),
        });
    }
    let signature = there(message.signature, "signature")?;
    policy_key.verify(DIRECTIVE_CONTEXT, &statement, &signature)?;
    Ok(Directive {
        delegator: policy,
        delegate: (**delegate).clone(),
        permission: name.as_str().to_owned(),
        object: object.to_vec(),
    })
}

fn there<T>(field: Option<T>, name: &'static str) -> Result<T, DirectiveError> {
    field.ok_or(DirectiveError::Missing(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{CtrHmac, CtrHmacSuite};

    fn recorded() -> serde_json::Value {
        let text = include_str!("../../tests/vectors/key_management_vectors.json");
        serde_json::from_str(text).unwrap()
    }

    fn bytes(value: &serde_json::Value) -> Vec<u8> {
        hex::decode(value.as_str().unwrap()).unwrap()
    }

    #[test]
    fn recorded_directives_are_verified_or_refused_as_recorded() {
        let recorded = recorded();
        let key = Verifier::from_spki(&bytes(&recorded["policy_spki_der"])).unwrap();
        let mut good = 0;
        for case in recorded["directives"].as_array().unwrap() {
            let directive = bytes(&case["directive"]);
            let verdict = verify_directive(&directive, &key);
            assert_eq!(verdict.is_ok(), case.get("ok").is_some(), "{verdict:?}");
            let Ok(found) = verdict else { continue };
            good += 1;
            let expected = case["ok"].as_str().unwrap();
            let start = format!(
                "delegator={} delegate={} pred={} ",
                found.delegator, found.delegate, found.permission
            );
            assert!(expected.starts_with(&start), "{expected}");
            // What is cut off is refused, or was only the certificate, which is not needed.
            for length in 0..directive.len() {
                let cut = verify_directive(&directive[..length], &key);
                assert!(cut.is_err() || cut == Ok(found.clone()), "{length}");
            }
        }
        assert_eq!(good, 6);
    }

    #[test]
    fn a_recorded_protected_object_opens_with_its_protectors_keys() {
        let object = &recorded()["protected_object"];
        let keys = bytes(&object["protector_keys"]);
        let (encryption, mac) = keys.split_at(16);
        let crypter = CtrHmac::new(CtrHmacSuite::Aes128Sha256, encryption, mac).unwrap();
        let message = bytes(&object["protected_object_proto"]);
        // The blob is the message's last field: its length, then so many bytes.
        let plain = bytes(&object["object_proto"]);
        let blob = &message[message.len() - (32 + 16 + plain.len())..];
        assert_eq!(*crypter.unprotect(blob).unwrap(), plain);
    }

    #[test]
    fn a_recorded_answer_of_the_certificate_authority_verifies() {
        let text = include_str!("../../tests/vectors/ca_vectors.json");
        let recorded: serde_json::Value = serde_json::from_str(text).unwrap();
        let response = bytes(&recorded["response"]);
        // CAResponse: type in two bytes, then the attestation with its length in two.
        let verified = super::super::verify(&response[5..], 2_500).unwrap();
        assert_eq!(
            verified.root.to_string(),
            recorded["policy_key"].as_str().unwrap()
        );
        let says = Form::Says(verified.statement).to_string();
        assert_eq!(says, recorded["response_statement"].as_str().unwrap());
    }
}
