//! `taoboot list`.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use agent::unlock::{
    TokenId, VolumeHeader,
    enrolment::{Holding, holdings},
};
use anyhow::{Context as _, Result};
use argh::FromArgs;
use serde_json::json;

use super::root_volume;

/// List what is enrolled: each keyslot with its kind and its tokens, ours and other programs'.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "list",
    note = "Kinds: password, recovery, record, further; systemd-tpm2, systemd-fido2, systemd-pkcs11 and\nsystemd-recovery of systemd-cryptenroll; clevis; leftover, unbound, other."
)]
pub struct List {
    /// the LUKS2 volume: a block device or an image file; may be repeated (default: all that this
    /// machine needs)
    #[argh(option, arg_name = "device")]
    volume: Vec<PathBuf>,
    /// where the root file system is mounted (default /)
    #[argh(option, arg_name = "directory")]
    root: Option<PathBuf>,
    /// print as JSON
    #[argh(switch)]
    json: bool,
}

impl List {
    pub fn run(self) -> Result<ExitCode> {
        if !self.volume.is_empty() {
            commands::refuse_idle(&[("--root", self.root.is_some())], "with --volume")?;
        }
        let root = self.root.as_deref().unwrap_or_else(|| Path::new("/"));
        let volumes = match self.volume.as_slice() {
            [] => root_volume::all_needed(root).context(
                "cannot find out which volumes this machine needs: name them with --volume",
            )?,
            named => named.to_vec(),
        };
        let mut list = Vec::with_capacity(volumes.len());
        let mut text = String::new();
        for volume in volumes {
            let header = VolumeHeader::read(&volume)?;
            let held = holdings(&header);
            writeln!(
                text,
                "{}: LUKS2 {}",
                volume.display(),
                printable::line(header.uuid())
            )?;
            for holding in &held {
                writeln!(text, "  {}", line(holding))?;
            }
            list.push(json!({ "volume": volume, "uuid": header.uuid(), "enrolled": held }));
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&list)?);
        } else {
            print!("{text}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// `keyslot 1   record            tokens 0, 2`
fn line(holding: &Holding) -> String {
    let place = match holding.keyslot {
        Some(keyslot) => format!("keyslot {keyslot}"),
        None => "no keyslot".into(),
    };
    let numbers: Vec<String> = holding.tokens.iter().map(TokenId::to_string).collect();
    let tokens = match numbers.as_slice() {
        [] => String::new(),
        [one] => format!("token {one}"),
        several => format!("tokens {}", several.join(", ")),
    };
    let ignored = if holding.ignored {
        " (only by its number)"
    } else {
        ""
    };
    let line = format!("{place:<10}  {:<16}  {tokens}{ignored}", holding.kind);
    line.trim_end().to_owned()
}
