//! `taoboot pin change`.

use std::{path::PathBuf, process::ExitCode};

use agent::{
    reseal::{self, Confidential, PinChange, PinProof, Question, Reply, ResealError},
    unlock::{CheckedHeader, EnrolledRecord, TokenId, enrolment::Resealing, find_enrolled},
};
use anyhow::{Context as _, Result, bail, ensure};
use argh::FromArgs;
use serde_json::{Value, json};

use crate::{
    reseal::sealer,
    volume::{passphrase, pin, records::numbers, root_volume},
};

/// Set another PIN, in all records of this machine's secret. The resident agent does it, which
/// knows the PIN that was typed at boot; the Tao host keeps its keys. After a power cut the old PIN or the new one
/// opens every launch; the same command, run again, finishes.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "change",
    note = "On a machine that the TPM did not unlock: taoboot enroll --pin.",
    example = "Where the PIN is forgotten, and the machine still runs:\n  {command_name} --recovery-key"
)]
pub struct Change {
    /// the LUKS2 volume (default: the one under the root file system)
    #[argh(option, arg_name = "device")]
    volume: Option<PathBuf>,
    /// file with the present PIN (default: it is asked for)
    #[argh(option, arg_name = "file")]
    pin_file: Option<PathBuf>,
    /// file with the new PIN (default: it is asked for, twice)
    #[argh(option, arg_name = "file")]
    new_pin_file: Option<PathBuf>,
    /// instead of the present PIN: a passphrase of the volume, from this file
    #[argh(option, arg_name = "file")]
    passphrase_file: Option<PathBuf>,
    /// instead of the present PIN: the recovery key or another passphrase, which is asked for
    #[argh(switch)]
    recovery_key: bool,
    /// the resident agent's socket (default /run/tao/reseal.sock)
    #[argh(option, default = "reseal::SOCKET.into()", arg_name = "path")]
    socket: PathBuf,
    /// print the result as JSON
    #[argh(switch)]
    json: bool,
}

impl Change {
    pub fn run(self) -> Result<ExitCode> {
        let ways = [
            self.pin_file.is_some(),
            self.passphrase_file.is_some(),
            self.recovery_key,
        ];
        ensure!(
            ways.iter().filter(|given| **given).count() <= 1,
            "give only one of --pin-file, --passphrase-file and --recovery-key"
        );
        let device = root_volume::named_or_root(self.volume.as_deref())?;
        let secret_id = match reseal::ask(&self.socket, &Question::Which) {
            Ok(Reply::Holds(secret_id)) => secret_id,
            Ok(_) => bail!("the resident agent did not say which secret it holds"),
            Err(ResealError::NoAgent { socket, source }) => bail!(
                "no resident agent answers at {} ({source}), and nobody else knows the Tao host's secret: set a PIN with `taoboot enroll --pin --new-host-secret`",
                socket.display()
            ),
            Err(error) => return Err(error.into()),
        };
        let proof = self.proof(&device)?;
        let new = pin::new(self.new_pin_file.as_deref())?;
        // Locked from the reading of the records to the last write.
        let mut volume = Resealing::begin(&device)?;
        let old = self.records(&volume.header()?, &secret_id)?;
        let patterns = one_for_each_launch(&old)?;
        if patterns.len() < old.len() {
            eprintln!(
                "taoboot: note: an earlier change of the PIN was interrupted: its records are removed, too"
            );
        }
        // The new ones are as long as these. Before the agent takes the new PIN for the present one.
        volume.room_for(&patterns).with_context(|| {
            format!(
                "the PIN stays as it is, because the new records are written beside the {} old ones before those are removed: remove records that nothing boots any more with `taoboot wipe --record`",
                old.len()
            )
        })?;
        let question = Question::ChangePin(Box::new(PinChange {
            proof,
            new_pin: Confidential::of(new.as_bytes()),
            records: patterns.clone(),
        }));
        let Reply::Records(made) = reseal::ask(&self.socket, &question)? else {
            bail!("the resident agent answered something else than records");
        };
        ensure!(
            made.len() == patterns.len(),
            "the resident agent made {} records of {}",
            made.len(),
            patterns.len()
        );
        let tokens = put_in_their_place(&mut volume, &old, &made)?;
        eprintln!(
            "taoboot: note: copies of the header that somebody made earlier still open with the old PIN, until the rollback counter is raised (`taoboot retire`), where the records were made with --rollback-counter"
        );
        if self.json {
            println!("{:#}", json!({ "volume": device, "records": tokens }));
        } else {
            println!(
                "{}: the PIN is another: records {}",
                device.display(),
                numbers(&tokens)
            );
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What entitles to it.
    fn proof(&self, device: &std::path::Path) -> Result<PinProof> {
        if self.passphrase_file.is_none() && !self.recovery_key {
            let present = pin::present(self.pin_file.as_deref())?;
            return Ok(PinProof::Pin(Confidential::of(present.as_bytes())));
        }
        let passphrase = passphrase::existing(self.passphrase_file.as_deref(), device)?;
        let key = sealer::begin(device, &passphrase)?
            .pin_change_key()?
            .with_context(|| {
                format!(
                    "{} has no taoboot record that its key proves to be genuine",
                    device.display()
                )
            })?;
        Ok(PinProof::VolumeKey(Confidential::of(key.as_slice())))
    }

    /// All genuine records with a PIN. One without stays as it is: it is for an image that asks for none.
    fn records(
        &self,
        header: &CheckedHeader,
        secret_id: &str,
    ) -> Result<Vec<(TokenId, EnrolledRecord)>> {
        let mut records = Vec::new();
        for (token, record) in find_enrolled(header) {
            let Ok(record) = record else { continue };
            if record.secret_id() != secret_id || record.parts().pin.is_none() {
                continue;
            }
            let json = record.to_token()?;
            match reseal::ask(&self.socket, &Question::Genuine(Box::new(json)))? {
                Reply::Genuine(true) => records.push((token, record)),
                _ => eprintln!(
                    "taoboot: record {token} does not belong to this secret, or was changed: it is ignored"
                ),
            }
        }
        ensure!(
            !records.is_empty(),
            "no record of the secret that opened this machine asks for a PIN: enroll with `taoboot enroll --pin`"
        );
        Ok(records)
    }
}

/// An interrupted change leaves two records for a launch; one is enough to make the new one from.
fn one_for_each_launch(records: &[(TokenId, EnrolledRecord)]) -> Result<Vec<Value>> {
    let mut patterns: Vec<&EnrolledRecord> = Vec::with_capacity(records.len());
    for (_, record) in records {
        let same = |pattern: &&EnrolledRecord| pattern.parts().policy == record.parts().policy;
        if !patterns.iter().any(same) {
            patterns.push(record);
        }
    }
    let tokens = patterns.into_iter().map(EnrolledRecord::to_token);
    Ok(tokens.collect::<Result<_, _>>()?)
}

/// All new records are written, and then the old ones are removed: until the last new one is there the old PIN
/// opens every launch, and from then on the new one does.
fn put_in_their_place(
    volume: &mut Resealing,
    old: &[(TokenId, EnrolledRecord)],
    made: &[Value],
) -> Result<Vec<TokenId>> {
    let mut added = Vec::with_capacity(made.len());
    for record in made {
        let token = volume.add(record).with_context(|| {
            format!(
                "the old PIN opens every launch still, and {} of {} the new one, too: run this again, with the new PIN as the present one",
                added.len(),
                made.len()
            )
        })?;
        added.push(token);
    }
    for (token, record) in old {
        volume.remove(*token, record).with_context(|| {
            format!("the new PIN opens every launch, but record {token} has the old one still: run this again, with the new PIN as the present one")
        })?;
    }
    Ok(added)
}
