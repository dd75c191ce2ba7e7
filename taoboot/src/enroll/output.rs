//! What `taoboot enroll` tells, and how the recovery key reaches its owner.

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use agent::unlock::{
    VolumeIdentity,
    enrolment::{
        EnrollRequest, Enrolled, Enrolment, EnrolmentError, FurtherEnrolled, RecoveryKey, Target,
    },
};
use anyhow::Result;
use serde_json::json;

use crate::volume::sentences::{further_json, further_sentence};

/// What becomes of a recovery key.
pub enum RecoveryKeyWish {
    /// Ask at the terminal; none without one.
    Ask,
    /// Print it.
    Print,
    /// Write it to a new file.
    File(PathBuf),
    /// None.
    No,
}

/// What was enrolled.
pub struct Report {
    json: serde_json::Value,
    sentences: Vec<String>,
}

impl Report {
    pub fn new(
        device: &Path,
        volume: &VolumeIdentity,
        enrolled: Enrolled,
        request: &EnrollRequest,
        with_pin: bool,
    ) -> Self {
        let swap = request.swap.as_ref().map(ToString::to_string);
        let with_swap = swap
            .as_ref()
            .map_or_else(String::new, |swap| format!(", swap on {swap}"));
        let sentence = format!(
            "{}: record {} enrolled: keyslot {}, sealed to {}{}{with_swap}",
            device.display(),
            enrolled.token,
            enrolled.keyslot,
            sealed_to(&request.target),
            if with_pin { ", with a PIN" } else { "" },
        );
        let (pcrs, limit, policy_key) = pcrs_json(&request.target);
        let json = json!({
            "volume": device,
            "uuid": volume.uuid,
            "record": enrolled.token,
            "keyslot": enrolled.keyslot,
            "secret_id": enrolled.secret_id,
            "label": request.label,
            "swap": swap,
            "sha256": pcrs,
            "limit": limit,
            "policy_key": policy_key,
            "pin": with_pin,
        });
        Self {
            json,
            sentences: vec![sentence],
        }
    }

    /// Further volumes, if there are any.
    pub fn add_further(
        &mut self,
        devices: &[PathBuf],
        further: &[Enrolment],
        written: &[FurtherEnrolled],
    ) {
        if devices.is_empty() {
            return;
        }
        let all = devices.iter().zip(further).zip(written);
        let volumes = all.map(|((device, further), written)| {
            self.sentences.push(further_sentence(device, written));
            further_json(device, further.volume(), written)
        });
        let volumes: Vec<_> = volumes.collect();
        if let Some(object) = self.json.as_object_mut() {
            object.insert("further".into(), volumes.into());
        }
    }

    pub fn print(&self) {
        for sentence in &self.sentences {
            println!("{sentence}");
        }
    }

    pub fn print_json(mut self, recovery_keyslot: Option<u32>, pins: Option<&Path>) -> Result<()> {
        if let Some(object) = self.json.as_object_mut() {
            object.insert("recovery_keyslot".into(), json!(recovery_keyslot));
            object.insert("pins".into(), json!(pins));
        }
        println!("{}", serde_json::to_string_pretty(&self.json)?);
        Ok(())
    }
}

/// What the secret is sealed to, for a machine: registers, limit, policy key.
pub fn pcrs_json(
    target: &Target,
) -> (
    Option<serde_json::Map<String, serde_json::Value>>,
    Option<u64>,
    Option<String>,
) {
    match target {
        Target::Launch(expected, counter) => {
            let pcrs = expected
                .iter()
                .map(|(pcr, value)| (pcr.to_string(), hex::encode(value).into()))
                .collect();
            (Some(pcrs), counter.map(|counter| counter.limit), None)
        }
        Target::PolicyKey(key) => (None, None, Some(key.name().to_string())),
    }
}

/// The same for a person.
pub fn sealed_to(target: &Target) -> String {
    match target {
        Target::Launch(expected, counter) => {
            let until = counter.map_or_else(String::new, |counter| {
                format!(", until the rollback counter is above {}", counter.limit)
            });
            format!("PCR {} and the latch (PCR 15){until}", expected.set())
        }
        Target::PolicyKey(key) => format!(
            "launches that the policy key {} signs; none is approved yet except for those that are stored already (taoboot approve)",
            key.name()
        ),
    }
}

/// Makes a recovery key if wished for; its keyslot.
pub fn make_recovery_key(
    enrolment: &mut Enrolment,
    wish: RecoveryKeyWish,
    has_one: bool,
) -> Result<Option<u32>, EnrolmentError> {
    let enrolled = match wish {
        RecoveryKeyWish::No => return Ok(None),
        RecoveryKeyWish::Ask if has_one || !ask() => return Ok(None),
        RecoveryKeyWish::Ask | RecoveryKeyWish::Print => enrolment.add_recovery_key(print_key)?,
        RecoveryKeyWish::File(file) => enrolment.add_recovery_key(|key| write_key(&file, key))?,
    };
    Ok(Some(enrolled.keyslot))
}

/// Asks at the terminal; "no" where nobody can answer.
fn ask() -> bool {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return false;
    }
    print!("Make a recovery key, to open the volume where the TPM does not? [Y/n] ");
    let mut answer = String::new();
    let answered = io::stdout().flush().is_ok() && io::stdin().read_line(&mut answer).is_ok();
    answered && !answer.trim().to_ascii_lowercase().starts_with('n')
}

fn print_key(key: &RecoveryKey) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "Recovery key (shown only now; keep it away from this machine):"
    )?;
    writeln!(out, "    {}", key.text())?;
    out.flush()
}

fn write_key(file: &Path, key: &RecoveryKey) -> io::Result<()> {
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    out.write_all(key.text().as_bytes())?;
    out.write_all(b"\n")?;
    out.sync_all()
}
