//! `tao attestation`: look at an attestation, or verify it.

use std::{
    io::Read as _,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use argh::FromArgs;
use serde_json::{Value, json};
use tao::{
    attestation::{AttestationMessage, MAX_CHAIN, verify},
    logic::{Form, Prin},
    wire::{MAX_FRAME, proto2},
};

/// Look at a serialized attestation, or verify it.
#[derive(FromArgs)]
#[argh(subcommand, name = "attestation")]
pub struct Attestation {
    #[argh(subcommand)]
    command: AttestationCommand,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum AttestationCommand {
    Show(Show),
    Verify(Verify),
}

/// Print what an attestation says, without verifying it.
#[derive(FromArgs)]
#[argh(subcommand, name = "show")]
struct Show {
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// the attestation, as bytes or in hex; - for standard input
    #[argh(positional)]
    file: String,
}

/// Verify an attestation: signatures, chain, quote and validity. Exit status 0 if it is
/// verified, 1 if not. Whether its root is to be trusted is for you to say.
#[derive(FromArgs)]
#[argh(subcommand, name = "verify")]
struct Verify {
    /// verify as of this time, in nanoseconds since 1970 (default: now)
    #[argh(option)]
    at: Option<i64>,
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// the attestation, as bytes or in hex; - for standard input
    #[argh(positional)]
    file: String,
}

pub fn attestation(command: &Attestation) -> anyhow::Result<ExitCode> {
    match &command.command {
        AttestationCommand::Show(command) => show(command),
        AttestationCommand::Verify(command) => verified(command),
    }
}

fn read(file: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = 2 * MAX_FRAME as u64 + 1;
    let read = if file == "-" {
        std::io::stdin().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(limit).read_to_end(&mut bytes))
    };
    read.with_context(|| file.to_owned())?;
    // A serialized attestation begins with byte 0a, which is no hex digit.
    let text: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    match hex::decode(&text) {
        Ok(decoded) if !text.is_empty() => Ok(decoded),
        _ => Ok(bytes),
    }
}

/// The attestation and those in it, outermost first.
fn chain(bytes: &[u8]) -> anyhow::Result<Vec<AttestationMessage>> {
    let mut chain: Vec<AttestationMessage> = vec![proto2::read(bytes)?];
    while let Some(delegation) = chain
        .last()
        .and_then(|message| message.serialized_delegation.as_deref())
    {
        anyhow::ensure!(
            chain.len() < MAX_CHAIN,
            "a chain of more than {MAX_CHAIN} attestations"
        );
        let next = proto2::read(delegation).context("its delegation")?;
        chain.push(next);
    }
    Ok(chain)
}

fn statement(message: &AttestationMessage) -> String {
    match Form::decode(&message.serialized_statement) {
        Ok(form) => form.to_string(),
        Err(error) => format!("(malformed: {error})"),
    }
}

fn signer(message: &AttestationMessage) -> String {
    match Prin::of_public_key(&message.signer_type, &message.signer_key) {
        Ok(name) => name.to_string(),
        Err(error) => format!("(malformed: {error})"),
    }
}

fn show(command: &Show) -> anyhow::Result<ExitCode> {
    let chain = chain(&read(&command.file)?).with_context(|| command.file.clone())?;
    if command.json {
        let links: Vec<Value> = chain
            .iter()
            .map(|message| {
                json!({
                    "statement": statement(message),
                    "signer": signer(message),
                    "quote": message.tpm2_quote_structure.as_ref().map(hex::encode),
                    "endorsements": message.serialized_endorsements.len(),
                })
            })
            .collect();
        println!("{}", json!({ "verified": null, "chain": links }));
    } else {
        for (number, message) in chain.iter().enumerate() {
            let title = if number == 0 {
                "statement"
            } else {
                "delegation"
            };
            println!("{title}: {}", statement(message));
            println!("  signed by {}", signer(message));
            if let Some(quote) = &message.tpm2_quote_structure {
                println!("  by a TPM quote of {} bytes", quote.len());
            }
        }
        println!("not verified: see tao attestation verify");
    }
    Ok(ExitCode::SUCCESS)
}

fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn verified(command: &Verify) -> anyhow::Result<ExitCode> {
    let bytes = read(&command.file)?;
    let verdict = verify(&bytes, command.at.unwrap_or_else(now));
    let (line, code) = match &verdict {
        Ok(verified) => {
            let says = Form::Says(verified.statement.clone()).to_string();
            let root = verified.root.to_string();
            let line = if command.json {
                json!({
                    "verified": true,
                    "speaker": verified.speaker.to_string(),
                    "statement": says,
                    "root": root,
                    "chain": verified.length,
                })
                .to_string()
            } else {
                format!("verified: {says}\n  resting on {root}")
            };
            (line, ExitCode::SUCCESS)
        }
        Err(error) if command.json => (
            json!({"verified": false, "reason": error.to_string()}).to_string(),
            ExitCode::FAILURE,
        ),
        Err(error) => (format!("refused: {error}"), ExitCode::FAILURE),
    };
    println!("{line}");
    Ok(code)
}
