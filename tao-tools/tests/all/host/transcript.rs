//! The recorded conversation of a program with the original's host, held with ours.
//!
//! Requests are sent byte for byte, but sealed data and names are ours. Of the answers,
//! what is determined is compared byte for byte: headers, error texts, policies, what
//! unsealing gives, the statement that is attested.

use serde::Deserialize;
use tao::{
    attestation::{AttestationMessage, verify},
    logic::{Form, Prin},
    wire::{
        Inbox,
        messages::{RequestHeader, ResponseHeader, TaoRequest, TaoResponse},
        proto2, rpc,
    },
};

use super::common::TestHost;

#[derive(Deserialize)]
struct Transcript {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    call: String,
    error: Option<String>,
    request_bytes: String,
    response_bytes: String,
}

fn split(hex_bytes: &str) -> (Vec<u8>, Vec<u8>) {
    let bytes = hex::decode(hex_bytes).unwrap();
    let mut inbox = Inbox::default();
    let mut rest = &bytes[..];
    loop {
        if let Some(message) = inbox.next_message().unwrap() {
            let (header, body) = inbox.parts(&message);
            return (header.to_vec(), body.to_vec());
        }
        let space = inbox.space();
        let count = rest.len().min(space.len());
        space[..count].copy_from_slice(&rest[..count]);
        inbox.filled(count);
        rest = &rest[count..];
    }
}

#[test]
fn the_recorded_conversation_goes_as_recorded() {
    let text = include_str!("../../../../tao/tests/vectors/rpc_transcript.json");
    let transcript: Transcript = serde_json::from_str(text).unwrap();
    let host = TestHost::start(30);
    let mut program = host.raw();
    let name = host
        .admin()
        .host_name()
        .unwrap()
        .extended(&program.program.subprin);
    // What the program holds: what it sealed last, and before, and before its name grew.
    let (mut sealed, mut older, mut before) = (Vec::new(), Vec::new(), Vec::new());
    for step in &transcript.steps {
        let (header, body) = split(&step.request_bytes);
        let header: RequestHeader = proto2::read(&header).unwrap();
        let mut request: TaoRequest = proto2::read(&body).unwrap();
        if header.op.ends_with("Unseal") && request.data.is_some() {
            request.data = Some(match step.call.as_str() {
                "RollbackProtectedUnseal(old)" => older.clone(),
                "Unseal(self sealed before extend)" => before.clone(),
                _ => sealed.clone(),
            });
        }
        if step.call == "Attest(issuer=own subprin)" {
            request.issuer = Some(name.extended(&".Kid(1)".parse().unwrap()).encode());
        }
        let mut bytes = Vec::new();
        rpc::write_request(&mut bytes, &header.op, header.seq, &request).unwrap();
        program.send(&bytes);
        let (answer_header, answer_body) = program.receive().unwrap();
        let (recorded_header, recorded_body) = split(&step.response_bytes);
        // The original names a field of a format that is not ours.
        if step
            .error
            .as_deref()
            .is_some_and(|error| error.starts_with("proto:"))
        {
            assert!(answer_header.error.unwrap().starts_with("sealed data:"));
            continue;
        }
        let recorded_header: ResponseHeader = proto2::read(&recorded_header).unwrap();
        assert_eq!(answer_header, recorded_header, "{}", step.call);
        let answer: TaoResponse = proto2::read(&answer_body).unwrap();
        let recorded: TaoResponse = proto2::read(&recorded_body).unwrap();
        assert_eq!(
            answer.data.is_some(),
            recorded.data.is_some(),
            "{}",
            step.call
        );
        assert_eq!(answer.policy, recorded.policy, "{}", step.call);
        match (header.op.as_str(), answer.data) {
            ("Tao.GetTaoName", Some(data)) => {
                let mut expected = name.clone();
                if step.call.contains("after extend") {
                    expected = name.extended(&".Ext(1)".parse().unwrap());
                }
                assert_eq!(Prin::decode(&data).unwrap(), expected);
            }
            ("Tao.GetRandomBytes", Some(data)) => {
                assert_eq!(data.len(), recorded.data.unwrap().len());
            }
            ("Tao.GetSharedSecret", Some(data)) => {
                assert_eq!(data.len(), recorded.data.unwrap().len());
            }
            ("Tao.Seal" | "Tao.RollbackProtectedSeal", Some(data)) => {
                older = std::mem::replace(&mut sealed, data);
                if step.call == "Seal(hello,self)" {
                    before = sealed.clone();
                }
            }
            ("Tao.Attest", Some(data)) => attested(&name, &data, &recorded.data.unwrap()),
            _ => assert_eq!(answer_body, recorded_body, "{}", step.call),
        }
    }
    assert!(transcript.steps.len() >= 34);
}

/// Same statement, except for the host's name; our attestation verifies.
fn attested(name: &Prin, ours: &[u8], recorded: &[u8]) {
    let statement = |bytes: &[u8]| {
        let message: AttestationMessage = proto2::read(bytes).unwrap();
        match Form::decode(&message.serialized_statement).unwrap() {
            Form::Says(says) => says,
            other => panic!("{other}"),
        }
    };
    let (ours_says, recorded_says) = (statement(ours), statement(recorded));
    assert_eq!(ours_says.time, recorded_says.time);
    assert_eq!(ours_says.expiration, recorded_says.expiration);
    assert_eq!(ours_says.message, recorded_says.message);
    assert!(ours_says.speaker.as_prin().unwrap().is_within(name));
    let time = ours_says.time.unwrap();
    assert_eq!(verify(ours, time).unwrap().statement, ours_says);
}
