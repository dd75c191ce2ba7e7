//! `tao key`: look at keys.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use argh::FromArgs;
use serde_json::json;
use tao::{
    keys::{Keyset, Verifier, certificate, password as protected},
    wire::{key_messages::CryptoKey, proto2},
};

use super::password;

/// Look at keys.
#[derive(FromArgs)]
#[argh(subcommand, name = "key")]
pub struct Key {
    #[argh(subcommand)]
    command: KeyCommand,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum KeyCommand {
    Show(Show),
}

/// Print a public key's principal and kind. Takes a certificate, a public key (DER), a
/// public CryptoKey, or a file of keys protected by a password, ours or the original's.
#[derive(FromArgs)]
#[argh(subcommand, name = "show")]
struct Show {
    /// file with the password, - for standard input (default: ask if one is needed)
    #[argh(option)]
    password_file: Option<PathBuf>,
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// the file
    #[argh(positional)]
    file: PathBuf,
}

/// Largest file that is looked at.
const LARGEST: u64 = 1 << 20;

/// The public key in a file, if it is of one of the kinds that need no password.
fn public(file: &[u8]) -> Option<Verifier> {
    let der = certificate::public_key(file).unwrap_or(file);
    if let Ok(key) = Verifier::from_spki(der) {
        return Some(key);
    }
    let key: CryptoKey = proto2::read(file).ok()?;
    Verifier::from_spki(key.key_components.first()?).ok()
}

fn show(command: &Show) -> anyhow::Result<()> {
    let named = || command.file.display().to_string();
    let file = tao::state_file::read(&command.file, LARGEST)
        .with_context(named)?
        .with_context(|| format!("{}: no such file", named()))?;
    let (key, holds_private) = match public(&file) {
        Some(key) => (key, false),
        None => {
            let password = password::read(command.password_file.as_deref(), "Password")?;
            let set = protected::open(&password, &file).with_context(named)?;
            let set = Keyset::decode(&set).with_context(named)?;
            let signer = set
                .signer
                .with_context(|| format!("{}: no signing key", named()))?;
            (signer.verifier().clone(), true)
        }
    };
    let (name, kind) = (key.name()?.to_string(), key.kind().name());
    if command.json {
        println!(
            "{}",
            json!({"name": name, "kind": kind, "private": holds_private})
        );
    } else {
        let what = if holds_private { "private" } else { "public" };
        println!("{name}\n{kind}, {what}");
    }
    Ok(())
}

pub fn key(command: &Key) -> anyhow::Result<ExitCode> {
    match &command.command {
        KeyCommand::Show(command) => show(command)?,
    }
    Ok(ExitCode::SUCCESS)
}
