//! A machine whose TPM quotes whatever it is given.

use p256::{
    ecdsa::{Signature, SigningKey, signature::Signer as _},
    pkcs8::EncodePublicKey,
};
use sha2::{Digest, Sha256};

use super::super::*;
use crate::{
    keys::{Secret, Signer},
    logic::{Form, Pred, Prin, Says, Speaksfor, SubPrin, Term},
};

pub(super) fn says(speaker: &Prin, message: Form) -> Says {
    Says {
        speaker: speaker.clone().into(),
        time: None,
        expiration: None,
        message: message.into(),
    }
}

pub(super) fn speaksfor(delegate: &Prin, delegator: &Prin) -> Form {
    Form::Speaksfor(Speaksfor {
        delegate: delegate.clone().into(),
        delegator: delegator.clone().into(),
    })
}

/// A TPM made of a signing key: what it quotes can be changed in every part.
pub(super) struct Machine {
    pub(super) key: SigningKey,
    pub(super) spki: Vec<u8>,
    pub(super) name: Prin,
}

pub(super) const PCRS: [(u8, [u8; 32]); 3] = [(17, [0x17; 32]), (18, [0x18; 32]), (19, [0x19; 32])];

pub(super) fn machine() -> Machine {
    let key = SigningKey::from_slice(&[5; 32]).unwrap();
    let spki = key.verifying_key().to_public_key_der().unwrap().into_vec();
    let pcrs = SubPrin::pcrs(PCRS.iter().map(|(number, value)| (*number, &value[..]))).unwrap();
    let name = Prin::of_public_key("tpm2", &spki).unwrap().extended(&pcrs);
    Machine { key, spki, name }
}

pub(super) fn attest_structure(extra: &[u8], bank: u16, select: [u8; 3], digest: &[u8]) -> Vec<u8> {
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
pub(super) fn event() -> BootEvent {
    BootEvent {
        opened: Opened::Tpm,
        volume: BootVolume::Secret([7; 16]),
        host_key: Some(Sha256::digest(host().spki()).into()),
        acpi: AcpiTables::Digest([9; 32]),
    }
}

/// Which registers are quoted: 15, 17, 18, 19.
pub(super) const SELECT: [u8; 3] = [0, 0x80, 0x0e];

/// The values of PCR 15 after this event and of 17 to 19.
pub(super) fn quoted_values(event: &BootEvent) -> Vec<u8> {
    let mut values = event.register(32).unwrap();
    values.extend(PCRS.iter().flat_map(|(_, value)| *value));
    values
}

pub(super) fn structure(statement: &[u8], event: &BootEvent) -> Vec<u8> {
    let digest = Sha256::digest(quoted_values(event));
    attest_structure(&Sha256::digest(statement), 11, SELECT, &digest)
}

pub(super) fn good_structure(statement: &[u8]) -> Vec<u8> {
    structure(statement, &event())
}

impl Machine {
    pub(super) fn quote(&self, statement: &[u8], structure: Vec<u8>) -> Vec<u8> {
        self.quote_with(statement, structure, &event().to_string())
    }

    pub(super) fn quote_with(&self, statement: &[u8], structure: Vec<u8>, event: &str) -> Vec<u8> {
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

pub(super) fn host() -> Signer {
    Signer::new(Secret::new([9; 32])).unwrap()
}

pub(super) fn delegation_statement(machine: &Machine) -> Vec<u8> {
    Form::Says(says(&machine.name, speaksfor(host().name(), &machine.name))).encode()
}

pub(super) fn truth() -> Form {
    Form::Pred(Pred {
        name: "P".parse().unwrap(),
        args: vec![Term::Int(1)],
    })
}
