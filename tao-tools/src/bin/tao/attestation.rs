//! `tao attestation`: look at an attestation, or verify it.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use argh::FromArgs;
use serde_json::{Value, json};
use tao::{
    attestation::{AttestationMessage, BootEvent, MAX_CHAIN, Opened, Verified, now, verify},
    domain::Domain,
    guard::authorized,
    logic::{Form, Prin, Says},
    wire::{MAX_FRAME, proto2},
};

use super::time::of_nanoseconds;

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
    Verify(Box<Verify>),
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

/// Verify an attestation: signatures, chain, quote and validity, and that it is from whom you
/// trust. Exit status 0 if it is, 1 if not, and 3 if its signatures are good and you have not said
/// whom you trust (--root, --speaker or --domain): anyone can make a key and sign with it.
#[derive(FromArgs)]
#[argh(subcommand, name = "verify")]
struct Verify {
    /// trust this key, TPM or host: the speaker's name must begin with this one
    #[argh(option, arg_name = "name")]
    root: Option<Prin>,
    /// the speaker must have this very name
    #[argh(option, arg_name = "name")]
    speaker: Option<Prin>,
    /// trust the programs that the domain in this directory lets execute
    #[argh(option, arg_name = "directory")]
    domain: Option<PathBuf>,
    /// verify as of this time: a date (2026-11-30), a time (2026-11-30T09:00:00Z, or with +01:00
    /// instead of Z), or nanoseconds since 1970 (default: now)
    #[argh(option, arg_name = "time", from_str_fn(super::time::parse))]
    at: Option<i64>,
    /// how the boot's volume must have been opened: tpm, recovery-key or passphrase
    #[argh(option, arg_name = "how")]
    opened: Option<Opened>,
    /// it must be the volume with this secret_id, as `taoboot status` shows it
    #[argh(option, arg_name = "id")]
    volume: Option<String>,
    /// the Tao host's key must be this one: SHA-256 of it, in hex
    #[argh(option, arg_name = "digest")]
    host_key: Option<String>,
    /// the ACPI tables with code that the kernel had must have this digest, as /run/tao/boot.json has it
    #[argh(option, arg_name = "digest")]
    acpi: Option<String>,
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
            ("acpi", self.acpi.clone()),
        ];
        let found = |field: &str| {
            let boot = verified.boot.as_ref()?;
            Some(match field {
                "opened" => boot.opened.word().to_owned(),
                "volume" => boot.volume.to_string(),
                "acpi" => boot.acpi.to_string(),
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

/// What comes of a verification.
enum Verdict {
    /// It is from whom is trusted.
    Trusted(Verified),
    /// Its signatures are good, and nothing was said about trust.
    Unrooted(Verified),
    /// Why it is refused.
    Refused(String),
}

/// The exit status for [`Verdict::Unrooted`].
const UNROOTED: u8 = 3;

impl Verify {
    fn verdict(&self, bytes: &[u8]) -> anyhow::Result<Verdict> {
        let at = match self.at {
            Some(at) => at,
            None => now()?,
        };
        let verified = match verify(bytes, at) {
            Ok(verified) => verified,
            Err(error) => return Ok(Verdict::Refused(error.to_string())),
        };
        if let Some(reason) = self.unmet(&verified) {
            return Ok(Verdict::Refused(reason));
        }
        let not = |whose: String| {
            Verdict::Refused(format!(
                "the signatures are good, but the speaker {} is not {whose}",
                verified.speaker
            ))
        };
        // The root is the beginning of the speaker's name: the chain shows that.
        if let Some(root) = &self.root
            && !verified.speaker.is_spoken_for_by(root)
        {
            return Ok(not(format!("spoken for by {root} (--root)")));
        }
        if let Some(speaker) = &self.speaker
            && verified.speaker != *speaker
        {
            return Ok(not(format!("{speaker} (--speaker)")));
        }
        if let Some(dir) = &self.domain
            && !trusted_by_domain(dir, &verified.speaker)?
        {
            let dir = dir.display();
            return Ok(not(format!(
                "one that the domain {dir} lets execute (--domain)"
            )));
        }
        Ok(match (&self.root, &self.speaker, &self.domain) {
            (None, None, None) => Verdict::Unrooted(verified),
            _ => Verdict::Trusted(verified),
        })
    }
}

/// Does the domain let this program execute, or one that speaks for it?
fn trusted_by_domain(dir: &Path, speaker: &Prin) -> anyhow::Result<bool> {
    let guard = Domain::load(dir)?.guard()?;
    for length in 0..=speaker.ext.0.len() {
        let mut program = speaker.clone();
        program.ext.0.truncate(length);
        if speaker.is_spoken_for_by(&program)
            && guard.query(&authorized(&program, "Execute", &[]))?
        {
            return Ok(true);
        }
    }
    Ok(false)
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
    // A serialized attestation begins with byte 0a, which is not a hex digit.
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

/// What was verified, in JSON.
fn as_json(verified: &Verified, trusted: bool) -> Value {
    json!({
        "verified": true,
        "trusted": trusted,
        "speaker": verified.speaker.to_string(),
        "statement": Form::Says(verified.statement.clone()).to_string(),
        "root": verified.root.to_string(),
        "chain": verified.length,
        "boot_event": verified.boot.as_ref().map(BootEvent::to_string),
    })
}

/// What was verified, for a person.
fn as_text(verified: &Verified) -> String {
    let says = Form::Says(verified.statement.clone());
    let boot = verified.boot.as_ref();
    let boot = boot.map_or_else(String::new, |boot| format!("\n  boot event: {boot}"));
    let valid = validity(&verified.statement);
    format!("{says}\n{valid}  resting on {}{boot}", verified.root)
}

/// The statement's own times, which are nanoseconds, as people write them.
fn validity(says: &Says) -> String {
    match (says.time, says.expiration) {
        (None, None) => String::new(),
        (Some(from), None) => format!("  valid from {}\n", of_nanoseconds(from)),
        (None, Some(until)) => format!("  valid until {}\n", of_nanoseconds(until)),
        (Some(from), Some(until)) => format!(
            "  valid from {} until {}\n",
            of_nanoseconds(from),
            of_nanoseconds(until)
        ),
    }
}

fn verified(command: &Verify) -> anyhow::Result<ExitCode> {
    let verdict = command.verdict(&read(&command.file)?)?;
    if command.json {
        let shown = match &verdict {
            Verdict::Trusted(verified) => as_json(verified, true),
            Verdict::Unrooted(verified) => as_json(verified, false),
            Verdict::Refused(reason) => json!({"verified": false, "reason": reason}),
        };
        println!("{shown}");
    } else {
        match &verdict {
            Verdict::Trusted(verified) => println!("verified: {}", as_text(verified)),
            Verdict::Unrooted(verified) => {
                println!("signatures good: {}", as_text(verified));
            }
            Verdict::Refused(reason) => println!("refused: {reason}"),
        }
    }
    Ok(match verdict {
        Verdict::Trusted(_) => ExitCode::SUCCESS,
        Verdict::Refused(_) => ExitCode::FAILURE,
        Verdict::Unrooted(verified) => {
            eprintln!(
                "tao: whether {} is to be trusted was not specified: anyone can make such a key; say whom you trust with --root, --speaker or --domain",
                verified.root
            );
            ExitCode::from(UNROOTED)
        }
    })
}
