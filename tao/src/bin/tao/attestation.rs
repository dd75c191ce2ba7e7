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
    attestation::{AttestationMessage, BootEvent, MAX_CHAIN, Opened, Verified, verify},
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
    /// the boot's volume must have been opened so: tpm, recovery-key or passphrase
    #[argh(option, arg_name = "how")]
    opened: Option<Opened>,
    /// it must be the volume with this secret_id, as `taoboot status` shows it
    #[argh(option, arg_name = "id")]
    volume: Option<String>,
    /// the Tao host's key must be this one: SHA-256 of it, in hex
    #[argh(option, arg_name = "digest")]
    host_key: Option<String>,
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// the attestation, as bytes or in hex; - for standard input
    #[argh(positional)]
    file: String,
}

impl Verify {
    /// What was demanded of the boot and is not so.
    fn unmet(&self, verified: &Verified) -> Option<String> {
        let wanted = [
            ("opened", self.opened.map(|opened| opened.word().to_owned())),
            (
                "volume",
                self.volume.as_deref().map(|id| format!("secret:{id}")),
            ),
            ("host-key", self.host_key.clone()),
        ];
        let found = |field: &str| {
            let boot = verified.boot.as_ref()?;
            Some(match field {
                "opened" => boot.opened.word().to_owned(),
                "volume" => boot.volume.to_string(),
                _ => boot.host_key.map(hex::encode)?,
            })
        };
        wanted.into_iter().find_map(|(field, wanted)| {
            let (wanted, found) = (wanted?, found(field));
            let said = match &found {
                Some(found) if *found == wanted => return None,
                Some(found) => format!("says {field}={found}"),
                None => "does not rest on a TPM's boot event".to_owned(),
            };
            Some(format!(
                "the signatures are good, but the attestation {said}, and {field}={wanted} was demanded"
            ))
        })
    }
}

pub fn attestation(command: &Attestation) -> anyhow::Result<ExitCode> {
    match &command.command {
        AttestationCommand::Show(command) => show(command),
        AttestationCommand::Verify(command) => verified(command),
    }
}

fn read(file: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = (MAX_FRAME as u64).saturating_mul(2).saturating_add(1);
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
                    "boot_event": message.boot_event,
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
            if let Some(event) = &message.boot_event {
                println!("  boot event: {}", event.escape_debug());
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
    let verdict = verify(&bytes, command.at.unwrap_or_else(now)).map_err(|error| error.to_string());
    let verdict = verdict.and_then(|verified| match command.unmet(&verified) {
        None => Ok(verified),
        Some(unmet) => Err(unmet),
    });
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
                    "boot_event": verified.boot.as_ref().map(BootEvent::to_string),
                })
                .to_string()
            } else {
                let boot = verified.boot.as_ref();
                let boot = boot.map_or_else(String::new, |boot| format!("\n  boot event: {boot}"));
                format!("verified: {says}\n  resting on {root}{boot}")
            };
            (line, ExitCode::SUCCESS)
        }
        Err(error) if command.json => (
            json!({"verified": false, "reason": error}).to_string(),
            ExitCode::FAILURE,
        ),
        Err(error) => (format!("refused: {error}"), ExitCode::FAILURE),
    };
    println!("{line}");
    Ok(code)
}
