//! `taoboot enroll --dry-run`: what would be written, and nothing written.

use std::path::{Path, PathBuf};

use agent::unlock::{
    CheckedHeader,
    enrolment::{EnrollRequest, Planned, Target, rehearse},
    test_passphrase,
};
use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use tpm::Tpm2;

use super::output::{pcrs_json, sealed_to};
use crate::{pins, volume::passphrase};

/// What was asked for.
pub struct DryRun<'d> {
    pub volume: &'d CheckedHeader,
    pub others: &'d [CheckedHeader],
    /// Tried where they are given; nobody is asked.
    pub files: &'d [PathBuf],
    pub request: &'d EnrollRequest,
    /// The record would ask for a PIN beside the launch. The PIN itself is not needed here.
    pub with_pin: bool,
    /// The rollback counter would be made.
    pub makes_counter: bool,
    /// The file of pins that would be written.
    pub pins: Option<&'d Path>,
    pub json: bool,
}

impl DryRun<'_> {
    /// Says it; a refusal is the one that enrolling would give.
    pub fn run(&self, tpm: &mut Tpm2) -> Result<()> {
        let (first, others) = rehearse(tpm, self.volume, self.request, self.with_pin, self.others)?;
        self.try_passphrases()?;
        let mut told = vec![told(self.volume, &first)];
        told.extend(
            self.others
                .iter()
                .zip(&others)
                .map(|(header, planned)| told_of(header, planned)),
        );
        if self.json {
            let (pcrs, limit, policy_key) = pcrs_json(&self.target());
            let volumes: Vec<Value> = std::iter::once((self.volume, &first))
                .chain(self.others.iter().zip(&others))
                .map(|(header, planned)| as_json(header, planned))
                .collect();
            let all = json!({
                "dry_run": true,
                "volumes": volumes,
                "sha256": pcrs,
                "limit": limit,
                "policy_key": policy_key,
                "makes_counter": self.makes_counter,
                "pins": self.pins,
            });
            println!("{}", serde_json::to_string_pretty(&all)?);
            return Ok(());
        }
        println!("nothing is written (--dry-run); enrolling would write:");
        for line in told.iter().flatten() {
            println!("  {line}");
        }
        println!("  sealed to {}", sealed_to(&self.target()));
        if self.makes_counter {
            println!("  a rollback counter in the TPM, which has none");
        }
        if let Some(pins) = self.pins {
            println!("  {}: what the next images pin", pins.display());
        }
        if self.files.is_empty() {
            println!(
                "whether the passphrase opens the volume was not tried: --passphrase-file does that"
            );
        }
        Ok(())
    }

    /// A counter that is not made has no limit to tell.
    fn target(&self) -> Target {
        match &self.request.target {
            Target::Launch(values, _) if self.makes_counter => Target::Launch(values.clone(), None),
            target => target.clone(),
        }
    }

    fn try_passphrases(&self) -> Result<()> {
        let count = self.others.len().saturating_add(1);
        ensure!(
            self.files.len() <= count,
            "--passphrase-file is given {} times for {count} volume(s)",
            self.files.len()
        );
        let Some(first) = self.files.first() else {
            return Ok(());
        };
        for (position, header) in std::iter::once(self.volume).chain(self.others).enumerate() {
            let file = self.files.get(position).unwrap_or(first);
            let passphrase = passphrase::existing(Some(file), header.device())?;
            let opens = |bytes: &[u8]| test_passphrase(header, bytes, None);
            let Err(error) = opens(passphrase.without_newline()) else {
                continue;
            };
            // A key file may really end with a newline.
            if !passphrase.ends_with_newline() || opens(passphrase.whole()).is_err() {
                bail!(error);
            }
        }
        Ok(())
    }
}

fn told(header: &CheckedHeader, planned: &Planned) -> Vec<String> {
    let device = header.device().display();
    let keyslot = match planned.shared {
        Some(keyslot) => format!("a record beside others of keyslot {keyslot}"),
        None => "a new keyslot and a record".into(),
    };
    let mut lines = vec![format!("{device}: {keyslot}")];
    lines.extend(leftovers(header, planned));
    lines
}

fn told_of(header: &CheckedHeader, planned: &Planned) -> Vec<String> {
    let device = header.device().display();
    let mut lines = vec![match planned.shared {
        Some(keyslot) => format!(
            "{device}: nothing, if keyslot {keyslot} is of the same secret; otherwise a new keyslot and a token"
        ),
        None => format!("{device}: a new keyslot and a token (further volume)"),
    }];
    lines.extend(leftovers(header, planned));
    lines
}

fn leftovers(header: &CheckedHeader, planned: &Planned) -> Option<String> {
    (!planned.leftovers.is_empty()).then(|| {
        format!(
            "{}: what an interrupted enrolment left would be removed",
            header.device().display()
        )
    })
}

fn as_json(header: &CheckedHeader, planned: &Planned) -> Value {
    json!({
        "volume": header.device(),
        "uuid": header.uuid(),
        "keyslot": planned.shared,
        "new_keyslot": planned.shared.is_none(),
        "leftovers": planned.leftovers,
    })
}

/// The file of pins that an enrolment of the volume would write.
pub fn pins(config: &Path, volume: &Path, wish: pins::Wish) -> Option<PathBuf> {
    let wanted = match wish {
        pins::Wish::Never => false,
        pins::Wish::Always => true,
        pins::Wish::OfRoot => pins::is_root(volume),
    };
    (wanted && config.exists()).then(|| pins::beside(config))
}
